/** Ties the feed to the figures and the timeline. */

import { computed, effect, signal, untracked } from "@preact/signals-core";
import { address, get } from "../api";
import { Feed } from "../live/feed";
import { protocols, token } from "../session";
import { running } from "../view/view";
import type { Realtime } from "../wire";
import * as wire from "../wire";
import { answered, isLive } from "./figures";
import { Report, catchUp, closed, outage, sleep, spend, touchAll, wake } from "./report";
import { known, site } from "./site";
import * as timeline from "./timeline";

/** How often the server is asked whether something came by another way than the feed, such as an import. */
const POLL_MS = 10_000;
/** The same while something does. */
const POLL_SOON_MS = 3_000;

/** What the feed said last of now. */
const heard = signal<Realtime | null>(null);

function connect(): WebSocket {
  const url = address("ws/analytics", { site });
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  // Browsers let pages set no header here.
  return new WebSocket(url, protocols(token.peek()));
}

/** Whether the feed was there before: only then can something have been missed. */
let wasLive = false;
/** When the feed was sent the last event, and when it last had figures. */
let told = 0;
let heardAt = 0;
/** Events that come together make figures out of date once, so that floods cost little. */
let touching: ReturnType<typeof setTimeout> | undefined;
const TOGETHER_MS = 150;
/** What the first figures take to be drawn. */
const DRAWN_MS = 50;

export const feed = new Feed(connect, {
  event(event) {
    // Events of one instant are in another order in the feed, so that one which the first page has may come.
    if (timeline.newest.held.peek().data?.events.some(({ id }) => id === event.id)) return;
    told = Date.now();
    timeline.happened(event);
    touching ??= setTimeout(touchFigures, TOGETHER_MS);
  },
  figures(figures) {
    const before = heard.peek();
    if (before && before.at > figures.at) return;
    heard.value = figures;
    // Another process has stored something.
    if (before && before.eventsToday !== figures.eventsToday) {
      startOver();
      if (told < heardAt) look();
    }
    heardAt = Date.now();
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

/** The number of events that the server had, as it said last, and when. */
let counted: number | null = null;
let countedAt = 0;
/** Runs while something comes by another way than the feed. */
let looking: ReturnType<typeof setTimeout> | undefined;

/** Asks soon whether still more has come, such as the rest of an import. */
function look(): void {
  clearTimeout(looking);
  looking = setTimeout(() => void known.ask(), POLL_SOON_MS);
}

/** The server has said how many events it has. When no more come, the page is made complete at once. */
function recounted(events: number): void {
  const [before, foreign] = [counted, told < countedAt];
  [counted, countedAt] = [events, Date.now()];
  if (before !== null && before !== events) {
    startOver();
    if (foreign && feed.state.peek() === "live") look();
  } else if (looking !== undefined) {
    clearTimeout(looking);
    looking = undefined;
    startOver();
    catchUp();
  }
}

/** Starts everything. */
export function start(): void {
  effect(() => {
    const newest = timeline.newest.held.value.data?.events[0];
    if (newest) feed.known(newest.id);
  });
  effect(() => {
    const events = known.held.value.data?.[0]?.events;
    if (events !== undefined) untracked(() => recounted(events));
  });
  let filled = false;
  effect(() => {
    const first = timeline.newest.held.value.data;
    if (!first || filled) return;
    filled = true;
    // Without an answer the strip begins with what the feed tells.
    untracked(() => timeline.fillStrip(first)).catch(() => undefined);
  });
  const connectFeed = (): void => {
    if (!document.hidden && closed.peek() === null) feed.start();
  };
  // The first figures are drawn before the feed has anything drawn.
  void answered.then(() => setTimeout(connectFeed, DRAWN_MS));
  // Without a token that is accepted there is no feed, and trying again would change nothing.
  effect(() => {
    if (closed.value !== null) feed.restart(false);
  });

  addEventListener("online", connectFeed);
  document.addEventListener("visibilitychange", () => {
    sleep(document.hidden);
    connectFeed();
  });
  sleep(document.hidden);
  setInterval(() => {
    if (document.hidden || outage.peek() || closed.peek()) return;
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
