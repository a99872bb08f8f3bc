// What the script tag runs: <script defer src="https://HOST/mcv.js" data-site="SITE"></script>

import { safe } from "./safe.js";
import { createTracker, type Tracker } from "./tracker.js";
import { warn } from "./warn.js";

declare global {
  interface Window {
    maicivy?: Tracker;
  }
}

// The server's: build.mjs puts them at the end of the script, where the server may replace them.
/** `ANALYTICS_COLLECT_PATH`. */
declare const COLLECT_PATH: string;
/** `ANALYTICS_HONOR_OPT_OUT`. */
declare const HONOR_OPT_OUT: boolean;

safe(() => {
  // One tag a page: a second one would count everything twice.
  if (window.maicivy?.track) return warn("second tag");
  // Modules are no current script, but every script is in its own stack trace.
  const script = document.currentScript as HTMLScriptElement | null;
  const src = script ? script.src : /\w+:\/\/\S+?(?=:\d+:\d+)/.exec(Error().stack!)![0];
  window.maicivy = createTracker({
    // Paths are relative to the script's: a reverse proxy may have put all of it below a prefix.
    collect: new URL(COLLECT_PATH.slice(1), src).href,
    ignoreOptOut: !HONOR_OPT_OUT,
    // Tag managers drop attributes.
    ...Object.fromEntries(new URL(src).searchParams),
    ...(script || [...document.scripts].find((script) => script.src == src))?.dataset,
  });
})();
