"""Checks requests and responses of version 2 against their schema: v2.py ADDRESS"""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator
from ours import SITE, Product, same

product = Product(sys.argv[1])
schema = json.loads((Path(__file__).parent / "v2.schema.json").read_text(encoding="utf-8"))
request, response, error = (
    Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]})
    for name in ("request", "response", "error")
)
COUNTS = ["visitors", "visits", "pageviews", "events"]
DIMENSIONS = [one for one in schema["$defs"]["dimension"]["anyOf"][0]["enum"] if not one.startswith("time")]
FILTERS = [
    ["is", "visit:country_name", ["France"]],
    ["contains", "event:page", ["/BLOG"], {"case_sensitive": False}],
    ["matches_not", "event:page", ["^/blog/.$"]],
    ["and", [["is", "event:name", ["pageview"]], ["or", [["is", "visit:device", ["Desktop"]], ["not", ["is", "visit:os", ["iOS"]]]]]]],
    ["has_done", ["is", "event:goal", ["signup"]]],
    ["has_not_done", ["is", "event:page", ["/cv"]]],
    ["is", "event:props:plan", ["(none)"]],
]
ASKED = [
    {"metrics": COUNTS + ["views_per_visit", "bounce_rate", "visit_duration"], "date_range": "all"},
    {"date_range": "24h", "dimensions": ["time"], "include": {"time_labels": True}},
    {"date_range": "91d", "dimensions": ["time:week"], "include": {"time_labels": True, "imports": True}},
    {"dimensions": ["visit:source", "visit:country_name"], "order_by": [["visits", "asc"], ["visit:source", "desc"]]},
    {"dimensions": ["event:page"], "include": {"total_rows": True}, "pagination": {"limit": 2, "offset": 1}},
    {"date_range": ["2026-01-01", "2026-01-31"]},
    {"date_range": ["2026-01-01T12:00:00+02:00", "2026-01-01T15:59:59Z"]},
    {"metrics": ["scroll_depth", "time_on_page"], "dimensions": ["event:page"]},
    {"metrics": ["visitors", "percentage"], "dimensions": ["visit:device"]},
    {"metrics": ["conversion_rate", "group_conversion_rate"], "dimensions": ["visit:source"],
     "filters": [["is", "event:goal", ["signup"]]]},
    *({"dimensions": [dimension]} for dimension in DIMENSIONS + ["event:props:plan"]),
    *({"filters": [one]} for one in FILTERS),
    *({"date_range": name} for name in ("day", "7d", "28d", "month", "6mo", "12mo", "year")),
]
REFUSED = [
    {"metrics": []}, {"metrics": ["clicks"]}, {"metrics": ["visitors", "visitors"]}, {"metrics": "visitors"},
    {"date_range": "fortnight"}, {"date_range": ["2026-01-01"]}, {"dimensions": ["visit:screen"]},
    {"filters": [["is", "event:page", []]]}, {"filters": [["is", "event:page"]]}, {"filters": [["xor", []]]},
    {"order_by": [["visitors", "up"]]}, {"include": {"everything": True}}, {"pagination": {"limit": 0}},
    {"pagination": {"limit": 10_001}}, {"pagination": {"offset": -1}}, {"limit": 5},
]


def sent(change):
    query = {"site_id": SITE, "metrics": COUNTS, "date_range": "30d", **change}
    return query, *product.send("POST", "/api/v2/query", query)


for change in ASKED:
    query, status, answer = sent(change)
    request.validate(query)
    if status != 200:
        sys.exit(f"{query}: {status} {answer}")
    response.validate(answer)
    assert all(len(row["metrics"]) == len(query["metrics"]) for row in answer["results"]), answer
    assert all(len(row["dimensions"]) == len(query.get("dimensions", [])) for row in answer["results"]), answer
    assert "dimensions" in query or len(answer["results"]) == 1, answer
same("requests that are answered", len(ASKED) > 50, True)

for change in REFUSED:
    query, status, answer = sent(change)
    same(f"{change} is refused", (request.is_valid(query), status, error.is_valid(answer)), (False, 400, True))
same("no site", product.send("POST", "/api/v2/query", {"metrics": COUNTS, "date_range": "7d"})[0], 401)

_, _, answer = sent({"metrics": COUNTS, "date_range": "30d", "dimensions": ["event:page"]})
same("rows", [(row["dimensions"], row["metrics"]) for row in answer["results"] if row["dimensions"] != ["(not set)"]],
     [(row["dimensions"], row["metrics"]) for row in product.rows(COUNTS, "30d", "event:page") if row["dimensions"] != [""]])
