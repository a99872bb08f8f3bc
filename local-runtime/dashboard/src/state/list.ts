/**
 * The part of the timeline that is on screen: exactly what the server would give, newest first,
 * however late, early or often an event arrives.
 */

import type { Happening, TimelinePage } from "../wire";

export interface Listed {
  events: readonly Happening[];
  /** Where older ones go on; null when there are none. */
  next: string | null;
}

export const NOTHING: Listed = { events: [], next: null };

/** Newest first; events of the same time by id, as the server has it. */
function newer(a: Happening, b: Happening): number {
  return b.at - a.at || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
}

/** Both, each event once, newest first. */
function merged(a: readonly Happening[], b: readonly Happening[]): Happening[] {
  // What is listed stays the object that it was, so that its row stays as it is.
  return [...new Map([...b, ...a].map((event) => [event.id, event])).values()].sort(newer);
}

/** With what the feed said. What is older than the oldest listed comes with its own page. */
export function withNews(listed: Listed, news: readonly Happening[]): Listed {
  const oldest = listed.events.at(-1);
  const listable = listed.next === null || !oldest ? news : news.filter((event) => newer(event, oldest) < 0);
  if (listable.length === 0) return listed;
  return { ...listed, events: merged(listed.events, listable) };
}

/** With the next page of older ones. */
export function withOlder(listed: Listed, page: TimelinePage): Listed {
  return { events: merged(listed.events, page.events), next: page.next };
}

/**
 * The first page anew, for a reader further down: what is listed stays, unless so much
 * has happened that there would be a hole between the two.
 */
export function caughtUp(listed: Listed, page: TimelinePage): Listed {
  const known = new Set(listed.events.map(({ id }) => id));
  const touches = page.next === null || page.events.some(({ id }) => known.has(id));
  return touches ? withNews(listed, page.events) : afresh(listed, page);
}

/** The first page anew, and what the feed said since it was asked for. */
export function afresh(listed: Listed, page: TimelinePage): Listed {
  return withNews({ events: page.events, next: page.next }, listed.events);
}
