/** What one visitor has read today, where readers are known. */

import { signal } from "@preact/signals";
import { get } from "../api";
import type { Happening } from "../wire";
import * as wire from "../wire";
import { Report } from "./report";
import { site } from "./site";

/** The visitor that is followed, by the pseudonym of the day. */
export const followed = signal<string | null>(null);

const PAGE = 100;
/** How many answers are asked for, each of which looks at some thousand events. */
const MOST_ANSWERS = 5;

/** What a visitor has viewed today, in order. */
interface Path {
  views: readonly Happening[];
  /** Whether there may be earlier ones. */
  cut: boolean;
}

export const path = new Report<Path>(
  () => followed.value,
  async () => {
    const views: Happening[] = [];
    const visitor = followed.value ?? "";
    let cursor: string | undefined;
    let degraded = false;
    for (let answers = 0; answers < MOST_ANSWERS; answers += 1) {
      const answer = await get("timeline", { site, visitor, limit: PAGE, cursor }, wire.timeline);
      views.unshift(...answer.data.events.filter(({ type }) => type === "page_view").reverse());
      degraded ||= answer.degraded;
      cursor = answer.data.next ?? undefined;
      if (cursor === undefined) break;
    }
    return { data: { views, cut: cursor !== undefined }, degraded };
  },
  { every: 40_000 },
);
