// The tracker: <script defer src="https://HOST/script.js" data-site="SITE"></script>
//
// Sends page views, also of pages that change their address without loading, and clicks with
// their place in percent of the page. It stores nothing in the browser and sends nothing for
// people who asked not to be tracked. For everything else there is
// `maicivy.track("letter_generate", { letter_type: "motivation" })`.
(() => {
  "use strict";
  const script = document.currentScript;
  const endpoint = new URL("/api/v1/analytics/event", script?.src || location.href).href;
  const site = script?.dataset.site;
  const optedOut = navigator.globalPrivacyControl || navigator.doNotTrack === "1";
  const RETRIES = 3;

  // Without it the server makes ids, and a repeated attempt could count twice.
  // Version 7 (RFC 9562): the time comes first, which stores find cheaper than chance alone.
  const uuid = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    for (let at = 5, time = Date.now(); at >= 0; at--, time = Math.floor(time / 256)) bytes[at] = time % 256;
    bytes[6] = (bytes[6] & 15) | 112;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  };

  const page = () => location.pathname + location.search;

  function send(event, attempt = 0) {
    // A plain text body spares browsers of other origins the question whether they may.
    fetch(endpoint, { method: "POST", body: JSON.stringify(event), keepalive: true })
      .then((answer) => answer.status === 429 || answer.status >= 500)
      .catch(() => true)
      .then((again) => {
        if (again && attempt < RETRIES) setTimeout(send, 2_000 * 4 ** attempt, event, attempt + 1);
      });
  }

  function track(event_type, event_data, more) {
    if (optedOut) return;
    send({ event_id: uuid(), site, event_type, event_data, page_url: page(), ...more });
  }

  let seen = null;
  function viewed() {
    if (page() === seen) return;
    const referrer = seen === null ? document.referrer || undefined : undefined;
    seen = page();
    track("page_view", undefined, { referrer });
  }

  function clicked({ target, pageX, pageY }) {
    const hit = target.closest?.("[data-track], button, [role=button], input[type=submit], a[href]");
    if (!hit) return;
    const { scrollWidth, scrollHeight } = document.documentElement;
    const percent = (part, whole) => Math.min(100, Math.max(0, Math.round((1000 * part) / whole) / 10));
    track(hit.matches("a[href]") ? "link_click" : "button_click", {
      // Never its text, which may name somebody.
      element: hit.dataset.track || hit.id || hit.tagName.toLowerCase(),
      x: percent(pageX, scrollWidth),
      y: percent(pageY, scrollHeight),
    });
  }

  function start() {
    const push = history.pushState;
    history.pushState = function (...change) {
      push.apply(this, change);
      viewed();
    };
    addEventListener("popstate", viewed);
    addEventListener("click", clicked, { capture: true, passive: true });
    viewed();
  }

  window.maicivy = { track: (event_type, event_data) => track(event_type, event_data) };
  // A page that is prepared in advance is not yet seen.
  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
})();
