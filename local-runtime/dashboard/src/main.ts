/** Where it begins: the first questions leave before the code of the page has come, which is another script. */

import { start } from "./state/live";
import { applyPreferences, language } from "./state/preferences";
import { french } from "./text/french";

applyPreferences();
// The questions that were put while this was loaded leave before it.
queueMicrotask(start);
// The words come beside the page, which waits for them.
if (language.peek() === "fr") french().catch(() => undefined);
