/** The site's goals and funnels, which the server keeps. */

import { signal } from "@preact/signals-core";
import { Failure, asAdmin, get } from "../api";
import type { Funnel, Goals, Target } from "../wire";
import * as wire from "../wire";
import { chosen, open } from "./cards";
import { Report, touchAll } from "./report";
import { site } from "./site";

/** What the server takes at most. */
export const MOST = { goals: 50, funnels: 20, steps: 8 } as const;
export const FEWEST_STEPS = 2;

/** The editor's lists while it is open. */
export const editing = signal<Pick<Goals, "goals" | "funnels"> | null>(null);

export const goals = new Report<Goals>(
  () => (editing.value || chosen("events")?.panel === "funnel" || open.events.value === "goal" ? site : null),
  () => get("goals", { site }, wire.goals),
  { every: null },
);

/** Opens the editor, with one more funnel if there is one to keep. */
export function edit(more: readonly Funnel[] = []): void {
  const { goals: known = [], funnels = [] } = goals.held.peek().data ?? {};
  editing.value = { goals: known, funnels: [...funnels, ...more] };
}

/** Keeps what the editor has. Answers why it was refused, or null. */
export async function save(): Promise<Failure | null> {
  const { goals: list, funnels } = editing.peek() ?? { goals: [], funnels: [] };
  try {
    await asAdmin("PUT", "goals", { site }, { goals: list, funnels }, wire.goals);
  } catch (error) {
    return Failure.of(error);
  }
  editing.value = null;
  goals.load();
  touchAll();
  return null;
}

/** A step or a goal as a filter of the query language. */
export function condition({ event, page, filter }: Target): unknown {
  if (event !== undefined) return ["is", "event:name", [event.trim()]];
  if (page !== undefined) return ["is", "event:goal", [`Visit ${page.trim()}`]];
  return filter;
}

/** What a step or a goal is about, as text. */
export const targetText = ({ event, page, filter }: Target): string => event ?? page ?? JSON.stringify(filter);

/** Whether nothing is missing. */
export const isComplete = (target: Target): boolean => targetText(target).trim() !== "";
