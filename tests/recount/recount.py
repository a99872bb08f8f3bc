"""Asks a running server many queries and compares each digit with a recount of the exported events.

    recount.py ADDRESS EXPORT SITE

Written from the contract alone: it shares nothing with the product. Standard library only.
"""

import http.client
import json
import sys
import time
from decimal import Decimal

import events as exported
import funnels
import metrics
from queries import all_queries
from spans import Zone

API = "/api/v1/analytics/query"
CSV_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def main():
    address, export, site = sys.argv[1:]
    with open(export, encoding="utf-8") as lines:
        events = exported.read(lines, site)
    connection = http.client.HTTPConnection(address, timeout=30)
    wrong = 0
    queries = all_queries(clock())
    rows = 0
    for kind, query in queries:
        query["site"] = site
        found, now = asked(connection, kind, query)
        expected, found = compared(kind, query, events, now, found)
        rows += expected.count("\n")
        if expected != found:
            wrong += 1
            print(f"\n{kind or 'query'} {json.dumps(query)} at {now}")
            print_differences(expected.splitlines(), found.splitlines())
    print(f"{len(queries)} queries about {len(events)} events, {rows} lines compared, {wrong} wrong")
    sys.exit(1 if wrong or not events else 0)


def clock():
    """Now, in milliseconds."""
    return time.time_ns() // 1_000_000


def asked(connection, kind, query):
    """The answer, and a time at which it was computed: asked again if the minute changed."""
    path = API + {"": "", "csv": "?format=csv", "funnel": "/funnel", "retention": "/retention"}[kind]
    while True:
        before = clock()
        connection.request("POST", path, json.dumps(query), {"content-type": "application/json"})
        response = connection.getresponse()
        body = response.read().decode()
        if response.status != 200:
            raise SystemExit(f"{json.dumps(query)}: {response.status} {body}")
        if before // exported.MINUTE == clock() // exported.MINUTE:
            break
    if kind == "csv":
        return body, before
    return json.loads(body, parse_float=Decimal), before


def compared(kind, query, events, now, found):
    """What is expected and what was found, as lines."""
    if kind == "retention":
        rows = funnels.retention(query, events, now)
        return lines(rows), lines(found["data"]["results"])
    if kind == "funnel":
        rows, total = funnels.funnel(query, events, now)
        return lines([*rows, total]), lines([*found["data"]["results"], found["data"]["total_rows"]])
    if kind == "csv":
        return csv(query, metrics.answer(query, events, now)[0]), found
    meta = found["meta"]
    now = time_of_answer(query, meta, now)
    results, total, span, comparison = metrics.answer(query, events, now)
    expected = {"range": instants(span), "total_rows": total, "provisional": span.end > now - exported.DAY,
                "visitors": "distinct"}
    if comparison:
        expected["comparison_range"] = instants(comparison)
    if query.get("include", {}).get("time_labels"):
        expected["time_labels"] = span.labels(query["dimensions"][0].removeprefix("time:"))
    told = {name: meta[name] for name in expected if name in meta}
    told["total_rows"] = found["data"]["total_rows"]
    return lines([expected, *results]), lines([told, *found["data"]["results"]])


def time_of_answer(query, meta, before):
    """The moment that ranges up to now end at, which the answer tells: after the question, within its minute."""
    end = exported.milliseconds(meta["range"][1])
    if query["date_range"] == "realtime":
        end -= 5 * exported.MINUTE
    return end if before <= end <= clock() else before


def instants(span):
    zone = Zone("UTC")
    return [zone.local(instant).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant % 1000:03}Z"
            for instant in (span.start, span.end)]


def lines(rows):
    """Rows as lines that can be compared; numbers by their value."""
    return "\n".join(json.dumps(_numbers(row), sort_keys=True, ensure_ascii=False) for row in rows)


def _numbers(value):
    if isinstance(value, dict):
        return {key: _numbers(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numbers(one) for one in value]
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return f"{Decimal(value).normalize():f}"
    return value


def csv(query, results):
    """The results by RFC 4180."""
    compare = "compare" in query
    names = [name + end for name in query["metrics"] for end in (("", "_comparison", "_change") if compare else ("",))]
    rows = [query["dimensions"] + names]
    for row in results:
        cells = [f"'{value}" if value.startswith(CSV_FORMULAS) else value for value in row["dimensions"]]
        for number, metric in enumerate(row["metrics"]):
            cells.append(metric)
            if compare:
                cells += [row["comparison"][side][number] for side in ("metrics", "change")]
        rows.append(cells)
    return "".join(",".join(map(cell, row)) + "\r\n" for row in rows)


def cell(value):
    value = "" if value is None else str(value)
    if any(character in value for character in ',"\r\n'):
        value = '"' + value.replace('"', '""') + '"'
    return value


def print_differences(expected, found):
    shown = 0
    for number in range(max(len(expected), len(found))):
        here, there = (side[number] if number < len(side) else "nothing" for side in (expected, found))
        if here != there and shown < 3:
            shown += 1
            print(f"  line {number}\n    expected {here}\n    found    {there}")


if __name__ == "__main__":
    main()
