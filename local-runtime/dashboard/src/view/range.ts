/** Ranges of time: by name, as the API names them, or from one day or instant to another. */

import { kept } from "../kept";

export const NAMED = ["30m", "day", "1d", "7d", "28d", "91d", "month", "1mo", "year", "12mo", "all"] as const;
export type Named = (typeof NAMED)[number];
/** Two dates `YYYY-MM-DD`, both included, or two instants with an offset. */
export type Ends = readonly [string, string];
export type Range = Named | Ends;

export const UNITS = ["minute", "hour", "day", "week", "month"] as const;
export type Unit = (typeof UNITS)[number];

const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d\d-\d\d$/;

export const isDate = (text: string): boolean => DATE.test(text) && !Number.isNaN(midnight(text));
const isInstant = (text: string): boolean => /^\d{4}-\d\d-\d\dT.+(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text));

/** Midnight (UTC) of a date, in Unix milliseconds. */
export function midnight(date: string): number {
  return Date.parse(`${date}T00:00:00Z`);
}

const dateOf = (at: number): string => new Date(at).toISOString().slice(0, 10);

/** The date that comes so many days later, or earlier. */
export function plusDays(date: string, days: number): string {
  return dateOf(midnight(date) + days * DAY_MS);
}

/** The same day of another month, or that month's last day. */
export function plusMonths(date: string, months: number): string {
  const [year = 0, month = 1, day = 1] = date.split("-").map(Number);
  const last = new Date(Date.UTC(year, month + months, 0)).getUTCDate();
  return dateOf(Date.UTC(year, month - 1 + months, Math.min(day, last)));
}

export const daysBetween = (from: string, to: string): number => Math.round((midnight(to) - midnight(from)) / DAY_MS);

/** Swedish writes dates as ISO 8601 does. */
const swedish = kept((zone: string) => new Intl.DateTimeFormat("sv", { timeZone: zone }));

/** The date of an instant in a time zone. */
export function dateIn(zone: string, at: number): string {
  return zone === "UTC" ? dateOf(at) : swedish(zone).format(at);
}

/** Two ends from an address, if they are a range. */
export function parseEnds(from: string | null, to: string | null): Ends | null {
  if (from === null || to === null) return null;
  const both = (is: (text: string) => boolean): boolean => is(from) && is(to);
  return (both(isDate) && from <= to) || (both(isInstant) && Date.parse(from) <= Date.parse(to)) ? [from, to] : null;
}

/** The first and the last date of a range; null when it is not made of days, or the server alone knows. */
export function datesOf(range: Range, today: string): Ends | null {
  const yesterday = plusDays(today, -1);
  const first = `${today.slice(0, 7)}-01`;
  switch (range) {
    case "30m":
    case "all":
      return null;
    case "day":
      return [today, today];
    case "1d":
    case "7d":
    case "28d":
    case "91d":
      return [plusDays(today, -Number.parseInt(range)), yesterday];
    case "month":
      return [first, plusDays(plusMonths(first, 1), -1)];
    case "1mo":
    case "12mo":
      return [plusMonths(first, -Number.parseInt(range)), plusDays(first, -1)];
    case "year":
      return [`${today.slice(0, 4)}-01-01`, `${today.slice(0, 4)}-12-31`];
    default:
      return isDate(range[0]) ? range : null;
  }
}

const lastOfMonth = (date: string): boolean => plusDays(date, 1).endsWith("-01");

/** The range before or after, as long as this one; null when there is none or it would lie in the future. */
export function shifted(range: Range, by: -1 | 1, today: string, now: number): Range | null {
  if (typeof range !== "string" && !isDate(range[0])) {
    const [from, to] = range.map((end) => Date.parse(end)) as [number, number];
    const length = (to - from + 1_000) * by;
    if (from + length > now) return null;
    return [new Date(from + length).toISOString(), new Date(to + length).toISOString()];
  }
  const dates = datesOf(range, today);
  if (dates === null) return null;
  const [from, to] = dates;
  let moved: Ends;
  if (from.endsWith("-01") && lastOfMonth(to)) {
    const months = (Number(to.slice(0, 4)) - Number(from.slice(0, 4))) * 12 + Number(to.slice(5, 7)) - Number(from.slice(5, 7)) + 1;
    const first = plusMonths(from, months * by);
    moved = [first, plusDays(plusMonths(first, months), -1)];
  } else {
    const days = (daysBetween(from, to) + 1) * by;
    moved = [plusDays(from, days), plusDays(to, days)];
  }
  return moved[0] > today ? null : named(moved, today);
}

/** The range by its name, if it has one. */
function named(ends: Ends, today: string): Range {
  return NAMED.find((name) => datesOf(name, today)?.join() === ends.join()) ?? ends;
}

/** Whether events that happen now belong to the range. */
export function isRunning(range: Range, today: string): boolean {
  if (range === "30m" || range === "all") return true;
  const dates = datesOf(range, today);
  return dates !== null && dates[0] <= today && today <= dates[1];
}

/** The units of time that the range can be divided into, and the one that suits it best. */
export function units(range: Range, today: string): { units: readonly Unit[]; best: Unit | "time" } {
  if (range === "30m") return { units: ["minute"], best: "minute" };
  if (range === "all") return { units: ["day", "week", "month"], best: "time" };
  const dates = datesOf(range, today);
  if (dates === null) {
    const hours = (Date.parse(range[1]) - Date.parse(range[0])) / 3_600_000;
    return hours <= 3 ? { units: ["minute"], best: "minute" } : { units: ["minute", "hour"], best: "hour" };
  }
  const days = daysBetween(...dates) + 1;
  if (days <= 2) return { units: ["minute", "hour"], best: "hour" };
  if (days <= 7) return { units: ["hour", "day"], best: "day" };
  if (days <= 31) return { units: ["day", "week"], best: "day" };
  if (days <= 100) return { units: ["day", "week", "month"], best: "day" };
  return { units: ["day", "week", "month"], best: "month" };
}

/** The range of one bucket of a chart, to look at more closely; null when it is the finest. */
export function bucket(labels: readonly string[], at: number, unit: Unit, last: string | null): Range | null {
  const from = labels[at];
  if (from === undefined || unit === "minute") return null;
  if (unit === "hour") return [from, from.replace(/T(\d\d):\d\d:\d\d/, "T$1:59:59")];
  if (unit === "day") return [from, from];
  const next = labels[at + 1];
  const end = unit === "week" ? plusDays(from, 6) : plusDays(plusMonths(`${from.slice(0, 7)}-01`, 1), -1);
  return [from, next ? plusDays(next, -1) : last !== null && last < end ? last : end];
}
