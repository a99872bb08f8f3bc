"""What is asked: (kind, query)."""

from datetime import date, timedelta

from spans import Zone

COUNTS = ["visitors", "visits", "pageviews", "events"]
WHOLE = COUNTS + ["views_per_visit", "bounce_rate", "visit_duration"]
PARIS, KOLKATA, NEW_YORK = "Europe/Paris", "Asia/Kolkata", "America/New_York"


def changes_of_clocks(today):
    """The latest day on which Paris changed its clocks."""
    zone, day = Zone(PARIS), today
    while zone.start(day + timedelta(days=1)) - zone.start(day) == 24 * 3_600_000:
        day -= timedelta(days=1)
    return day


def all_queries(now):
    today = Zone("UTC").date(now)
    month_ago, week_ago = str(today - timedelta(days=30)), str(today - timedelta(days=7))
    clocks = changes_of_clocks(today)
    around = [str(clocks - timedelta(days=2)), str(clocks + timedelta(days=2))]
    article = ["contains", "event:page", ["/blog"]]
    signup = ["is", "event:goal", ["signup"]]

    def ask(metrics, date_range, dimensions=(), filters=(), **more):
        query = {"metrics": metrics, "date_range": date_range, "dimensions": list(dimensions),
                 "filters": list(filters), **more}
        return "", query

    def csv(metrics, date_range, *rest, **more):
        return "csv", ask(metrics, date_range, *rest, **more)[1]

    def funnel(steps, **more):
        return "funnel", {"steps": steps, "date_range": "all", **more}

    return [
        # Totals and ranges.
        ask(WHOLE, "all"),
        ask(WHOLE, "30d", timezone=PARIS),
        ask(WHOLE, "7d", compare="previous_period"),
        ask(COUNTS, "day", timezone=NEW_YORK, compare="previous_period"),
        ask(COUNTS, "24h"),
        ask(COUNTS, "24h", ["time:hour"], timezone=KOLKATA),
        ask(COUNTS, "30m", ["time:minute"]),
        ask(["visitors", "events"], "realtime"),
        ask(WHOLE, "month", compare="previous_period", timezone=PARIS),
        ask(WHOLE, "year", ["time:month"], timezone=PARIS),
        ask(WHOLE, "6mo", ["time:week"]),
        ask(COUNTS, [month_ago, str(today)], compare="year_over_year"),
        ask(COUNTS, "28d", compare={"mode": "previous_period", "match_day_of_week": True}),
        ask(COUNTS, [week_ago + "T06:30:00+02:00", str(today) + "T05:29:59Z"], compare="previous_period"),
        # Time, where clocks change too.
        ask(WHOLE, around, ["time:day"], timezone=PARIS),
        ask(WHOLE, around, ["time:hour"], timezone=PARIS, include={"time_labels": True}, limit=200),
        ask(COUNTS, around, ["time:day"], timezone=KOLKATA),
        ask(COUNTS, around, ["time"], timezone=PARIS, compare="previous_period"),
        ask(WHOLE, "91d", ["time:day_of_week", "time:hour_of_day"], timezone=NEW_YORK, limit=200),
        ask(COUNTS, "30d", ["time:day"], timezone=PARIS, compare="previous_period"),
        ask(COUNTS, "91d", ["time"], compare=[month_ago, str(today)]),
        # Dimensions.
        ask(WHOLE, "91d", ["event:page"]),
        ask(WHOLE, "91d", ["event:hostname"]),
        ask(COUNTS + ["percentage"], "30d", ["visit:source"], limit=5, offset=2),
        ask(WHOLE + ["percentage"], "all", ["visit:channel"], order_by=[["bounce_rate", "asc"], ["visit:channel", "desc"]]),
        ask(COUNTS, "all", ["visit:entry_page", "visit:exit_page"]),
        ask(WHOLE, "all", ["visit:country", "visit:device", "visit:browser"]),
        ask(COUNTS, "all", ["event:theme"]),
        ask(["visitors", "events"], "all", ["event:letter_type"], [["is", "event:name", ["letter_generate"]]]),
        ask(["events", "visitors"], "all", ["event:name"]),
        ask(["events"], "all", ["event:props:plan"], [["is", "event:name", ["signup"]]]),
        ask(["visitors", "events"], "all", ["event:props:seats"], [["is_not", "event:props:seats", [""]]]),
        ask(COUNTS, "all", ["visit:utm_source", "visit:utm_campaign"]),
        ask(COUNTS, "all", ["visit:language", "visit:screen"]),
        ask(COUNTS, "all", ["visit:os", "visit:os_version", "visit:browser_version"]),
        ask(COUNTS, "all", ["visit:region", "visit:city"]),
        ask(WHOLE, "all", ["event:page", "visit:device"], [["is", "visit:country", ["FR", "BE"]]]),
        ask(["visits", "bounce_rate"], "all", ["event:page", "time:week"], compare="previous_period"),
        ask(["scroll_depth", "time_on_page", "visitors"], "all", ["event:page"]),
        ask(["scroll_depth", "time_on_page"], "all", [], [["is", "event:page", ["/blog/a", "/cv"]]]),
        ask(["visitors"], "all", ["visit:referrer"], order_by=[["visit:referrer", "asc"]], limit=7),
        # Filters.
        ask(WHOLE, "all", [], [["is", "event:page", ["/blog/a/"]]]),
        ask(WHOLE, "all", ["event:page"], [article]),
        ask(WHOLE, "all", [], [["not", article], ["contains_not", "visit:source", ["Goo"]]]),
        ask(WHOLE, "all", ["visit:source"], [["has_done", ["is", "event:page", ["/cv"]]]]),
        ask(COUNTS, "all", [], [["has_not_done", ["or", [signup, article]]]]),
        ask(COUNTS, "all", ["event:page"], [["matches", "event:page", ["^/blog/[a-c]$", "cv"]]]),
        ask(COUNTS, "all", ["event:page"], [["matches_not", "event:page", ["^/blog"]]], limit=10),
        ask(COUNTS, "all", [], [["contains", "event:page", ["/BLOG"], {"case_sensitive": False}]]),
        ask(COUNTS, "all", ["visit:device"], [
            ["or", [["and", [["is", "visit:country", ["FR"]], ["is_not", "visit:device", ["mobile"]]]],
                    ["not", ["or", [["is", "visit:channel", ["Direct"]], article]]]]]]),
        ask(COUNTS, "all", [], [["is", "visit:entry_page", ["/cv"]], ["is_not", "visit:exit_page", ["/cv"]]]),
        ask(COUNTS, "all", [], [["is", "event:props:seats", [3, "7"]]]),
        ask(["visitors", "events"], "all", [], [["is", "event:name", ["scroll", "signup"]]]),
        # Goals.
        ask(["visitors", "conversion_rate", "group_conversion_rate"], "all", ["visit:source"], [signup]),
        ask(["visitors", "events", "conversion_rate"], "all", [], [["is", "event:goal", ["Visit /blog/*", "signup"]]]),
        ask(["visitors", "conversion_rate"], "all", ["event:goal"]),
        ask(["visitors", "conversion_rate", "group_conversion_rate"], "91d", ["event:page"],
            [signup, ["is", "event:props:plan", ["pro"]], ["is", "visit:device", ["desktop"]]], compare="previous_period"),
        # As CSV.
        csv(WHOLE, "30d", ["visit:source"], compare="previous_period"),
        csv(WHOLE + ["percentage"], "all", ["event:page", "visit:utm_source"], limit=50),
        csv(["events"], "all", ["event:props:quote"], [["is", "event:name", ["signup"]]]),
        csv(["scroll_depth"], "all", ["event:page"]),
        # Funnels.
        funnel([["is", "event:page", ["/"]], ["contains", "event:page", ["/blog"]]]),
        funnel([["is", "event:page", ["/cv"]], ["is", "event:page", ["/cv"]], signup], dimension="visit:device"),
        funnel([article, article, ["is", "event:page", ["/cv"]]], order="strict", date_range="91d", timezone=PARIS),
        funnel([["is", "event:page", ["/cv"]], signup], within=3_600),
        funnel([["is", "event:page", ["/cv"]], article, signup], within=7 * 86_400,
               filters=[["is_not", "visit:device", ["mobile"]]]),
        funnel([["is", "event:page", ["/cv"]], article], dimension="visit:source", limit=3),
        # Retention.
        ("retention", {"weeks": 12, "timezone": PARIS}),
        ("retention", {"weeks": 3}),
    ]
