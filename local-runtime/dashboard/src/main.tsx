/** Where it begins. */

import { render } from "preact";
import { App } from "./parts/App";
import { start } from "./state/live";
import { applyPreferences } from "./state/preferences";

applyPreferences();
start();
render(<App />, document.body);
