/** Ties the feed to the figures and the timeline. */

import { computed, effect, signal, untracked } from "@preact/signals";
import { address, get } from "../api";
import { Feed } from "../live/feed";
import { running } from "../view/view";
import type { Realtime } from "../wire";
import * as wire from "../wire";
import { isLive } from "./figures";
import { Report, outage, sleep, spend, touchAll, wake } from "./report";
import { known, site } from "./site";
import * as timeline from "./timeline";

/** How often the server is asked whether something came by another way than the feed, such as an import. */
const POLL_MS = 10_000;

/** What the feed said last of now. */
const heard = signal<Realtime | null>(null);

function connect(): WebSocket {
  const url = address("ws/analytics", { site });
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(url);
}

/** Whether the feed was there before: only then can something have been missed. */
let wasLive = false;
/** When the feed told of an event last. */
let told = 0;
/** Events that come together make figures out of date once, so that floods cost little. */
let touching: ReturnType<typeof setTimeout> | undefined;
const TOGETHER_MS = 150;

export const feed = new Feed(connect, {
  event(event) {
    told = Date.now();
    timeline.happened(event);
    touching ??= setTimeout(touchFigures, TOGETHER_MS);
  },
  figures(figures) {
    const before = heard.peek();
    if (before && before.at > figures.at) return;
    heard.value = figures;
    // Another process has stored something.
    if (before && before.eventsToday !== figures.eventsToday) startOver();
  },
  gap: startOver,
  open() {
    wake();
    if (wasLive) startOver();
    // With an empty timeline there is no event to resume after.
    else if (timeline.newest.held.peek().data?.events.length === 0) timeline.newest.touch();
    wasLive = true;
  },
  answers: () => outage.peek() === null && known.held.peek().data !== null,
});

/** Without a feed, as in the cloud or behind a proxy that does not pass it on, the server is asked. */
const asked = new Report(
  () => (["waiting", "absent"].includes(feed.state.value) ? site : null),
  () => get("realtime", { site }, wire.realtime),
  { every: POLL_MS },
);

/** What happens now. */
export const now = computed(() => {
  const answer = asked.held.value.data;
  return answer && answer.at > (heard.value?.at ?? 0) ? answer : heard.value;
});

/** Events were stored. */
function touchFigures(): void {
  touching = undefined;
  touchAll((report) => report !== known && report !== asked && report !== timeline.newest && (running.value || isLive(report)));
}

/** It is not known what happened. */
function startOver(): void {
  touchAll();
}

/** The number of events that the server has, as it said last. */
let counted: number | null = null;

/** Starts everything. */
export function start(): void {
  effect(() => {
    const newest = timeline.newest.held.value.data?.events[0];
    if (newest) feed.known(newest.id);
  });
  effect(() => {
    const events = known.held.value.data?.[0]?.events;
    if (events === undefined) return;
    if (counted !== null && events !== counted) startOver();
    counted = events;
  });
  let filled = false;
  effect(() => {
    const first = timeline.newest.held.value.data;
    if (!first || filled) return;
    filled = true;
    // Without an answer the strip begins with what the feed tells.
    untracked(() => timeline.fillStrip(first)).catch(() => undefined);
  });
  feed.start();

  addEventListener("online", () => feed.start());
  document.addEventListener("visibilitychange", () => {
    sleep(document.hidden);
    if (!document.hidden) feed.start();
  });
  sleep(document.hidden);
  setInterval(() => {
    if (document.hidden || outage.peek()) return;
    // Perhaps the server is whole again.
    touchAll((report) => report.held.peek().degraded);
    if (feed.state.peek() === "absent") {
      // Whether anything has happened costs a question; what it changes is asked for only then.
      known.touch();
      asked.touch();
    } else if (feed.state.peek() !== "live") startOver();
    else if (Date.now() - told > POLL_MS && spend()) void known.ask();
  }, POLL_MS);
}
