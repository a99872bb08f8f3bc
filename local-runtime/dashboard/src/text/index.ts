/** The dashboard's words in the language that was chosen. */

import { computed } from "@preact/signals-core";
import { type Language, language } from "../state/preferences";
import { type Messages, en } from "./en";
import { fr } from "./fr";

export type { Messages };

export const MESSAGES: Record<Language, Messages> = { en, fr };

/** What to say now. */
export const say = computed(() => MESSAGES[language.value]);
