/** Numbers and times as readers of a language write them. */

import { midnight } from "../time/periods";

export interface Formats {
  number(value: number): string;
  /** A number for a place with little room. */
  short(value: number): string;
  /** A share, such as 0.123, in percent. */
  percent(value: number): string;
  /** A share with at most one decimal. */
  precise(value: number): string;
  /** A change, with its sign. */
  change(value: number): string;
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
  weekday(date: string): string;
  /** How long ago, in whole seconds, minutes or hours. */
  ago(ms: number): string;
  /** The viewer's time zone. */
  zone(): string;
}

/** Formats of a language; `zone` for tests, or else the viewer's. */
export function formats(locale: string, zone?: string): Formats {
  const number = new Intl.NumberFormat(locale);
  const short = new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 });
  const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 });
  const precise = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 1 });
  const change = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0, signDisplay: "exceptZero" });
  const here = zone === undefined ? {} : { timeZone: zone };
  const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium", ...here });
  const instant = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "long", ...here });
  const dayHere = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", ...here });
  const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
  const dayLong = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" });
  const weekday = new Intl.DateTimeFormat(locale, { weekday: "short", timeZone: "UTC" });
  const relative = new Intl.RelativeTimeFormat(locale, { style: "narrow", numeric: "always" });
  return {
    number: (value) => number.format(value),
    short: (value) => (Math.abs(value) < 10_000 ? number : short).format(value),
    // Rounding must not make everything of almost everything, nor nothing of something.
    percent: (value) => percent.format(value > 0 && value < 0.01 ? 0.01 : value < 1 && value > 0.99 ? 0.99 : value),
    precise: (value) => precise.format(value),
    change: (value) => change.format(value),
    position: (value) => percent.format(value / 100),
    clock: (at) => clock.format(at),
    instant: (at) => instant.format(at),
    dayHere: (at) => dayHere.format(at),
    day: (date) => day.format(midnight(date)),
    dayLong: (date) => dayLong.format(midnight(date)),
    weekday: (date) => weekday.format(midnight(date)),
    ago: (ms) => {
      const seconds = Math.max(0, Math.round(ms / 1_000));
      if (seconds < 60) return relative.format(-seconds, "second");
      if (seconds < 3_600) return relative.format(-Math.floor(seconds / 60), "minute");
      return relative.format(-Math.floor(seconds / 3_600), "hour");
    },
    zone: () => clock.resolvedOptions().timeZone,
  };
}
