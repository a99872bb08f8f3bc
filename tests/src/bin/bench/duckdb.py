"""The questions of the section `queries`, asked of DuckDB on one thread: python - FOLDER.

Its tables suit it as well as can be: in memory, sorted by time, texts as enums, small numbers, and visits
worked out beforehand. Prints the milliseconds of processor time (the median of the runs after the first), the
milliseconds of a clock, and the rows of each.
"""

import json
import statistics
import sys
import time

import duckdb

RUNS = 3
PAGES = [f"/blog/a-page-about-something-{number}" for number in range(4)]


def load(folder):
    db = duckdb.connect()
    db.execute("set enable_progress_bar = false")
    db.execute(f"""create table staged as select * from read_csv('{folder}/events.csv', header = true, columns = {{
        time: 'bigint', visitor: 'uinteger', visit: 'uinteger', name: 'varchar', page: 'varchar',
        source: 'varchar', country: 'varchar'}})""")
    for column in ("name", "page", "source", "country"):
        db.execute(f"create type {column}s as enum (select distinct {column} from staged order by 1)")
    db.execute("""create table events as select epoch_ms(time) as time, visitor, visit, name::names as name,
        page::pages as page, source::sources as source, country::countrys as country from staged order by time""")
    db.execute("drop table staged")
    db.execute(f"""create table visits as select visit, visitor, source::sources as source, events, views, duration
        from read_csv('{folder}/visits.csv', header = true, columns = {{
        visit: 'uinteger', visitor: 'uinteger', source: 'varchar', country: 'varchar',
        events: 'uinteger', views: 'uinteger', duration: 'uinteger'}})""")
    db.execute("set threads = 1")
    return db


def rounded(number, base):
    """Halves away from zero."""
    return (2 * number + base) // (2 * base)


def pages(days, condition="true"):
    return f"""select page, count(distinct visitor) as visitors from events
        where time >= timestamp '2026-11-28' - interval {days} day and {condition}
        group by page order by visitors desc, page::varchar limit 10"""


def row(dimension, *metrics):
    return {"dimensions": [dimension], "metrics": list(metrics)}


def as_pages(rows):
    return [row(page, visitors) for page, visitors in rows]


def as_sources(rows):
    return [
        row(source, visitors, rounded(100 * bounces, visits), rounded(duration, 1000 * visits))
        for source, visitors, visits, bounces, duration in rows
    ]


def as_days(rows):
    return [row(str(day), visitors, views) for day, visitors, views in rows]


def as_steps(rows):
    return [{"steps": [{"visitors": visitors} for visitors in rows[0]]}]


QUESTIONS = [
    ("top pages, 30 days", pages(30), as_pages),
    ("top pages, 90 days", pages(90), as_pages),
    ("top pages, one country, 90 days", pages(90, "country = 'FR'"), as_pages),
    (
        "sources with bounces and durations, 90 days",
        """select source, count(distinct visitor) as visitors, count(*), count(*) filter (events = 1 and views = 1),
        sum(duration)::bigint from visits group by source order by visitors desc, source::varchar""",
        as_sources,
    ),
    (
        "daily series of a source, 90 days",
        """select time::date as day, count(distinct visitor), count(*) filter (name = 'page_view') from events
        where source = 'source4.example' group by day order by day""",
        as_days,
    ),
    (
        "funnel of four steps, 90 days",
        f"""with a as (select visit, any_value(visitor) as visitor, min(time) as time from events
            where page = '{PAGES[0]}' group by visit),
        b as (select visit, any_value(a.visitor) as visitor, min(events.time) as time from events join a using (visit)
            where page = '{PAGES[1]}' and events.time > a.time group by visit),
        c as (select visit, any_value(b.visitor) as visitor, min(events.time) as time from events join b using (visit)
            where page = '{PAGES[2]}' and events.time > b.time group by visit),
        d as (select visit, any_value(c.visitor) as visitor from events join c using (visit)
            where page = '{PAGES[3]}' and events.time > c.time group by visit)
        select (select count(distinct visitor) from a), (select count(distinct visitor) from b),
            (select count(distinct visitor) from c), (select count(distinct visitor) from d)""",
        as_steps,
    ),
]


def main():
    db = load(sys.argv[1])
    answers = []
    for name, query, shape in QUESTIONS:
        rows = db.execute(query).fetchall()
        worked, elapsed = [], []
        for _ in range(RUNS):
            start, before = time.perf_counter(), time.process_time()
            db.execute(query).fetchall()
            worked.append((time.process_time() - before) * 1000)
            elapsed.append((time.perf_counter() - start) * 1000)
        answers.append({
            "name": name,
            "ms": statistics.median(worked),
            "elapsed_ms": statistics.median(elapsed),
            "rows": shape(rows),
        })
    print(json.dumps(answers))


main()
