/** The dashboard's words in the language that was chosen. English is there; another one comes when it is needed. */

import { computed, effect, signal } from "@preact/signals-core";
import { type Language, language } from "../state/preferences";
import { type Messages, en } from "./en";
import { french } from "./french";

export type { Messages };

/** What each language calls itself. */
export const NAMES: Record<Language, string> = { en: "English", fr: "Français" };

const known = signal<Partial<Record<Language, Messages>>>({ en });

/** What to say now; in English while the words of the language have not come. */
export const say = computed(() => known.value[language.value] ?? en);

/** Fetches the words of the language, if they are not there. Without them the page stays in English. */
async function learn(wanted: Language): Promise<void> {
  if (wanted !== "fr" || known.peek().fr) return;
  const fr = await french().catch(() => undefined);
  if (fr) known.value = { ...known.peek(), fr };
  else document.documentElement.lang = "en";
}

effect(() => void learn(language.value));

/** Ends when the page need not be drawn in another language than that of its reader. */
export const ready = learn(language.peek());
