/** Where it begins: the first questions leave before the code of the page has come. */

import { start } from "./state/live";
import { applyPreferences } from "./state/preferences";

applyPreferences();
start();
void import("./page");
