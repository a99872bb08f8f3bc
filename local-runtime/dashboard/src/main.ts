/** Where it begins: the first questions leave before the code of the page has come, which is another script. */

import { start } from "./state/live";
import { applyPreferences } from "./state/preferences";

applyPreferences();
start();
