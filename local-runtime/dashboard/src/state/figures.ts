/** The figures of the view, as queries. */

import { computed, effect, signal } from "@preact/signals-core";
import { get, post, query } from "../api";
import { condition, onlyPage, requires } from "../view/filter";
import { dateIn, datesOf, type Range } from "../view/range";
import { METRICS, type Metric, today, unit, view, zone } from "../view/view";
import * as wire from "../wire";
import type { Cohort, FunnelStep, Place, Rows } from "../wire";
import { type Tab, TABS, chosen } from "./cards";
import { read, write } from "./preferences";
import { Report } from "./report";
import { site } from "./site";

/** How often figures are asked for at most while much happens: those in sight, and those further down. */
const OFTEN = { every: 12_000 };
const SELDOM = { every: 40_000 };
/** The rows of a card. */
export const LISTED = 9;
/** Rows of the events' card that are not shown there: page views and reports are no events of interest. */
const PASSED_OVER = 3;

export type Query = Record<string, unknown>;

/** A query about the view; `more` goes first. */
export function about(more: Query): Query {
  const { range, filters } = view.value;
  return { site, date_range: range, filters: filters.map(condition), ...more };
}

const compared = (): Query => (view.value.compare === "off" || view.value.range === "all" ? {} : { compare: view.value.compare });

/** A report of a query; null where there is nothing to ask. */
export function reported(ask: () => Query | null, { every }: { every: number | null }, first = false): Report<Rows> {
  const key = computed(() => {
    const query = ask();
    return query && JSON.stringify(query);
  });
  return new Report(
    () => key.value,
    (news) => query(JSON.parse(key.value ?? "{}"), wire.rows, first && !news),
    { every },
  );
}

// --- tiles and chart ----------------------------------------------------------------------------

/** The metrics that the view has. */
export const metrics = computed<readonly Metric[]>(() => {
  const { filters } = view.value;
  const [page, goal] = [requires(filters, "event:page"), requires(filters, "event:goal")];
  return METRICS.filter((metric) => {
    if (metric === "time_on_page" || metric === "scroll_depth") return page;
    if (metric === "events" || metric === "conversion_rate") return goal;
    return true;
  });
});

/** The metric of the chart. */
export const metric = computed(() => (metrics.value.includes(view.value.metric) ? view.value.metric : "visitors"));

export const tilesQuery = (): Query => about({ metrics: metrics.value, ...compared() });
export const tiles = reported(tilesQuery, OFTEN, true);

/** Ends when the tiles have figures, or cannot have them. */
export const answered = new Promise<void>((resolve) => {
  effect(() => {
    const { data, failure } = tiles.held.value;
    if (data !== null || failure !== null) resolve();
  });
});

const time = (): string => (unit.value === "time" ? "time" : `time:${unit.value}`);
export const chartQuery = (): Query => about({ metrics: metrics.value, dimensions: [time()], include: { time_labels: true }, limit: 2_000 });
export const chart = reported(chartQuery, OFTEN, true);

/** The range that the chart compares with: whole days, so that it stays the same while time passes. */
const before = computed<Range | null>(() => {
  const range = tiles.held.value.data?.before;
  if (!range || tiles.held.value.outdated || view.value.compare === "off" || datesOf(view.value.range, today.value) === null) return null;
  return [dateIn(zone.value, range[0]), dateIn(zone.value, range[1] - 1)];
});

export const chartBefore = reported(
  () => before.value && { ...chartQuery(), date_range: before.value },
  { every: null },
);

effect(() => {
  const known = tiles.held.value.data?.zone;
  if (known) zone.value = known;
});

// --- cards --------------------------------------------------------------------------------------

/** The second column of rows: a share of the visitors, or, with a goal, the rate of its visitors. */
export const share = (): Metric | "percentage" | "group_conversion_rate" =>
  requires(view.value.filters, "event:goal") ? "group_conversion_rate" : "percentage";

/** The query of a tab, with the filters that it adds. */
export function tabQuery(tab: Tab, more: Query = {}): Query {
  const query = about({ metrics: ["visitors", share()], dimensions: [tab.dimension], ...compared(), ...more });
  return { ...query, filters: [...(query.filters as unknown[]), ...(tab.filters ?? [])] };
}

function card(tabs: keyof typeof TABS, wanted: () => boolean = () => true): Report<Rows> {
  return reported(() => {
    const tab = chosen(tabs);
    if (!tab || tab.panel || !wanted()) return null;
    return tabQuery(tab, { limit: tabs === "events" ? LISTED + PASSED_OVER : LISTED });
  }, SELDOM);
}

export const cards = {
  sources: card("sources"),
  pages: card("pages"),
  locations: card("locations"),
  devices: card("devices"),
  events: card("events"),
  cv: card("cv"),
};

// --- now ----------------------------------------------------------------------------------------

/** What is listed of them. */
const FEW = { limit: 5 };

export const readNowQuery: Query = { site, metrics: ["visitors"], dimensions: ["event:page"], date_range: "realtime" };
export const readNow = reported(() => ({ ...readNowQuery, ...FEW }), SELDOM);
export const sourcesNowQuery: Query = { site, metrics: ["visitors"], dimensions: ["visit:source"], date_range: "30m" };
export const sourcesNow = reported(() => ({ ...sourcesNowQuery, ...FEW }), SELDOM);

/** Whether a report is about now, whatever the view's range. */
export const isLive = (report: unknown): boolean => report === readNow || report === sourcesNow;

// --- a page of its own --------------------------------------------------------------------------

export const page = computed(() => onlyPage(view.value.filters));

/** What is read in the same visits. */
export function alsoReadQuery(): Query | null {
  const path = page.value;
  if (path === null) return null;
  const filters = view.value.filters.filter(({ dimension, operator }) => dimension !== "event:page" || operator !== "is").map(condition);
  const visited = [["is_not", "event:page", [path]], ["has_done", ["is", "event:page", [path]]], ["is", "event:name", ["page_view"]]];
  return about({ metrics: ["visitors"], dimensions: ["event:page"], filters: [...filters, ...visited], limit: LISTED });
}
export const alsoRead = reported(alsoReadQuery, SELDOM);

/** Hours that the click map looks back. */
export const HOURS = [1, 24, 72, 168] as const;
export const hours = signal<number>(168);
export const places = new Report<Place[]>(
  () => (page.value === null ? null : `${page.value} ${hours.value}`),
  () => get("heatmap", { site, hours: hours.value, page_url: page.value ?? undefined }, wire.places),
  SELDOM,
);

// --- funnels and retention ----------------------------------------------------------------------

export const funnelSteps = signal<readonly unknown[]>([]);
export const funnelQuery = (): Query => about({ steps: funnelSteps.value });
export const funnel = new Report<FunnelStep[]>(
  () => (chosen("events")?.panel === "funnel" && funnelSteps.value.length > 1 ? JSON.stringify(funnelQuery()) : null),
  () => post("query/funnel", funnelQuery(), wire.funnel),
  SELDOM,
);

export const retentionQuery = (): Query => ({ site, weeks: 8 });
export const retention = new Report<Cohort[]>(
  () => (chosen("events")?.panel === "retention" ? site : null),
  () => post("query/retention", retentionQuery(), wire.cohorts),
  SELDOM,
);

/** Set when what the events' card can show is about to be chosen. */
export const choosing = signal(false);
/** Whether a visitor of the site was ever seen to have an id of its own: only then can any return. */
const IDS = `ids ${site}`;
const looked = new Report<Cohort[]>(
  () => (choosing.value && read(IDS) === null && chosen("events")?.panel !== "retention" ? site : null),
  () => post("query/retention", retentionQuery(), wire.cohorts),
  { every: null },
);
const seen = computed(() => [retention, looked].some(({ held }) => (held.value.data?.length ?? 0) > 0));
effect(() => {
  if (seen.value) write(IDS, "1");
});
export const hasIds = (): boolean => seen.value || read(IDS) !== null;

/** The date on which a range of the server's own choice begins or ends. */
export function covered(): readonly [string, string] | null {
  const range = tiles.held.value.data?.range;
  return range ? [dateIn(zone.value, range[0]), dateIn(zone.value, Math.max(range[0], range[1] - 1))] : null;
}

/** Events whose names are known to have happened in the view. */
export const eventNames = computed(() => cards.events.held.value.data?.rows.map((row) => row.dimensions[0] ?? "") ?? []);
