/**
 * Outlines of pages, which the reader's own browser records: it opens the page with `#maicivy-outline`, and
 * the tracker in it tells this page where its elements are. They are kept in this browser and sent nowhere.
 */

import { computed, signal } from "@preact/signals";
import { type Outline, outlineOf } from "../view/outline";
import { about, page, reported } from "./figures";
import { forget, read, readList, write } from "./preferences";
import { site } from "./site";

/** Outlines that are kept; the one that was recorded longest ago goes first. */
const MOST_KEPT = 20;
/** How long a page may take until its outline is there. */
const PATIENCE_MS = 20_000;
const LIST = "outlines";

/** `opening` a page and waiting for it; `blocked` by the browser; `silent`, because nothing came. */
export type Recording = "idle" | "opening" | "blocked" | "silent";
export const recording = signal<Recording>("idle");

/** Changes when an outline was recorded. */
const recorded = signal(0);
const nameOf = (path: string): string => `outline ${site} ${path}`;

/** The outline of the page that is looked at, if there is one. */
export const outline = computed<Outline | null>(() => {
  recorded.value;
  const path = page.value;
  try {
    return path === null ? null : outlineOf(JSON.parse(read(nameOf(path)) ?? "null"));
  } catch {
    return null;
  }
});

function keep(path: string, found: Outline): void {
  const name = nameOf(path);
  const others = readList(LIST, (item) => (typeof item === "string" && item !== name ? item : null));
  for (const old of others.splice(MOST_KEPT - 1)) forget(old);
  write(name, JSON.stringify(found));
  write(LIST, JSON.stringify([name, ...others]));
  recorded.value += 1;
}

/** Whether the form that asks for the page's address is open. */
export const asking = signal(false);

/** The host that the page is read at most. */
const hosts = reported(
  () => (asking.value && page.value !== null ? about({ metrics: ["visitors"], dimensions: ["event:hostname"], limit: 1 }) : null),
  { every: null },
);

/** Where the page probably is: where the last one was that was recorded, or else at the host of its visitors. */
export const guess = computed<string>(() => {
  recorded.value;
  const host = hosts.held.value.data?.rows[0]?.dimensions[0];
  const origin = read(`origin ${site}`) ?? (host ? `https://${host}` : "");
  return origin === "" ? "" : origin + (page.value ?? "");
});

/** Ends the wait for the outline that was asked for before. */
let endFormer = (): void => undefined;

/** Opens the page and waits for its outline. */
export function record(address: string, path: string): void {
  endFormer();
  const url = new URL(address);
  url.hash = "maicivy-outline";
  const opened = open(url, "_blank", "popup,width=1280,height=900");
  if (opened === null) {
    recording.value = "blocked";
    return;
  }
  recording.value = "opening";
  const end = (how: Recording): void => {
    clearTimeout(patience);
    removeEventListener("message", hear);
    recording.value = how;
  };
  const hear = ({ source, origin, data }: MessageEvent): void => {
    // Only from the page that was opened, at the address that was entered.
    if (source !== opened || origin !== url.origin) return;
    const found = outlineOf(data);
    if (found === null) return;
    opened.close();
    write(`origin ${site}`, url.origin);
    keep(path, found);
    asking.value = false;
    end("idle");
  };
  addEventListener("message", hear);
  const patience = setTimeout(() => end("silent"), PATIENCE_MS);
  endFormer = () => end("idle");
}
