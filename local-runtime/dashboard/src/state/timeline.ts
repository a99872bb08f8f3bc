/** The timeline, and what of it happened in the last minutes. */

import { computed, signal } from "@preact/signals-core";
import { get } from "../api";
import type { Happening, TimelinePage } from "../wire";
import * as wire from "../wire";
import { type Listed, NOTHING, afresh, caughtUp, withNews, withOlder } from "./list";
import { Report } from "./report";
import { site } from "./site";

const PAGE = 50;
/** So many that the strip seldom needs a request of its own. */
const FIRST_PAGE = 100;
/** How many events may be on screen before news no longer push in. */
const MOST_LISTED = 500;
/** How many live events may join the list before it is cut back to a page. */
const MOST_LIVE = 150;
/** What the strip shows, and what makes a visitor current. */
export const STRIP_MS = 5 * 60_000;
const STRIP_PAGE = 100;
const STRIP_PAGES = 6;
/** A busy site's older events wait until the page has loaded, and leave room for other questions. */
const STRIP_PAUSE_MS = 2_000;
const STRIP_MOST = 3_000;

const listed = signal<Listed>(NOTHING);
/** Whether older pages were asked for: then the list is not cut back while it is read. */
let reading = false;
let live = 0;

export const events = computed(() => listed.value.events);
export const hasOlder = computed(() => listed.value.next !== null);
/** Events that wait to be shown, because the list is full. */
export const unlisted = signal(0);

/** The first page; its newest event is where the feed is resumed. */
export const newest = new Report<TimelinePage>(
  () => site,
  async () => {
    const answer = await get("timeline", { site, limit: FIRST_PAGE }, wire.timeline);
    listed.value = (reading ? caughtUp : afresh)(listed.value, answer.data);
    strip.value = pruned(answer.data.events.filter(({ id }) => !stripped.has(id)));
    return answer;
  },
  { every: 30_000 },
);

/** How many older pages were asked for. */
const pages = signal(0);
export const older = new Report<TimelinePage>(
  () => (pages.value > 0 ? String(pages.value) : null),
  async () => {
    const cursor = listed.value.next ?? undefined;
    const answer = await get("timeline", { site, limit: PAGE, cursor }, wire.timeline);
    reading = true;
    listed.value = withOlder(listed.value, answer.data);
    return answer;
  },
  { every: null },
);

export function loadOlder(): void {
  pages.value += 1;
}

/** What the feed said since the list was last shown: shown together, so that floods cost little. */
let news: Happening[] = [];
let showing: ReturnType<typeof setTimeout> | undefined;
const TOGETHER_MS = 150;

export function happened(event: Happening): void {
  news.push(event);
  showing ??= setTimeout(show, TOGETHER_MS);
}

function show(): void {
  showing = undefined;
  const arrived = news;
  news = [];
  strip.value = pruned(arrived.filter(({ id }) => !stripped.has(id)));
  if (reading && listed.value.events.length >= MOST_LISTED) {
    const known = new Set(listed.value.events.map(({ id }) => id));
    unlisted.value += arrived.filter(({ id }) => !known.has(id)).length;
    return;
  }
  listed.value = withNews(listed.value, arrived);
  live += arrived.length;
  if (!reading && live > MOST_LIVE) {
    live = 0;
    newest.touch();
  }
}

/** Back to the first page. */
export function backToNewest(): void {
  reading = false;
  live = 0;
  unlisted.value = 0;
  newest.load();
}

// --- the strip ----------------------------------------------------------------------------------

const stripped = new Map<string, number>();
/** Events of the last minutes. */
export const strip = signal<readonly Happening[]>([]);
/** From when on the strip has everything. */
export const stripSince = signal(Number.POSITIVE_INFINITY);

/** Clocks differ; what lies further ahead, as of an imported log, is still to come. */
const AHEAD_MS = 5 * 60_000;
export const hasCome = ({ at }: Happening): boolean => at <= Date.now() + AHEAD_MS;

/** The strip with more events and without those that have left it. */
function pruned(more: readonly Happening[]): Happening[] {
  const since = Date.now() - STRIP_MS - 10_000;
  let kept = [...strip.peek(), ...more].filter((event) => event.at >= since && hasCome(event));
  if (kept.length > STRIP_MOST) {
    kept = kept.sort((a, b) => a.at - b.at).slice(-STRIP_MOST);
    stripSince.value = kept[0]?.at ?? 0;
  }
  stripped.clear();
  for (const { id, at } of kept) stripped.set(id, at);
  return kept;
}

/** Fills the strip from the timeline, from the first page on as far back as it shows. */
export async function fillStrip(first: TimelinePage): Promise<void> {
  let page = first;
  for (let pages = 0; ; pages += 1) {
    const oldest = page.events.at(-1);
    if (page.next === null || !oldest) stripSince.value = 0;
    else stripSince.value = Math.min(stripSince.value, oldest.at);
    if (page.next === null || stripSince.value < Date.now() - STRIP_MS || pages === STRIP_PAGES) return;
    await new Promise((resolve) => setTimeout(resolve, STRIP_PAUSE_MS));
    ({ data: page } = await get("timeline", { site, limit: STRIP_PAGE, cursor: page.next }, wire.timeline));
    strip.value = pruned(page.events.filter(({ id }) => !stripped.has(id)));
  }
}
