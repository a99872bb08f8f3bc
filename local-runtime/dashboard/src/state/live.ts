/** Ties the feed to the figures and the timeline. */

import { effect, untracked } from "@preact/signals";
import { Feed } from "../live/feed";
import * as figures from "./figures";
import { sleep } from "./resource";
import { site } from "./site";
import * as timeline from "./timeline";

/** How often figures are asked for while there is no feed. */
const WITHOUT_FEED_MS = 15_000;
/** How often a server that lacks something is asked whether it still does. */
const WHOLE_AGAIN_MS = 10_000;
/** How often everything is asked for anew, in case something was counted that nobody told. */
const TRUST_MS = 600_000;

function connect(): WebSocket {
  const address = new URL("/ws/analytics", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("site", site);
  return new WebSocket(address);
}

/** Whether the feed has been there once: before that, nothing has been lost. */
let wasLive = false;

export const feed = new Feed(connect, {
  event(event) {
    timeline.happened(event);
    figures.count(event);
  },
  figures: figures.hear,
  gap: startOver,
  open() {
    if (wasLive) figures.recount();
    wasLive = true;
    timeline.fillStrip();
    // With an empty timeline there is no event to resume after.
    if (timeline.events.value.length === 0) timeline.newest.touch();
  },
});

function startOver(): void {
  figures.recount();
  timeline.newest.touch();
}

/** Starts everything. */
export function start(): void {
  figures.load();
  figures.follow();
  timeline.newest.load();
  effect(() => {
    const known = timeline.newest.held.value.data?.events[0];
    if (known) feed.known(known.id);
  });
  timeline.fillStrip();
  feed.start();
  effect(() => {
    // Whether the server is there at all is soon known.
    if (feed.state.value === "waiting") untracked(figures.refresh);
  });

  addEventListener("online", () => feed.start());
  document.addEventListener("visibilitychange", () => {
    sleep(document.hidden);
    if (!document.hidden) feed.start();
  });
  sleep(document.hidden);
  setInterval(() => {
    if (feed.state.value === "live") return;
    figures.refresh();
    timeline.newest.touch();
  }, WITHOUT_FEED_MS);
  setInterval(figures.refreshDegraded, WHOLE_AGAIN_MS);
  setInterval(startOver, TRUST_MS);
}
