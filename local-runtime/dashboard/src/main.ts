/** Where it begins: the first questions leave before the code of the page has come, which is another script. */

import { start } from "./state/live";
import { applyPreferences, language } from "./state/preferences";
import { french } from "./text/french";

applyPreferences();
// Reports ask in a microtask when they are made, so the first questions leave before the rest is set up.
queueMicrotask(start);
// The words come beside the page, which waits for them.
if (language.peek() === "fr") french().catch(() => undefined);
