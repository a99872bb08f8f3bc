"""Queries: metrics by dimensions."""

from filters import goals, is_of_pages, names, passes, value, visit_value
from ratios import change, percent, ratio
from spans import Span, Zone

GOALS_AND_PROPERTIES = ("event:goal", "event:props:")


class EntryPage:
    """What filters on pages look at when they are asked about entry pages."""

    def __init__(self, visit):
        self.page = visit_value(visit, "entry_page")


class Answer:
    """The rows of one query over one span; `unit` is what its dimension `time` stands for."""

    def __init__(self, query, events, span, unit):
        self.query, self.span, self.unit = query, span, unit
        self.filters = query.get("filters", [])
        self.dimensions = [self.resolved(dimension) for dimension in query.get("dimensions", [])]
        by_name = "event:name" in self.dimensions or any(names(one, "event:name") for one in self.filters)
        self.inside = [event for event in events if event.time in span]
        self.countable = [event for event in self.inside if by_name or not event.is_report]
        self.matching = self.left(self.filters)
        self.rows = self.grouped(self.matching)
        self.reports = self.grouped([event for event in self.inside if event.is_report and self.holds(event)])
        self.places = self.visits_by_place()
        self.visitors = len({event.visitor for event in self.matching})
        kept = [one for one in self.filters if not any(names(one, goal) for goal in GOALS_AND_PROPERTIES)]
        self.unconverted = self.left(kept)
        self.unconverted_rows = self.grouped(self.unconverted)

    def resolved(self, dimension):
        return "time:" + self.unit if dimension == "time" else dimension

    def holds(self, event):
        return all(passes(event, one) for one in self.filters)

    def left(self, filters):
        """The events that filters leave."""
        return [event for event in self.countable if all(passes(event, one) for one in filters)]

    def keys(self, event):
        """The rows that an event stands in."""
        keys = [()]
        for dimension in self.dimensions:
            keys = [key + (one,) for key in keys for one in self.values(event, dimension)]
        return keys

    def values(self, event, dimension):
        if dimension == "event:goal":
            return goals(event)
        if dimension.startswith("time:"):
            return [self.span.label(dimension.removeprefix("time:"), event.time)]
        if dimension.startswith(("visit:entry_page", "visit:exit_page")) and not (event.visit and event.visit.views):
            return []
        return [value(event, dimension)]

    def grouped(self, events):
        rows = {}
        for event in events:
            for key in self.keys(event):
                rows.setdefault(key, []).append(event)
        return rows if self.dimensions else {(): rows.get((), [])}

    def visits_by_place(self):
        """The visits of each row for what is said of whole visits: by page those that entered
        there, by time those whose first matching event lies there."""
        first = {}
        for event in self.matching:
            if event.visit:
                first.setdefault(event.visit, event)
        places = {}
        for visit, event in first.items():
            key = ()
            for dimension in self.dimensions:
                if dimension in ("event:page", "event:hostname"):
                    name = {"event:page": "entry_page", "event:hostname": "entry_page_hostname"}[dimension]
                    key += (visit_value(visit, name),) if visit.views else (None,)
                else:
                    values = self.values(event, dimension)
                    key += (values[0],) if values else (None,)
            places.setdefault(key, []).append(visit)
        return places

    def entered(self, visits):
        """Those whose entry page, the empty value without one, passes the filters on pages."""
        on_pages = [one for one in self.filters if is_of_pages(one)]
        return [visit for visit in visits if all(passes(EntryPage(visit), one) for one in on_pages)]

    def metric(self, metric, key):
        rows = self.rows.get(key, [])
        visitors = len({event.visitor for event in rows})
        visits = len({event.visit for event in rows if event.visit})
        views = sum(event.name == "page_view" for event in rows)
        place = self.places.get(key, [])
        if metric == "visitors":
            return visitors
        if metric == "visits":
            return visits
        if metric == "pageviews":
            return views
        if metric == "events":
            return len(rows)
        if metric == "views_per_visit":
            return ratio(views, visits, 2)
        if metric == "bounce_rate":
            entered = self.entered(place)
            return percent(sum(visit.is_bounce for visit in entered), len(entered))
        if metric == "visit_duration":
            return ratio(sum(visit.duration for visit in place), 1000 * len(place))
        if metric == "scroll_depth":
            return self.reported(key, "depth", max)
        if metric == "time_on_page":
            return self.reported(key, "visible_seconds", sum)
        if metric == "percentage":
            return percent(visitors, self.visitors, 1)
        base = self.unconverted_rows.get(key, []) if metric == "group_conversion_rate" else self.unconverted
        return percent(visitors, len({event.visitor for event in base}), 2)

    def reported(self, key, field, together):
        """The mean over visits and pages of what reports say."""
        said = {}
        for event in self.reports.get(key, []):
            if event.visit and field in event.data:
                said.setdefault((event.visit, event.page), []).append(event.data[field])
        return ratio(sum(map(together, said.values())), len(said))

    def metrics(self, key):
        return [self.metric(metric, key) for metric in self.query["metrics"]]


def compared_key(answer, other, key):
    """The row of the other range that a row is compared with: times by their place in the range,
    none where the other range is shorter."""
    result = ()
    for dimension, here in zip(answer.dimensions, key):
        if dimension.startswith("time:"):
            unit = dimension.removeprefix("time:")
            index, labels = answer.span.labels(unit).index(here), other.span.labels(unit)
            if index >= len(labels):
                return None
            here = labels[index]
        result += (here,)
    return result


def order(answer, rows):
    """The rows in the order that the query asks for."""
    query, dimensions = answer.query, answer.dimensions
    times = [dimension for dimension in dimensions if dimension.startswith("time:")]
    default = [[one, "asc"] for one in times] + [[query["metrics"][0], "desc"]]
    wanted = [[answer.resolved(name), direction] for name, direction in query.get("order_by", default)]

    def by_dimension(index):
        name = dimensions[index]
        whole = name in ("time:hour_of_day", "time:day_of_week")
        instant = name in ("time:hour", "time:minute")
        if instant:
            labels = {label: place for place, label in enumerate(answer.span.labels(name.removeprefix("time:")))}
            return lambda row: labels[row[0][index]]
        return lambda row: int(row[0][index]) if whole else row[0][index].encode()

    # Sorting is stable: the last criterion first.
    for index in reversed(range(len(dimensions))):
        rows.sort(key=by_dimension(index))
    for name, direction in reversed(wanted):
        if name in dimensions:
            rows.sort(key=by_dimension(dimensions.index(name)), reverse=direction == "desc")
            continue
        index = query["metrics"].index(name)
        rows.sort(key=lambda row: row[1][index] or 0, reverse=direction == "desc")
        rows.sort(key=lambda row: row[1][index] is None)
    return rows


def answer(query, events, now):
    """What the product must answer: rows, their number, and what `meta` says of the range."""
    zone = Zone(query.get("timezone", "UTC"))
    span = Span.of(query["date_range"], now, zone, events)
    compare = query.get("compare")
    span = span.until(now) if compare else span
    unit = span.unit()
    here = Answer(query, events, span, unit)
    rows = order(here, [(key, here.metrics(key)) for key in here.rows])
    total = len(rows)
    offset = query.get("offset", 0)
    rows = rows[offset:offset + query.get("limit", 100)]
    results = [{"dimensions": list(key), "metrics": metrics} for key, metrics in rows]
    if not compare:
        return results, total, span, None
    there = Answer(query, events, span.compared(compare, now, events), unit)
    for (key, metrics), result in zip(rows, results):
        other = compared_key(here, there, key)
        then = [None] * len(metrics) if other is None else there.metrics(other)
        changes = [change(*each) for each in zip(query["metrics"], metrics, then)]
        result["comparison"] = {"dimensions": other and list(other), "metrics": then, "change": changes}
    return results, total, span, there.span
