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
/** `ANALYTICS_COLLECT_PATH`, without its first slash. */
declare const COLLECT_PATH: string;
/** Whether `ANALYTICS_HONOR_OPT_OUT` is off. */
declare const IGNORE_OPT_OUT: number;

safe(() => {
  // One tag a page: a second one would count everything twice.
  if (window.maicivy?.track) return warn("second tag");
  // Modules are no current script, but every script is in its own stack trace.
  const script = (document.currentScript || {
    src: /http\S+(?=:\d+:)/.exec(Error().stack!)![0],
  }) as HTMLScriptElement;
  window.maicivy = createTracker({
    ignoreOptOut: IGNORE_OPT_OUT,
    // Paths are relative to the script's: a reverse proxy may have put all of it below a prefix.
    collect: new URL(COLLECT_PATH, script.src) as URL & string,
    // Tag managers drop attributes, and remove the tag.
    ...Object.fromEntries(new URL(script.src).searchParams),
    ...[...document.scripts, script].find((tag) => tag.src == script.src)!.dataset,
  });
})();
