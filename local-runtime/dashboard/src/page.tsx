/** The page, once its code is there. */

import "./main";
import { render } from "preact";
import { App } from "./parts/App";
import { ready } from "./text";

await ready;
render(<App />, document.body);
