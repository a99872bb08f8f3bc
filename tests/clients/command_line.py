"""Asks by kctl-plausible, a command line: command_line.py ADDRESS"""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from kctl_plausible.core.client import PlausibleClient
from ours import SITE, Product, same

product = Product(sys.argv[1])
METRICS = ["visitors", "pageviews", "bounce_rate", "visit_duration", "visits"]


def run(*arguments):
    """What the program writes."""
    program = Path(sys.executable).parent / "kctl-plausible"
    command = [program, "--url", f"http://{product.address}", "--api-key", "any", "--quiet", *arguments]
    quiet = {"KCTL_PLAUSIBLE_PROFILE": "default", "KCTL_NO_UPDATE_CHECK": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ | quiet)
    if done.returncode:
        sys.exit(f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def exported(form, dimension):
    return run("export", form, SITE, "--property", dimension, "--period", "30d", "--metrics", ",".join(METRICS))


expected = [dict(zip(["source", *METRICS], row["dimensions"] + row["metrics"]))
            for row in product.rows(METRICS, "30d", "visit:source")]
same("sources as JSON", json.loads(exported("json", "visit:source")), expected)
found = list(csv.DictReader(io.StringIO(exported("csv", "visit:source"))))
same("sources as CSV", found, [{name: str(value) for name, value in row.items()} for row in expected])

# Its commands `stats` fail while they print, whatever was answered; their requests are these.
client = PlausibleClient(f"http://{product.address}", "any")
asked = {"site_id": SITE, "period": "30d", "metrics": ",".join(METRICS)}
totals = client.get("/stats/aggregate", params=asked)["results"]
same("totals", {name: entry["value"] for name, entry in totals.items()}, product.totals(METRICS, "30d"))
here = client.get("/stats/aggregate", params={**asked, "filters": "event:page==/cv"})["results"]["visitors"]["value"]
same("a filter leaves fewer", 0 < here < totals["visitors"]["value"], True)
days = client.get("/stats/timeseries", params=asked)["results"]
series = {day.pop("date"): day for day in days if day["visits"]}
same("days", series, product.series(METRICS, "30d"))
same("current visitors", str(client.get("/stats/realtime/visitors", params={"site_id": SITE})).isdigit(), True)
