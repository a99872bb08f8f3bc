/** What comes over the wire, parsed: nothing else in the dashboard looks at unknown values. */

/** What happens now, and has happened today (UTC). */
export interface Realtime {
  visitors: number;
  eventsToday: number;
  /** Unix seconds, by the server's clock. */
  at: number;
}

export type Value = number | null;

/** A row of a query's answer. */
export interface Row {
  dimensions: string[];
  metrics: Value[];
  /** The same metrics in the range that is compared with. */
  before: Value[] | null;
  /** In percent, or in points for rates of visits. */
  change: Value[] | null;
}

/** A query's answer. */
export interface Rows {
  rows: Row[];
  /** How many there are without the limit. */
  total: number;
  zone: string;
  /** The dimensions as interpreted. */
  dimensions: string[];
  /** The instants that are covered, in Unix milliseconds, the second one not included. */
  range: [number, number];
  before: [number, number] | null;
  /** All labels of time. */
  labels: string[];
}

export interface FunnelStep {
  visitors: number;
  dropOff: number;
  dropOffRate: Value;
  conversion: Value;
  medianSeconds: Value;
}

export interface Cohort {
  week: string;
  visitors: number;
  rates: Value[];
  running: boolean;
}

/** What became of the events of some days. */
export interface Outcomes {
  counted: number;
  notCounted: { outcome: string; reason: string; count: number }[];
  warnings: string[];
}

/** What reaches a goal or a step: an event, a view of a page (`*` for any characters), or a filter. */
export interface Target {
  event?: string;
  page?: string;
  filter?: unknown;
}

export interface Goal extends Target {
  name: string;
}

export interface Funnel {
  name: string;
  steps: Target[];
}

/** The goals and funnels of a site. */
export interface Goals {
  goals: Goal[];
  funnels: Funnel[];
  /** The names of goals that the server's configuration has. */
  configured: string[];
  /** Changes with the goals and funnels. */
  version: string;
}

/** A link that shows one site's dashboard. */
export interface Share {
  id: string;
  createdAt: number;
  /** Null for never. */
  expiresAt: number | null;
  /** What follows the dashboard's address; only when the link was just made. */
  link: string | null;
}

export interface SiteSummary {
  name: string;
  lastEvent: number | null;
  events: number;
  visitors: number[];
  /** Where a range was named. */
  outcomes: Outcomes | null;
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

function optional<T>(read: (from: Fields, name: string) => T, from: Fields, name: string): T | null {
  return from[name] === null || from[name] === undefined ? null : read(from, name);
}

function time(value: unknown): number {
  const at = typeof value === "string" ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(at)) throw new Malformed("no time");
  return at;
}

const instant = (from: Fields, name: string): number => time(from[name]);
const flag = (from: Fields, name: string): boolean => from[name] === true;

function texts(value: unknown): string[] {
  return list(value).map((item) => {
    if (typeof item !== "string") throw new Malformed("no text");
    return item;
  });
}

function values(value: unknown): Value[] {
  return list(value).map((item) => {
    if (item !== null && typeof item !== "number") throw new Malformed("no number");
    return item;
  });
}

function pair(value: unknown): [number, number] {
  const [from, to] = list(value);
  return [time(from), time(to)];
}

/** The envelope of a successful answer. */
export function answer<T>(body: unknown, data: (data: unknown, meta: Fields) => T): { data: T; degraded: boolean } {
  const envelope = fields(body);
  if (envelope.success !== true) throw new Malformed("no success");
  const meta = envelope.meta === undefined || envelope.meta === null ? {} : fields(envelope.meta);
  return { data: data(envelope.data, meta), degraded: meta.degraded === true };
}

/** The items of the answer to several queries. */
export function batch(body: unknown): unknown[] {
  return list(fields(body).data);
}

export function rows(value: unknown, meta: Fields): Rows {
  const data = fields(value);
  const query = fields(meta.query);
  return {
    rows: list(data.results).map(fields).map((row) => {
      const other = row.comparison === undefined ? null : fields(row.comparison);
      return {
        dimensions: texts(row.dimensions),
        metrics: values(row.metrics),
        before: other && values(other.metrics),
        change: other && values(other.change),
      };
    }),
    total: number(data, "total_rows"),
    zone: text(query, "timezone"),
    dimensions: texts(query.dimensions),
    range: pair(meta.range),
    before: meta.comparison_range === undefined ? null : pair(meta.comparison_range),
    labels: meta.time_labels === undefined ? [] : texts(meta.time_labels),
  };
}

export function funnel(value: unknown): FunnelStep[] {
  const [first] = list(fields(value).results).map(fields);
  return list(first?.steps ?? []).map(fields).map((step) => ({
    visitors: number(step, "visitors"),
    dropOff: number(step, "drop_off"),
    dropOffRate: optional(number, step, "drop_off_rate"),
    conversion: optional(number, step, "conversion_rate"),
    medianSeconds: optional(number, step, "median_seconds"),
  }));
}

export function cohorts(value: unknown): Cohort[] {
  return list(fields(value).results).map(fields).map((row) => ({
    week: text(row, "week"),
    visitors: number(row, "visitors"),
    rates: values(row.rates),
    running: flag(row, "running"),
  }));
}

function outcomes(from: Fields, name: string): Outcomes {
  const data = fields(from[name]);
  return {
    counted: number(data, "counted"),
    notCounted: list(data.not_counted).map(fields).map((row) => ({ outcome: text(row, "outcome"), reason: text(row, "reason"), count: number(row, "count") })),
    warnings: texts(data.warnings),
  };
}

function target(from: Fields): Target {
  if (from.event !== undefined) return { event: text(from, "event") };
  return from.page === undefined ? { filter: from.filter } : { page: text(from, "page") };
}

export function goals(value: unknown): Goals {
  const data = fields(value);
  return {
    goals: list(data.goals).map(fields).map((goal) => ({ name: text(goal, "name"), ...target(goal) })),
    funnels: list(data.funnels).map(fields).map((funnel) => ({ name: text(funnel, "name"), steps: list(funnel.steps).map(fields).map(target) })),
    configured: texts(data.configured),
    version: text(data, "version"),
  };
}

export function share(value: unknown): Share {
  const data = fields(value);
  return {
    id: text(data, "id"),
    createdAt: instant(data, "created_at"),
    expiresAt: optional(instant, data, "expires_at"),
    link: optional(text, data, "link"),
  };
}

export const shares = (value: unknown): Share[] => list(value).map(share);

export function sites(value: unknown): SiteSummary[] {
  return list(value).map(fields).map((row) => ({
    name: text(row, "site"),
    lastEvent: optional(instant, row, "last_event"),
    events: number(row, "events"),
    visitors: values(row.visitors).map((count) => count ?? 0),
    outcomes: optional(outcomes, row, "outcomes"),
  }));
}

export function realtime(value: unknown): Realtime {
  const data = fields(value);
  return {
    visitors: number(data, "current_visitors"),
    eventsToday: number(data, "total_events"),
    at: number(data, "timestamp"),
  };
}

export function timeline(value: unknown, meta: Fields): TimelinePage {
  const events = list(value).map(fields).map((row) => ({
    id: text(row, "id"),
    visitor: text(row, "visitor_id"),
    type: text(row, "event_type"),
    data: fields(row.event_data),
    page: optional(text, row, "page_url"),
    referrer: optional(text, row, "referrer"),
    at: instant(row, "created_at"),
  }));
  return { events, next: optional(text, meta, "next_cursor") };
}

export function places(value: unknown): Place[] {
  return list(value).map(fields).map((row) => ({
    x: number(row, "x"),
    y: number(row, "y"),
    count: number(row, "count"),
    page: text(row, "page_url"),
    element: optional(text, row, "element"),
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
      page: optional(text, from, "page_url"),
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
