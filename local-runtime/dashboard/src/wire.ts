/** What comes over the wire, parsed: nothing else in the dashboard looks at unknown values. */

export const PERIODS = ["day", "week", "month"] as const;
export type Period = (typeof PERIODS)[number];

/** What happens now, and has happened today (UTC). */
export interface Realtime {
  visitors: number;
  uniqueToday: number;
  eventsToday: number;
  lettersToday: number;
  /** Unix seconds, by the server's clock. */
  at: number;
}

/** The figures of a day, a week or a month. */
export interface Stats {
  key: string;
  visitors: number;
  views: number;
  events: number;
  letters: number;
  /** Letters by unique visitors, 0 to 1 or more. */
  conversion: number;
}

export interface Theme {
  name: string;
  views: number;
  percentage: number;
}

export interface Letters {
  key: string;
  total: number;
  motivation: number;
  antiMotivation: number;
  days: { date: string; count: number }[];
}

/** Something that a visitor did. */
export interface Happening {
  id: string;
  visitor: string;
  type: string;
  data: Record<string, unknown>;
  page: string | null;
  /** The feed does not say. */
  referrer: string | null;
  /** Unix milliseconds. */
  at: number;
}

export interface TimelinePage {
  events: Happening[];
  next: string | null;
}

/** A clicked place, in percent of the page. */
export interface Place {
  x: number;
  y: number;
  count: number;
  page: string;
  element: string | null;
}

/** A message of the live feed. */
export type Message =
  | { kind: "event"; event: Happening }
  | { kind: "figures"; figures: Realtime }
  | { kind: "gap" }
  | { kind: "error" }
  | { kind: "other" };

/** What came is not what was agreed on. */
export class Malformed extends Error {}

type Fields = Record<string, unknown>;

function fields(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Malformed("no object");
  return value as Fields;
}

function list(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new Malformed("no list");
  return value;
}

function number(from: Fields, name: string): number {
  const value = from[name];
  if (typeof value !== "number" || !Number.isFinite(value)) throw new Malformed(`${name} is no number`);
  return value;
}

function text(from: Fields, name: string): string {
  const value = from[name];
  if (typeof value !== "string") throw new Malformed(`${name} is no text`);
  return value;
}

function optionalText(from: Fields, name: string): string | null {
  return from[name] === null || from[name] === undefined ? null : text(from, name);
}

function instant(from: Fields, name: string): number {
  const at = Date.parse(text(from, name));
  if (Number.isNaN(at)) throw new Malformed(`${name} is no time`);
  return at;
}

/** The envelope of a successful answer. */
export function answer<T>(body: unknown, data: (data: unknown, meta: Fields) => T): { data: T; degraded: boolean } {
  const envelope = fields(body);
  if (envelope.success !== true) throw new Malformed("no success");
  const meta = envelope.meta === undefined || envelope.meta === null ? {} : fields(envelope.meta);
  return { data: data(envelope.data, meta), degraded: meta.degraded === true };
}

export function realtime(value: unknown): Realtime {
  const data = fields(value);
  return {
    visitors: number(data, "current_visitors"),
    uniqueToday: number(data, "unique_today"),
    eventsToday: number(data, "total_events"),
    lettersToday: number(data, "letters_today"),
    at: number(data, "timestamp"),
  };
}

export function stats(value: unknown): Stats {
  const data = fields(value);
  return {
    key: text(data, "period_key"),
    visitors: number(data, "unique_visitors"),
    views: number(data, "page_views"),
    events: number(data, "total_events"),
    letters: number(data, "letters_generated"),
    conversion: number(data, "conversion_rate"),
  };
}

export function themes(value: unknown): Theme[] {
  return list(value).map(fields).map((row) => ({
    name: text(row, "theme"),
    views: number(row, "views"),
    percentage: number(row, "percentage"),
  }));
}

export function letters(value: unknown): Letters {
  const data = fields(value);
  return {
    key: text(data, "period_key"),
    total: number(data, "total"),
    motivation: number(data, "motivation"),
    antiMotivation: number(data, "anti_motivation"),
    days: list(data.history).map(fields).map((day) => ({ date: text(day, "date"), count: number(day, "count") })),
  };
}

export function timeline(value: unknown, meta: Fields): TimelinePage {
  const events = list(value).map(fields).map((row) => ({
    id: text(row, "id"),
    visitor: text(row, "visitor_id"),
    type: text(row, "event_type"),
    data: fields(row.event_data),
    page: optionalText(row, "page_url"),
    referrer: optionalText(row, "referrer"),
    at: instant(row, "created_at"),
  }));
  return { events, next: optionalText(meta, "next_cursor") };
}

export function places(value: unknown): Place[] {
  return list(value).map(fields).map((row) => ({
    x: number(row, "x"),
    y: number(row, "y"),
    count: number(row, "count"),
    page: text(row, "page_url"),
    element: optionalText(row, "element"),
  }));
}

/** A message of the feed. Only those about events have an id, whatever their type says. */
export function message(json: string): Message {
  const from = fields(JSON.parse(json));
  if (typeof from.id === "string") {
    const event = {
      id: from.id,
      visitor: text(from, "visitor_id"),
      type: text(from, "type"),
      data: fields(from.data),
      page: optionalText(from, "page_url"),
      referrer: null,
      at: instant(from, "timestamp"),
    };
    return { kind: "event", event };
  }
  switch (from.type) {
    case "initial_stats":
    case "heartbeat":
      return { kind: "figures", figures: realtime(from.data) };
    case "gap":
      return { kind: "gap" };
    case "error":
      return { kind: "error" };
    default:
      return { kind: "other" };
  }
}
