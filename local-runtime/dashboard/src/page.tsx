/** The page, once its code is there. */

import "./main";
import { render } from "preact";
import { App } from "./parts/App";

render(<App />, document.body);
