/** The formats of the language that was chosen. */

import { computed } from "@preact/signals-core";
import { locale } from "../state/preferences";
import { formats } from "./format";

export const show = computed(() => formats(locale()));
