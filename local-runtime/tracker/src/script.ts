// What the script tag runs: <script defer src="https://HOST/script.js" data-site="SITE"></script>

import { safe } from "./safe.js";
import { createTracker, type Options, type Tracker } from "./tracker.js";

declare global {
  interface Window {
    /** The tracker, once it is there. Before that, options that the server puts in front of the script. */
    maicivy?: Partial<Tracker & Options>;
  }
}

safe(() => {
  const script = document.currentScript as HTMLScriptElement;
  // One tag a page: a second one would count everything twice.
  if (window.maicivy?.track) return;
  window.maicivy = createTracker({ endpoint: new URL("api/v1/analytics", script.src).href, ...window.maicivy, ...script.dataset });
})();
