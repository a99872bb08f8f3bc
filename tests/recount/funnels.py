"""Funnels and retention."""

from collections import defaultdict
from datetime import timedelta
from fractions import Fraction

from filters import passes, value
from ratios import percent, rounded
from spans import Span, Zone


def funnel(query, events, now):
    """What the product must answer to a funnel: its rows and their number."""
    span = Span.of(query["date_range"], now, Zone(query.get("timezone", "UTC")), events)
    inside = [event for event in events if event.time in span and not event.is_report]
    filters = query.get("filters", [])
    visits = {event.visit for event in inside if all(passes(event, one) for one in filters)}
    inside = [event for event in inside if event.visit in visits]
    threads = defaultdict(list)
    for event in inside:
        threads[event.visitor].append(event)
    groups = defaultdict(list)
    for thread in threads.values():
        if taken := furthest(query, thread):
            name = value(taken[0], query["dimension"]) if "dimension" in query else None
            groups[name].append([event.time for event in taken])
    if "dimension" not in query:
        return [{"steps": steps(query, groups[None])}], 1
    rows = [{"value": name, "steps": steps(query, group)} for name, group in groups.items()]
    rows.sort(key=lambda row: (-row["steps"][0]["visitors"], row["value"].encode()))
    return rows[:query.get("limit", 100)], len(rows)


def steps(query, reached):
    """The steps of a funnel; the times of each visitor's steps are given."""
    result, before = [], len(reached)
    for number in range(len(query["steps"])):
        there = [times for times in reached if len(times) > number]
        visitors = len(there)
        took = sorted(times[number] - times[number - 1] for times in there) if number else []
        result.append({
            "visitors": visitors,
            "drop_off": before - visitors,
            "drop_off_rate": percent(before - visitors, before, 2) if number else None,
            "conversion_rate": percent(visitors, len(reached), 2),
            "median_seconds": median(took),
        })
        before = visitors
    return result


def furthest(query, thread):
    """The events of the earliest of the attempts that get furthest: with a dimension, a visitor
    counts once too, at the value of the first of them."""
    return max((attempt(query, thread, start) for start in range(len(thread))), key=len)


def attempt(query, thread, start):
    """The events of the steps of the attempt that begins with this event."""
    first, wanted, within = thread[start], query["steps"], query.get("within", "visit")
    if not passes(first, wanted[0]):
        return []
    taken = [first]
    for event in thread[start + 1:]:
        inside = event.visit is first.visit if within == "visit" else event.time - first.time <= 1000 * within
        if len(taken) == len(wanted) or not inside:
            break
        if passes(event, wanted[len(taken)]):
            taken.append(event)
        elif query.get("order") == "strict":
            break
    return taken


def median(milliseconds):
    """Of sorted times, in seconds."""
    if not milliseconds:
        return None
    middle = len(milliseconds) // 2
    both = milliseconds[middle] + milliseconds[middle if len(milliseconds) % 2 else middle - 1]
    return rounded(Fraction(both, 2000))


def retention(query, events, now):
    """What the product must answer about returning visitors."""
    zone = Zone(query.get("timezone", "UTC"))

    def week_of(instant):
        day = zone.date(instant)
        return day - timedelta(days=day.weekday())

    explicit = [event for event in events if event.client["explicit"] == "1" and not event.is_report]
    weeks = defaultdict(set)
    for event in explicit:
        weeks[event.visitor].add(week_of(event.time))
    cohorts = defaultdict(list)
    for seen in weeks.values():
        cohorts[min(seen)].append(seen)
    running, rows = week_of(now), []
    for week in sorted(cohorts):
        seen = cohorts[week]
        counts = []
        for number in range(query["weeks"]):
            later = week + timedelta(weeks=number)
            if later <= running:
                counts.append(sum(later in one for one in seen))
        rows.append({"week": str(week), "visitors": len(seen), "returned": counts,
                     "rates": [percent(count, len(seen), 2) for count in counts], "first": not rows,
                     "running": week + timedelta(weeks=len(counts) - 1) == running})
    return rows
