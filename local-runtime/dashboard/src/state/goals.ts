/** The site's goals and funnels, which the server keeps. */

import { computed, signal } from "@preact/signals-core";
import { Failure, asAdmin, get } from "../api";
import type { Funnel, Goals, Target } from "../wire";
import * as wire from "../wire";
import { chosen, open } from "./cards";
import { cards } from "./figures";
import { Report, touchAll } from "./report";
import { site } from "./site";

/** What the server takes at most. */
export const MOST = { goals: 50, funnels: 20, steps: 8 } as const;
export const FEWEST_STEPS = 2;

/** What is edited while the editor is open, and which version of it was there. */
export const editing = signal<Omit<Goals, "configured"> | null>(null);

/** Computed, so that what is typed in the editor asks for nothing. */
const wanted = computed(() => (editing.value || chosen("events")?.panel === "funnel" || open.events.value === "goal" ? site : null));

export const goals = new Report<Goals>(
  () => wanted.value,
  () => get("goals", { site }, wire.goals),
  { every: null },
);

/** Opens the editor with what the server has now, and with one more funnel if there is one to keep. */
export async function edit(more: readonly Funnel[] = []): Promise<void> {
  try {
    const { data } = await get("goals", { site }, wire.goals);
    editing.value = { goals: data.goals, funnels: [...data.funnels, ...more], version: data.version };
  } catch {
    // Its failure is shown.
    goals.load();
  }
}

/** Keeps what the editor has. Answers why it was refused, or null. */
export async function save(): Promise<Failure | null> {
  const edited = editing.peek();
  if (!edited) return null;
  const { version, ...lists } = edited;
  try {
    await asAdmin("PUT", "goals", { site, version }, lists, wire.goals);
  } catch (error) {
    const failure = Failure.of(error);
    // Those of another administrator, which the editor begins with when it is opened again.
    if (failure.code === "CONFLICT") changed();
    return failure;
  }
  editing.value = null;
  changed();
  return null;
}

/** Asks for the goals, and for what is counted by them: at once, as far as it is what the reader looks at. */
function changed(): void {
  goals.load();
  touchAll();
  if (open.events.value === "goal") cards.events.load();
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
