"""Ranges of time, the buckets within them, and the ranges that they are compared with."""

import re
from datetime import date, datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

from events import DAY, MINUTE, milliseconds

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Zone:
    """The days and hours of a time zone."""

    def __init__(self, name):
        self.zone = ZoneInfo(name)

    def local(self, instant):
        return (EPOCH + timedelta(milliseconds=instant)).astimezone(self.zone)

    def date(self, instant):
        return self.local(instant).date()

    def instant(self, local):
        """The first instant with this local time."""
        return round((local.replace(tzinfo=self.zone) - EPOCH) / timedelta(milliseconds=1))

    def start(self, day):
        """The first instant of a day."""
        return self.instant(datetime(day.year, day.month, day.day))


def plus_months(day, months):
    """The first day of the month that lies so many months after that of `day`."""
    month = day.year * 12 + day.month - 1 + months
    return date(month // 12, month % 12 + 1, 1)


class Span:
    """Half-open, in milliseconds; of whole days if they are known."""

    def __init__(self, start, end, zone, first=None, days=None):
        self.start, self.end, self.zone = start, end, zone
        self.first, self.days = first, days
        self.label, self.labels = cache(self.label), cache(self.labels)

    def __contains__(self, instant):
        return self.start <= instant < self.end

    @classmethod
    def of_days(cls, first, end, zone):
        """From the first day up to and without the end."""
        return cls(zone.start(first), zone.start(end), zone, first, (end - first).days)

    @classmethod
    def of(cls, asked, now, zone, events):
        """The range that a query names."""
        today, one = zone.date(now), timedelta(days=1)
        if isinstance(asked, list):
            if "T" not in asked[0]:
                first, last = map(date.fromisoformat, asked)
                return cls.of_days(first, last + one, zone)
            start, end = map(milliseconds, asked)
            return cls(start, end + 1000 if end % 1000 == 0 else end, zone)
        number = int(re.match(r"\d*", asked)[0] or 0)
        if asked == "day":
            return cls.of_days(today, today + one, zone)
        if asked == "month":
            return cls.of_days(today.replace(day=1), plus_months(today, 1), zone)
        if asked == "year":
            return cls.of_days(date(today.year, 1, 1), date(today.year + 1, 1, 1), zone)
        if asked == "all":
            first = zone.date(min(event.time for event in events))
            return cls.of_days(first, today + one, zone)
        if asked.endswith("mo"):
            return cls.of_days(plus_months(today, -number), plus_months(today, 0), zone)
        if asked.endswith("d"):
            return cls.of_days(today - number * one, today, zone)
        if asked == "realtime":
            # Events may lie five minutes ahead of the clock, and are current then.
            return cls(now - 5 * MINUTE, now + 5 * MINUTE, zone)
        minutes = {"24h": 24 * 60, "30m": 30}[asked]
        return cls(now - minutes * MINUTE, now, zone)

    def until(self, now):
        """The same without what lies in the future."""
        if self.end <= now:
            return self
        days = self.days and (self.zone.date(now - 1) - self.first).days + 1
        return Span(self.start, now, self.zone, self.first, days)

    def compared(self, mode, now, events):
        """The range that this one, cut at now, is compared with."""
        if isinstance(mode, list):
            return Span.of(mode, now, self.zone, events)
        weekdays = isinstance(mode, dict) and mode.get("match_day_of_week")
        mode = mode["mode"] if isinstance(mode, dict) else mode
        if self.days is None:
            length = self.end - self.start
            return Span(self.start - length, self.start, self.zone)
        if mode == "previous_period":
            first = self.first - timedelta(days=self.days)
        else:
            leap = (self.first.month, self.first.day) == (2, 29)
            first = self.first.replace(year=self.first.year - 1, day=28 if leap else self.first.day)
        if weekdays:
            off = (self.first.weekday() - first.weekday()) % 7
            first += timedelta(days=off if off <= 3 else off - 7)
        whole = Span.of_days(first, first + timedelta(days=self.days), self.zone)
        if self.end == self.zone.start(self.first + timedelta(days=self.days)):
            return whole
        end = self.zone.local(self.end).replace(tzinfo=None) - (self.first - first)
        whole.end = self.zone.instant(end)
        return whole

    def unit(self):
        """What `time` stands for."""
        length = self.end - self.start
        days = self.days if self.days is not None else -(-length // DAY)
        if length <= 2 * DAY or days <= 2:
            return "hour"
        return "day" if days <= 40 else "week" if days <= 52 * 7 else "month"

    def label(self, unit, instant):
        """The name of the bucket that an instant lies in."""
        local = self.zone.local(instant)
        if unit in ("minute", "hour"):
            local = local.replace(minute=local.minute if unit == "minute" else 0, second=0, microsecond=0)
            return local.isoformat()
        day = local.date()
        if unit == "week":
            return str(max(day - timedelta(days=day.weekday()), self.zone.date(self.start)))
        return {
            "day": str(day), "month": str(day.replace(day=1)), "hour_of_day": str(local.hour),
            "day_of_week": str(day.isoweekday()),
        }[unit]

    def labels(self, unit):
        """All buckets in their order."""
        if unit == "hour_of_day":
            return [str(hour) for hour in range(24)]
        if unit == "day_of_week":
            return [str(day) for day in range(1, 8)]
        step = MINUTE if unit == "minute" else 15 * MINUTE
        instants = [self.start, *range(self.start // step * step + step, self.end, step)]
        return list(dict.fromkeys(self.label(unit, instant) for instant in instants))
