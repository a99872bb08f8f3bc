/** The cards of the page: which dimensions each of them shows, one at a time. */

import { type Signal, computed, signal } from "@preact/signals-core";
import { read, remembered, write } from "./preferences";

export interface Tab {
  /** Its name, in addresses and translations. */
  name: string;
  dimension: string;
  /** Conditions of its own. */
  filters?: readonly unknown[];
  /** The dimension that a click on a row filters by, if it is another one; null if by none. */
  filtersBy?: string | null;
  /** It shows something else than rows. */
  panel?: "funnel" | "retention";
}

const named = (name: string): unknown => ["is", "event:name", [name]];
const download = (is: string): unknown => ["is", "event:props:download", [is]];

export const TABS = {
  sources: [
    { name: "source", dimension: "visit:source" },
    { name: "channel", dimension: "visit:channel" },
    { name: "referrer", dimension: "visit:referrer", filters: [["is_not", "visit:referrer", [""]]] },
    { name: "utm_campaign", dimension: "visit:utm_campaign", filters: [["is_not", "visit:utm_campaign", [""]]] },
    { name: "utm_source", dimension: "visit:utm_source", filters: [["is_not", "visit:utm_source", [""]]] },
    { name: "utm_medium", dimension: "visit:utm_medium", filters: [["is_not", "visit:utm_medium", [""]]] },
    { name: "utm_content", dimension: "visit:utm_content", filters: [["is_not", "visit:utm_content", [""]]] },
    { name: "utm_term", dimension: "visit:utm_term", filters: [["is_not", "visit:utm_term", [""]]] },
  ],
  pages: [
    { name: "page", dimension: "event:page" },
    { name: "entry_page", dimension: "visit:entry_page" },
    { name: "exit_page", dimension: "visit:exit_page" },
    { name: "hostname", dimension: "event:hostname" },
  ],
  locations: [
    { name: "country", dimension: "visit:country" },
    { name: "region", dimension: "visit:region", filters: [["is_not", "visit:region", [""]]] },
    { name: "city", dimension: "visit:city", filters: [["is_not", "visit:city", [""]]] },
    { name: "language", dimension: "visit:language" },
  ],
  devices: [
    { name: "browser", dimension: "visit:browser" },
    { name: "os", dimension: "visit:os" },
    { name: "device", dimension: "visit:device" },
    { name: "screen", dimension: "visit:screen" },
  ],
  events: [
    { name: "event", dimension: "event:name", filtersBy: "event:goal" },
    { name: "goal", dimension: "event:goal" },
    { name: "outbound", dimension: "event:props:url", filters: [named("link_click"), download("false")] },
    { name: "downloads", dimension: "event:props:url", filters: [named("link_click"), download("true")] },
    { name: "forms", dimension: "event:props:element", filters: [named("form_submit")] },
    { name: "missing", dimension: "event:page", filters: [named("not_found")] },
    { name: "property", dimension: "event:props:" },
    { name: "funnel", dimension: "", panel: "funnel" },
    { name: "retention", dimension: "", panel: "retention" },
  ],
  cv: [
    { name: "theme", dimension: "event:theme", filters: [["is_not", "event:theme", [""]]] },
    { name: "letter_type", dimension: "event:letter_type", filters: [["is_not", "event:letter_type", [""]]] },
  ],
} as const satisfies Record<string, readonly Tab[]>;

export type CardName = keyof typeof TABS;

/** The tab of each card that is open. */
export const open = Object.fromEntries(
  Object.entries(TABS).map(([card, tabs]) => {
    const names = tabs.map(({ name }) => name);
    return [card, remembered(`tab.${card}`, names, names[0] ?? "")];
  }),
) as unknown as Record<CardName, Signal<string>>;

/** The property whose values are shown, of the events with this name. */
export const property = signal<{ event: string; key: string }>(parseProperty(read("property")));

function parseProperty(text: string | null): { event: string; key: string } {
  const [event = "", ...key] = (text ?? "").split(" ");
  return { event, key: key.join(" ") };
}

export function showProperty(event: string, key: string): void {
  property.value = { event, key };
  write("property", `${event} ${key}`);
}

const tabs = Object.fromEntries(
  Object.entries(TABS).map(([card, tabs]) => [
    card,
    computed<Tab | null>(() => {
      const tab: Tab | undefined = tabs.find(({ name }) => name === open[card as CardName].value);
      if (tab?.name !== "property") return tab ?? null;
      const { event, key } = property.value;
      const filters = event === "" ? [] : [named(event)];
      return key === "" ? null : { ...tab, dimension: `event:props:${key}`, filters };
    }),
  ]),
) as unknown as Record<CardName, Signal<Tab | null>>;

/** The open tab of a card; null while it does not know what to show. */
export const chosen = (card: CardName): Tab | null => tabs[card].value;
