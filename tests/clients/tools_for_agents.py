"""Asks by the tools of plausible-mcp, a server of the Model Context Protocol: tools_for_agents.py ADDRESS"""

import json
import os
import sys

from ours import SITE, Product, same

product = Product(sys.argv[1])
os.environ |= {"PLAUSIBLE_BASE_URL": f"http://{product.address}", "PLAUSIBLE_API_KEY": "any", "DO_NOT_TRACK": "1"}

from plausible_mcp import server  # noqa: E402  it reads the environment

METRICS = ["visitors", "pageviews", "bounce_rate", "visit_duration"]
DIMENSIONS = {
    "page": "event:page", "source": "visit:source", "country": "visit:country", "browser": "visit:browser",
    "os": "visit:os", "device": "visit:device", "entry_page": "visit:entry_page", "exit_page": "visit:exit_page",
    "city": "visit:city", "region": "visit:region", "visit:utm_medium": "visit:utm_medium",
    "event:props:plan": "event:props:plan", "goal": "event:goal",
}


def read(answer):
    try:
        return json.loads(answer)
    except ValueError:
        sys.exit(f"the tool failed: {answer}")


same("doctor", read(server.doctor())["status"], "healthy")
for name in ("day", "7d", "30d", "month", "6mo", "12mo"):
    totals = read(server.get_aggregate_stats(SITE, name))["totals"]
    # Ratios without a base are 0 in Plausible's formats.
    expected = {metric: value or 0 for metric, value in product.totals(METRICS, name).items()}
    same(f"totals of {name}", totals, expected)

first, *_, last = sorted(product.series(["visitors"], "91d"))
totals = read(server.get_aggregate_stats(SITE, f"{first},{last}", ["visits", "events", "views_per_visit"]))["totals"]
same(f"totals of {first},{last}", totals, product.totals(["visits", "events", "views_per_visit"], [first, last]))

for name, dimension in DIMENSIONS.items():
    rows = read(server.get_breakdown(SITE, name, "30d", 100))["results"]
    visitors = [row["visitors"] for row in rows]
    same(f"visitors by {name}", visitors, [row["metrics"][0] for row in product.rows(["visitors"], "30d", dimension)])
    assert all(len(row) == 2 and all(value != "" for value in row.values()) for row in rows), rows

points = read(server.get_timeseries(SITE, "30d"))["timeseries"]
same("points of 30 days", len(points), 30)
days = {point["date"]: {"visitors": point["visitors"]} for point in points if point["visitors"]}
same("visitors by day", days, product.series(["visitors"], "30d"))

same("a number of current visitors", isinstance(read(server.get_realtime_visitors(SITE))["realtime_visitors"], int), True)
same("a mistake", "HTTP 400" in server.get_breakdown(SITE, "visit:screen"), True)
