"""Events of an export, and the visits that they form."""

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache, cached_property
from urllib.parse import parse_qsl

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
VISIT_GAP = 30 * MINUTE
REPORTS = ("scroll", "hover")
BUILT_IN = REPORTS + (
    "page_view", "cv_theme_change", "letter_generate", "pdf_download", "button_click", "link_click", "form_submit",
)
ARRIVAL = (
    "source", "channel", "referrer", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term",
)
CLIENT = (
    "country", "region", "city", "language", "device", "browser", "browser_version", "os", "os_version", "screen",
    "explicit",
)


@dataclass(eq=False)
class Visit:
    """Events of one visitor without half an hour of silence, within one UTC day."""

    events: list = field(default_factory=list)

    @property
    def first(self):
        return self.events[0]

    @cached_property
    def views(self):
        return [event for event in self.events if event.name == "page_view"]

    @property
    def is_bounce(self):
        return len(self.events) == 1 and self.first.name == "page_view"

    @property
    def duration(self):
        """In milliseconds."""
        return self.events[-1].time - self.first.time


@dataclass(eq=False)
class Event:
    """One event with its dimensions."""

    id: str
    time: int
    visitor: str
    name: str
    data: dict
    url: str
    arrival: dict
    client: dict
    visit: Visit | None = None

    @property
    def is_report(self):
        return self.name in REPORTS

    @cached_property
    def page(self):
        return page_of(self.url)

    @cached_property
    def hostname(self):
        match = re.match(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//([^/?#:]*)", self.url)
        return match[1].lower() if match else ""

    @cached_property
    def theme(self):
        if self.name not in ("page_view", "cv_theme_change"):
            return ""
        theme = self.data.get("theme")
        if isinstance(theme, str) and theme:
            return theme
        query = self.url.partition("#")[0].partition("?")[2]
        return dict(reversed(parse_qsl(query))).get("theme", "")

    @cached_property
    def properties(self):
        """The first thirty by name, as text."""
        plain = {key: text(value) for key, value in self.data.items() if isinstance(value, (str, int, float))}
        return dict(sorted(plain.items(), key=lambda pair: pair[0].encode())[:30])


def text(value):
    """A property, or a value that it is compared with, as text of at most 300 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)[:300]


def page_of(address):
    """The path of an address in the normal form of section 1."""
    if not address:
        return ""
    path = re.sub(r"^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*", "", address)
    return normal(re.split(r"[?#]", path)[0])


@cache
def normal(path):
    """A path in its normal form."""
    parts = []
    for part in path.replace("\\", "/").split("/"):
        part = re.sub(r";[^/=]*=.*", "", part)
        part = re.sub(r"%([0-9a-fA-F]{2})", _unescaped, part)
        part = re.sub(r'[^!-~]|[ "#<>?^`{}]', lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), part)
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _unescaped(found):
    character = chr(int(found[1], 16))
    return character if re.match(r"[A-Za-z0-9._~-]", character) else found[0].upper()


def _fields(names, packed):
    values = (packed or "").split("\t")
    return dict(zip(names, values + [""] * len(names)))


def milliseconds(instant):
    """An RFC 3339 instant in milliseconds since 1970."""
    moment = datetime.fromisoformat(instant.replace("Z", "+00:00"))
    delta = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return delta.days * DAY + delta.seconds * 1000 + delta.microseconds // 1000


def read(lines, site):
    """The events of a site, in order, with their visits."""
    events = []
    for line in map(json.loads, lines):
        if line["site"] == site:
            events.append(Event(
                line["id"], milliseconds(line["created_at"]), line["visitor_id"], line["event_type"],
                line["event_data"], line["page_url"] or "", _fields(ARRIVAL, line.get("arrival")),
                _fields(CLIENT, line.get("client")),
            ))
    for event in events:
        event.arrival["source"] = event.arrival["source"] or "Direct / None"
        event.arrival["channel"] = event.arrival["channel"] or "Direct"
    # Events of one time are in the order of their ids: results depend on the events alone.
    events.sort(key=lambda event: (event.time, event.is_report, event.id))
    _form_visits(events)
    return events


def _form_visits(events):
    latest = {}
    for event in events:
        key = (event.visitor, event.time // DAY)
        visit, last_sign = latest.get(key, (None, None))
        continues = visit is not None and event.time - last_sign < VISIT_GAP
        if event.is_report:
            event.visit = visit
            if continues:
                latest[key] = (visit, event.time)
            continue
        if not continues:
            visit = Visit()
        visit.events.append(event)
        event.visit = visit
        latest[key] = (visit, event.time)
