/** Which site is looked at: `?site=` names it. */

import { signal } from "@preact/signals-core";
import { get } from "../api";
import { view } from "../view/view";
import * as wire from "../wire";
import { Report } from "./report";

/** What a site may be called. */
export const SITE_PATTERN = "[a-z0-9.\\-]{1,63}";

export function parseSite(text: string): string | null {
  return new RegExp(`^${SITE_PATTERN}$`).test(text) ? text : null;
}

/** The site as the address has it. A name that cannot be one is for the server to refuse. */
export const site = new URLSearchParams(location.search).get("site") ?? "default";

export const addressOf = (name: string): string =>
  name === "default" ? location.pathname : `${location.pathname}?site=${encodeURIComponent(name)}`;

/** The view's range as a parameter. */
export const rangeText = (): string => {
  const { range } = view.value;
  return typeof range === "string" ? range : JSON.stringify(range);
};

/**
 * How much is known of this site, and what became of the events of the view's days: it tells of events that
 * come by other ways than the feed.
 */
export const known = new Report(
  rangeText,
  () => get("sites", { site, date_range: rangeText() }, wire.sites),
  { every: 10_000, main: true },
);

/** Whether nothing was ever counted; undefined until the server has said so. */
export function isEmpty(): boolean | undefined {
  const [summary] = known.held.value.data ?? [];
  return summary && summary.events === 0;
}

/** Whether the list of sites is open. */
export const listing = signal(false);
/** The sites that there are. */
export const sites = new Report(
  () => (listing.value ? "sites" : null),
  () => get("sites", { limit: 100 }, wire.sites),
  { every: 60_000 },
);
