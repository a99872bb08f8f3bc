"""Dimensions of events, and filters over them."""

import re

from events import ARRIVAL, BUILT_IN, CLIENT, normal, text

EVENT_FIELDS = {
    "name": lambda event: event.name,
    "page": lambda event: event.page,
    "hostname": lambda event: event.hostname,
    "theme": lambda event: event.theme,
    "letter_type": lambda event: event.data.get("letter_type", "") if event.name == "letter_generate" else "",
    "element": lambda event: event.data.get("element", "") if event.name.endswith("_click") else "",
}
PAGES = ("event:page", "visit:entry_page", "visit:exit_page")


def value(event, dimension):
    """What an event says of a dimension, other than time and goals."""
    kind, _, name = dimension.partition(":")
    if dimension.startswith("event:props:"):
        return event.properties.get(dimension.removeprefix("event:props:"), "")
    if kind == "event":
        return EVENT_FIELDS[name](event)
    return visit_value(event.visit, name)


def visit_value(visit, name):
    """What a visit says of a dimension."""
    if visit is None:
        return ""
    if name.startswith(("entry_page", "exit_page")):
        if not visit.views:
            return ""
        view = visit.views[0 if name.startswith("entry") else -1]
        return view.hostname if name.endswith("hostname") else view.page
    return visit.first.arrival[name] if name in ARRIVAL else visit.first.client[name]


def goals(event):
    """The rows of `event:goal` that an event stands in, as long as no goals are configured."""
    return [] if event.name in BUILT_IN else [event.name]


def passes(event, condition):
    """Whether a filter holds for an event."""
    operator, *rest = condition
    if operator == "and":
        return all(passes(event, one) for one in rest[0])
    if operator == "or":
        return any(passes(event, one) for one in rest[0])
    if operator == "not":
        return not passes(event, rest[0])
    if operator in ("has_done", "has_not_done"):
        done = event.visit is not None and any(passes(other, rest[0]) for other in event.visit.events)
        return done == (operator == "has_done")
    if operator.endswith("_not"):
        return not passes(event, [operator.removesuffix("_not"), *rest])
    return _compare(event, operator, *rest)


def _compare(event, operator, dimension, values, options=None):
    values = [text(one) for one in values]
    if dimension == "event:goal":
        return any(_reaches(event, goal) for goal in values)
    fold = str.lower if options == {"case_sensitive": False} else str
    here = value(event, dimension)
    if operator == "matches":
        flags = re.IGNORECASE if fold is str.lower else 0
        return any(re.search(pattern, here, flags) for pattern in values)
    if operator == "is":
        values = [normal(one) if dimension in PAGES and one else one for one in values]
        return fold(here) in map(fold, values)
    return any(fold(one) in fold(here) for one in values)


def _reaches(event, goal):
    if not goal.startswith("Visit "):
        return event.name == goal
    pattern = ".*".join(map(re.escape, goal.removeprefix("Visit ").split("*")))
    return event.name == "page_view" and re.fullmatch(pattern, event.page) is not None


def names(condition, dimension):
    """Whether a filter looks at a dimension (or at those whose names begin so)."""
    operator, *rest = condition
    if operator in ("and", "or"):
        return any(names(one, dimension) for one in rest[0])
    if operator in ("not", "has_done", "has_not_done"):
        return names(rest[0], dimension)
    return rest[0].startswith(dimension)


def is_of_pages(condition):
    """Whether a filter looks at pages of events and at nothing else."""
    operator, *rest = condition
    if operator in ("and", "or"):
        return all(map(is_of_pages, rest[0]))
    if operator == "not":
        return is_of_pages(rest[0])
    return rest[0] == "event:page"
