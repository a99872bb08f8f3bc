/** The page, once its code is there. */

import "./main";
import { render } from "preact";
import { App } from "./parts/App";
import { answered, metrics } from "./state/figures";
import { ready } from "./text";
import { metricText } from "./text/names";

/** How long figures are waited for before bones are drawn, which takes slow machines a quarter of a second. */
const PATIENCE_MS = 250;
const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));

await ready;
// Number formats take long to be made: that is done while the figures are on their way.
for (const metric of metrics.peek()) metricText(metric, 0);
await Promise.race([answered, patience]);
render(<App />, document.body);
