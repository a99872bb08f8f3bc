/** The figures that are on screen, and what makes each of them out of date. */

import { computed, effect, signal } from "@preact/signals";
import { ask } from "../api";
import { dayBefore, dayOf } from "../time/periods";
import { type Happening, type Letters, PERIODS, type Period, type Place } from "../wire";
import * as wire from "../wire";
import { Days } from "./days";
import { period } from "./preferences";
import { Resource } from "./resource";
import { site } from "./site";

/** Days that the chart shows. */
export const CHARTED_DAYS = 30;
const MOST_THEMES = 8;
/** At most this often while events arrive: a minute's worth stays far below the rate limit. */
const SOON_MS = 2_000;
const LATER_MS = 10_000;
const REST_MS = 5_000;

function forPeriods<T>(make: (period: Period) => T): Record<Period, T> {
  return { day: make("day"), week: make("week"), month: make("month") };
}

export const now = new Resource(() => ask("/realtime", { site }, wire.realtime), 1_000);

export const current = forPeriods(
  (period) => new Resource(() => ask("/stats", { site, period }, wire.stats), SOON_MS),
);

/** The day (UTC) by the server's clock, as far as it is known. */
export const today = computed(() => {
  const key = current.day.held.value.data?.key;
  const at = now.held.value.data?.at;
  return (at ? dayOf(at * 1_000) : undefined) ?? key ?? dayOf(Date.now());
});

/** The whole period before. */
export const before = forPeriods(
  (period) =>
    new Resource(() => ask("/stats", { site, period, date: dayBefore(period, today.value) }, wire.stats), LATER_MS),
);

const days = new Days((date) => ask("/stats", { site, period: "day", date }, wire.stats));

/** The last days, oldest first. */
export const daily = new Resource(() => days.last(today.value, CHARTED_DAYS), LATER_MS);

/** The last days, today's as the other figures have it. */
export const charted = computed(() => {
  const today = current.day.held.value.data;
  return daily.held.value.data?.map((day) => (day.key === today?.key ? today : day)) ?? null;
});

export const themes = new Resource(
  () => ask("/themes", { site, period: period.value, limit: MOST_THEMES }, wire.themes),
  SOON_MS,
);

export interface LettersShown {
  of: Letters;
  /** By day; a single day is shown in its week. */
  days: Letters["days"];
}

export const letters = new Resource<LettersShown>(async () => {
  const asked = period.value;
  const [of, week] = await Promise.all([
    ask("/letters", { site, period: asked }, wire.letters),
    asked === "day" ? ask("/letters", { site, period: "week" }, wire.letters) : null,
  ]);
  const history = week ?? of;
  return { data: { of: of.data, days: history.data.days }, degraded: of.degraded || history.degraded };
}, SOON_MS);

/** Hours that the heatmap looks back. */
export const HOURS = [1, 24, 72, 168] as const;
export const hours = signal<number>(24);
/** The page of the heatmap; null for all pages, undefined until the most clicked one is known. */
export const page = signal<string | null | undefined>(undefined);

export const allPlaces = new Resource<Place[]>(
  () => ask("/heatmap", { site, hours: hours.value }, wire.places),
  REST_MS,
);

export const places = new Resource<Place[]>(
  () => ask("/heatmap", { site, hours: hours.value, page_url: page.value ?? undefined }, wire.places),
  REST_MS,
);

/** Clicked pages and their clicks, most clicked first. */
export const pages = computed(() => {
  const clicks = new Map<string, number>();
  for (const place of allPlaces.held.value.data ?? []) {
    clicks.set(place.page, (clicks.get(place.page) ?? 0) + place.count);
  }
  return [...clicks].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
});

const all: Resource<unknown>[] = [
  now,
  ...PERIODS.flatMap((period): Resource<unknown>[] => [current[period], before[period]]),
  daily,
  themes,
  letters,
  allPlaces,
  places,
];

/** Whether any figure was answered by a server that lacks something. */
export const degraded = computed(() => all.some((resource) => resource.held.value.degraded));

/** Makes all figures that the event may be counted in come anew. */
export function count({ type, data, at }: Happening): void {
  now.touch();
  for (const period of PERIODS) current[period].touch();
  if (type === "letter_generate") letters.touch();
  if (type === "page_view" || type === "cv_theme_change") themes.touch();
  if (typeof data.x === "number" && typeof data.y === "number") {
    allPlaces.touch();
    if (page.value) places.touch();
  }
  const day = dayOf(at);
  if (day < today.value) {
    days.touch(day);
    daily.touch();
    for (const period of PERIODS) before[period].touch();
  }
}

/** Everything anew but the days that are over. */
export function refresh(): void {
  for (const resource of all) if (resource !== places || page.value) resource.touch();
}

/** What was answered by a server that lacked something: perhaps it is whole again. */
export function refreshDegraded(): void {
  for (const resource of all) if (resource.held.peek().degraded) resource.touch();
}

/** Everything anew, because it is not known what happened. */
export function recount(): void {
  days.touchAll();
  refresh();
}

/** Everything at once, because somebody asked for it. */
export function retry(): void {
  for (const resource of all) if (resource !== places || page.value) resource.load();
}

/** Answers a heartbeat: figures that have moved without the feed saying so come anew. */
export function hear(figures: wire.Realtime): void {
  const known = now.held.value.data;
  if (known && known.at > figures.at) return;
  now.set(figures);
  const shown = current.day.held.value.data;
  if (shown && dayOf(figures.at * 1_000) === shown.key && shown.events !== figures.eventsToday) {
    for (const period of PERIODS) current[period].touch();
  }
}

/** Asks for everything for the first time, what is looked at first first. */
export function load(): void {
  now.load();
  for (const period of PERIODS) current[period].load();
  themes.load();
  letters.load();
  allPlaces.load();
  // The server's own day is waited for: the viewer's clock may be wrong.
  const known = computed(() => current.day.held.value.data !== null);
  let first = true;
  effect(() => {
    if (!known.value) return;
    void today.value;
    for (const period of PERIODS) before[period].reset();
    daily.reset();
    if (!first) for (const resource of [...PERIODS.map((period) => current[period]), themes, letters]) resource.reset();
    first = false;
  });
}

/** Has other questions asked when another period, page or time is chosen. */
export function follow(): void {
  let first = true;
  effect(() => {
    void period.value;
    if (!first) for (const resource of [themes, letters]) resource.reset();
    first = false;
  });
  effect(() => {
    if (page.value === undefined && pages.value.length > 0) page.value = pages.value[0]?.[0] ?? null;
  });
  let firstHours = true;
  effect(() => {
    void hours.value;
    if (!firstHours) allPlaces.reset();
    firstHours = false;
  });
  effect(() => {
    void hours.value;
    if (page.value) places.reset();
  });
}

