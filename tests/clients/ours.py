"""The product's own answers, which clients of Plausible's formats must show too."""

import http.client
import json
import sys

SITE = "cv.example"


class Product:
    """A running server; how it answers queries is tested elsewhere (`tests/recount`)."""

    def __init__(self, address):
        self.address = address

    def send(self, method, path, body=None):
        """The status and the body of an answer."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request(method, path, body and json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def rows(self, metrics, date_range, dimension=None, limit=100):
        """The results of a query."""
        query = {"site": SITE, "metrics": metrics, "date_range": date_range, "limit": limit,
                 "dimensions": [dimension] if dimension else []}
        status, answer = self.send("POST", "/api/v1/analytics/query", query)
        assert status == 200, answer
        return answer["data"]["results"]

    def totals(self, metrics, date_range):
        """The values of metrics by their names."""
        return dict(zip(metrics, self.rows(metrics, date_range)[0]["metrics"]))

    def series(self, metrics, date_range):
        """Metrics by day, days without events left out."""
        rows = self.rows(metrics, date_range, "time:day", 10_000)
        return {row["dimensions"][0]: dict(zip(metrics, row["metrics"])) for row in rows}


def same(what, found, expected):
    """Ends the program unless both are equal and say something."""
    if found != expected or not expected:
        sys.exit(f"{what}\n  expected {expected}\n  found    {found}")
    print(f"{what}: ok")
