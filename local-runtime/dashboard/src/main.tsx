/** Where it begins. */

import { render } from "preact";
import { App } from "./parts/App";
import { start } from "./state/live";
import { applyPreferences } from "./state/preferences";

applyPreferences();
start();
// The first queries leave before the first drawing, which takes a while on slow machines.
queueMicrotask(() => render(<App />, document.body));
