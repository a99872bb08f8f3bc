/** The calendar of the figures: days, ISO weeks and months in UTC, named by ISO dates. */

import type { Period } from "../wire";

const DAY_MS = 86_400_000;

/** Midnight (UTC) of a day named `YYYY-MM-DD`, in Unix milliseconds. */
export function midnight(date: string): number {
  return Date.parse(`${date}T00:00:00Z`);
}

/** The day (UTC) of an instant. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** The day that comes so many days later, or earlier. */
export function plusDays(date: string, days: number): string {
  return dayOf(midnight(date) + days * DAY_MS);
}

/** The first day of the period that a day is in. */
export function firstDay(period: Period, date: string): string {
  if (period === "day") return date;
  if (period === "month") return `${date.slice(0, 7)}-01`;
  // Weeks begin on Mondays.
  return plusDays(date, -((new Date(midnight(date)).getUTCDay() + 6) % 7));
}

/** A day of the period before the one that a day is in. */
export function dayBefore(period: Period, date: string): string {
  return plusDays(firstDay(period, date), -1);
}

/** All days of the period that a day is in, also those to come. */
export function daysOf(period: Period, date: string): string[] {
  const first = firstDay(period, date);
  const days = [first];
  while (days.length < 31) {
    const next = plusDays(first, days.length);
    if (firstDay(period, next) !== first) break;
    days.push(next);
  }
  return days;
}

/** How much of the period that an instant is in has passed, 0 to 1. */
export function elapsed(period: Period, at: number): number {
  const days = daysOf(period, dayOf(at));
  return (at - midnight(days[0] as string)) / (days.length * DAY_MS);
}

/** The last so many days up to this one, oldest first. */
export function lastDays(date: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => plusDays(date, at + 1 - count));
}
