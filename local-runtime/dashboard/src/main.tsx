/** Where it begins. */

import { render } from "preact";
import { App } from "./parts/App";
import { start } from "./state/live";
import { applyPreferences } from "./state/preferences";
import { remember } from "./state/site";

applyPreferences();
remember();
start();
render(<App />, document.body);
