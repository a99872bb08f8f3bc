/** What the page shows: one range, one set of filters, one comparison. All of it is in the address. */

import { computed, signal } from "@preact/signals-core";
import { type Filter, parsed, written } from "./filter";
import { NAMED, type Range, UNITS, type Unit, dateIn, isRunning, parseEnds, units } from "./range";

export const COMPARISONS = ["previous_period", "year_over_year", "off"] as const;
export type Comparison = (typeof COMPARISONS)[number];

export const METRICS = [
  "visitors",
  "visits",
  "pageviews",
  "views_per_visit",
  "bounce_rate",
  "visit_duration",
  "time_on_page",
  "scroll_depth",
  "events",
  "conversion_rate",
] as const;
export type Metric = (typeof METRICS)[number];

export interface View {
  range: Range;
  filters: readonly Filter[];
  compare: Comparison;
  /** The unit of the chart; null for the one that suits the range. */
  unit: Unit | null;
  metric: Metric;
}

const DEFAULT: View = { range: "day", filters: [], compare: "previous_period", unit: null, metric: "visitors" };

function oneOf<T extends string>(values: readonly T[], text: string | null): T | null {
  return values.find((value) => value === text) ?? null;
}

/** The view that the query string of an address stands for. */
export function parse(search: string): View {
  const query = new URLSearchParams(search);
  // Filters are encoded twice by URLSearchParams' rules, and once by ours.
  const raw = search.slice(1).split("&").filter((part) => part.startsWith("f="));
  return {
    range: parseEnds(query.get("from"), query.get("to")) ?? oneOf(NAMED, query.get("period")) ?? DEFAULT.range,
    filters: raw.flatMap((part) => parsed(part.slice(2)) ?? []),
    compare: oneOf(COMPARISONS, query.get("compare")) ?? DEFAULT.compare,
    unit: oneOf(UNITS, query.get("unit")),
    metric: oneOf(METRICS, query.get("metric")) ?? DEFAULT.metric,
  };
}

/** Parameters of the address that are no part of the view, and stay. */
const STAYING = ["embed"];

/** Whether the page is part of another one, which has its own header. */
export const embedded = new URLSearchParams(location.search).get("embed") === "1";

/** The query string of a view; `site`, and `more` parameters, are kept as they are. */
export function search(view: View, site: string | null, more: readonly (readonly [string, string])[] = []): string {
  const parts: string[] = [];
  const put = (name: string, value: string): unknown => parts.push(`${name}=${encodeURIComponent(value).replaceAll("%3A", ":")}`);
  if (site !== null) put("site", site);
  if (typeof view.range !== "string") {
    put("from", view.range[0]);
    put("to", view.range[1]);
  } else if (view.range !== DEFAULT.range) put("period", view.range);
  if (view.compare !== DEFAULT.compare) put("compare", view.compare);
  if (view.unit !== null) put("unit", view.unit);
  if (view.metric !== DEFAULT.metric) put("metric", view.metric);
  for (const filter of view.filters) parts.push(`f=${written(filter)}`);
  for (const [name, value] of more) put(name, value);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

export const view = signal<View>(parse(location.search));

/** The site's time zone, as the server says it; until then UTC. */
export const zone = signal("UTC");
/** The time, to the minute. */
export const minute = signal(Date.now());
setInterval(() => {
  if (!document.hidden) minute.value = Date.now();
}, 15_000);
/** The date in the site's time zone. */
export const today = computed(() => dateIn(zone.value, minute.value));

/** The unit of the chart. */
export const unit = computed<Unit | "time">(() => {
  const { units: possible, best } = units(view.value.range, today.value);
  const chosen = view.value.unit;
  return chosen !== null && possible.includes(chosen) ? chosen : best;
});

/** Whether events that happen now change the figures. */
export const running = computed(() => isRunning(view.value.range, today.value));

/** Shows something else, as a new entry of the browser's history. */
export function go(change: Partial<View>): void {
  const next = { ...view.value, ...change };
  // A unit that was chosen for one range may not suit another.
  if (change.range !== undefined && change.unit === undefined) next.unit = null;
  const query = new URLSearchParams(location.search);
  const more = [...query].filter(([name]) => STAYING.includes(name));
  // A share link's token is behind `#`, and stays too.
  const address = location.pathname + search(next, query.get("site"), more) + location.hash;
  view.value = next;
  if (address !== location.pathname + location.search + location.hash) history.pushState(null, "", address);
}

addEventListener("popstate", () => {
  view.value = parse(location.search);
});
// Another share link for the same page.
addEventListener("hashchange", () => location.reload());
