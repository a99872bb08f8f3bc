/** Numbers and times as readers of a language write them. */

import { kept } from "../kept";
import { midnight } from "../view/range";

export interface Formats {
  number(value: number): string;
  /** A number for a place with little room. */
  short(value: number): string;
  /** A share with at most one decimal. */
  precise(value: number): string;
  /** `percent` of something that is in percent already. */
  position(value: number): string;
  /** The time of day in the viewer's zone. */
  clock(at: number): string;
  /** Day and time in the viewer's zone. */
  instant(at: number): string;
  /** The day in the viewer's zone, as a heading. */
  dayHere(at: number): string;
  /** A day (UTC) by its date. */
  day(date: string): string;
  /** The same with the day of the week. */
  dayLong(date: string): string;
  /** A month by its first date. */
  month(date: string, short: boolean): string;
  /** From one date to another. */
  days(from: string, to: string): string;
  /** An instant to the minute, in a time zone. */
  hour(at: number, zone: string, short: boolean): string;
  /** From one instant to another, in a time zone. */
  hours(from: number, to: number, zone: string): string;
  /** So many seconds, as minutes and seconds or hours and minutes. */
  duration(seconds: number): string;
  /** How long ago, in whole seconds, minutes, hours or days. */
  ago(ms: number): string;
  /** The viewer's time zone. */
  zone(): string;
}

/** Formats of a language; `zone` for tests, or else the viewer's. */
export function formats(locale: string, zone?: string): Formats {
  const utc = { timeZone: "UTC" };
  const here = zone === undefined ? {} : { timeZone: zone };
  const numbers = kept((options: Intl.NumberFormatOptions) => new Intl.NumberFormat(locale, options));
  const dates = kept((options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(locale, options));
  const relative = kept((options: Intl.RelativeTimeFormatOptions) => new Intl.RelativeTimeFormat(locale, options));
  const month = (): Intl.DateTimeFormat => dates({ month: "long", year: "numeric", ...utc });
  const number = (): Intl.NumberFormat => numbers({});
  const instants = (zone: string): Intl.DateTimeFormat => dates({ dateStyle: "medium", timeStyle: "short", timeZone: zone });
  // "1m 54s" is English; elsewhere units are written in full, "1 min 54 s".
  const units = locale.startsWith("en") ? "narrow" : "short";
  /** Whole months and years are called by their names. */
  const days = (from: string, to: string): string => {
    const wholeMonth = from.endsWith("-01") && from.slice(0, 7) === to.slice(0, 7) && new Date(midnight(to) + 86_400_000).getUTCDate() === 1;
    if (wholeMonth) return month().format(midnight(from));
    if (from.endsWith("-01-01") && to === `${from.slice(0, 4)}-12-31`) return dates({ year: "numeric", ...utc }).format(midnight(from));
    return dates({ day: "numeric", month: "short", year: "numeric", ...utc }).formatRange(midnight(from), midnight(to));
  };
  const ago = (count: number, unit: Intl.RelativeTimeFormatUnit): string => relative({ style: "short", numeric: "always" }).format(-count, unit);
  return {
    number: (value) => number().format(value),
    short: (value) => (Math.abs(value) < 10_000 ? number() : numbers({ notation: "compact", maximumFractionDigits: 1 })).format(value),
    precise: (value) => numbers({ style: "percent", maximumFractionDigits: 1 }).format(value),
    position: (value) => numbers({ style: "percent", maximumFractionDigits: 0 }).format(value / 100),
    clock: (at) => dates({ timeStyle: "medium", ...here }).format(at),
    instant: (at) => dates({ dateStyle: "medium", timeStyle: "long", ...here }).format(at),
    dayHere: (at) => dates({ weekday: "long", day: "numeric", month: "long", ...here }).format(at),
    day: (date) => dates({ day: "numeric", month: "short", ...utc }).format(midnight(date)),
    dayLong: (date) => dates({ weekday: "short", day: "numeric", month: "short", year: "numeric", ...utc }).format(midnight(date)),
    month: (date, short) => (short ? dates({ month: "short", ...utc }) : month()).format(midnight(date)),
    days: (from, to) => days(from, to),
    hour: (at, zone, short) => (short ? dates({ timeStyle: "short", timeZone: zone }) : instants(zone)).format(at),
    hours: (from, to, zone) => instants(zone).formatRange(from, to),
    duration: (seconds) => {
      const parts = seconds < 3_600 ? [[Math.floor(seconds / 60), "minute"], [seconds % 60, "second"]] : [[Math.floor(seconds / 3_600), "hour"], [Math.floor((seconds % 3_600) / 60), "minute"]];
      const shown = (parts as [number, string][]).filter(([value], at) => value > 0 || (at === 1 && seconds < 60));
      return shown.map(([value, unit]) => numbers({ style: "unit", unit, unitDisplay: units, maximumFractionDigits: 0 }).format(value)).join(" ");
    },
    ago: (ms) => {
      const seconds = Math.max(0, Math.round(ms / 1_000));
      if (seconds < 60) return ago(seconds, "second");
      if (seconds < 3_600) return ago(Math.floor(seconds / 60), "minute");
      if (seconds < 86_400) return ago(Math.floor(seconds / 3_600), "hour");
      return ago(Math.floor(seconds / 86_400), "day");
    },
    zone: () => dates({ timeStyle: "medium", ...here }).resolvedOptions().timeZone,
  };
}
