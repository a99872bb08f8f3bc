import { eventId } from "./event_id.js";
import { safe } from "./safe.js";
import { warn } from "./warn.js";

/** Events beyond this are dropped, oldest first. */
const MOST_EVENTS = 100;
/** The most characters of an event: the server takes 8 KiB of data. */
const MOST_CHARACTERS = 1e4;
/** The greatest age that is sent, in milliseconds: the server takes 24 hours. */
const MOST_AGE = 86e6;
/** Milliseconds for which an event needs no age: it counts when the server gets it, in order. */
const FRESH = 5e3;
/** The item that keeps the visits of a browser from being counted. */
const OFF = "maicivy-off";

/** An event as it waits. */
interface Waiting {
  /** When it happened, by the clock of its page. */
  time: number;
}

/**
 * Milliseconds since 1970 by the visitor's clock as it was when the page was loaded: it goes on
 * evenly, also when that clock is set meanwhile.
 */
const clock = () => performance.timeOrigin + performance.now();

/** Whether the visitor asks not to be tracked. */
const refused = (): unknown =>
  (navigator as Navigator & { globalPrivacyControl?: boolean }).globalPrivacyControl || +navigator.doNotTrack!;

/**
 * Where events wait until the server has acknowledged them.
 *
 * Each is a `localStorage` item of its own, from the moment it happens until it is acknowledged:
 * so nothing is lost by a reload or a crash, tabs have nothing to overwrite of each other's, and
 * what two of them send both is counted once, by its id. Where nothing can be stored, events wait
 * in memory.
 *
 * `context` goes with each event when it is sent. With `ignoreOptOut`, visitors who ask not to be
 * tracked are tracked all the same.
 *
 * Answers a function that takes an event, if it is given one, and sends what waits; `leaving` when
 * the page may not live to see the answer.
 */
export const outbox = (url: string, context?: object, ignoreOptOut?: unknown) => {
  let items: Record<string, string> = {};
  /** Whether a batch is on its way. */
  let busy = false;
  let failures = 0;
  /** Set while the server is left in peace. */
  let timer = 0;

  /** All keys, oldest first. */
  const keys = () =>
    Object.keys(items)
      .filter((key) => key.startsWith(url))
      .sort();

  const remove = (key: string) => delete items[key];

  /** Whether the owner of this browser has switched it off for this site (`#maicivy-off`). */
  const excluded = () => {
    const [, wish] = /#\/?maicivy-o(n|ff)$/.exec(location.hash) || [];
    if (wish) items[OFF] = wish;
    if (wish == "n") remove(OFF);
    if (items[OFF]) warn("not counted before #maicivy-on");
    return items[OFF];
  };

  const deliver = safe((event?: object | null, leaving?: boolean) => {
    if (excluded() || (!ignoreOptOut && refused())) return keys().forEach(remove);
    if (event) {
      const event_id = eventId();
      const text = JSON.stringify({ event_id, time: clock(), ...event });
      // What the server would not take must not stand in the way of others.
      if (text.length > MOST_CHARACTERS) return;
      try {
        items[url + event_id] = text;
      } catch {
        // Full.
        items = { [url + event_id]: text };
      }
      keys().slice(0, -MOST_EVENTS).forEach(remove);
    }
    if (!leaving && (timer || busy)) return;
    const batch: object[] = [];
    const taken = keys().filter((key) => {
      try {
        const { time, ...event }: Waiting = JSON.parse(items[key]!);
        // The visitor's clock may have been set since the page that left it was loaded.
        const age_ms = Math.round(Math.min(Math.max(clock() - time, 0), MOST_AGE));
        if (age_ms >= 0) return batch.push({ ...event, age_ms: age_ms < FRESH ? null : age_ms, context });
      } catch {
        // Not ours.
      }
      remove(key);
    });
    if (!taken[0]) return;
    const body = JSON.stringify(batch);
    if (leaving && navigator.sendBeacon?.(url, body)) return;
    busy = true;
    // `keepalive` lets the request outlive the page, and takes 64 KiB at most.
    fetch(url, { method: "POST", body, keepalive: body.length < 2e4 })
      .catch((): Partial<Response> => ({}))
      .then(({ status, headers }) => {
        busy = false;
        if (!status || status == 429 || status > 499) {
          // Never before the server said, and not all visitors at once.
          const seconds = (+headers?.get("retry-after")! || 0) + Math.min(2 ** failures++, 300);
          clearTimeout(timer);
          timer = setTimeout(again, seconds * (1e3 + Math.random() * 500));
        } else {
          failures = 0;
          taken.forEach(remove);
          deliver();
        }
      });
  });

  const again = () => {
    timer = 0;
    deliver();
  };
  addEventListener("online", again);
  safe(() => {
    // Null where it is switched off altogether; where it is blocked this throws.
    items = localStorage || items;
  })();
  return deliver;
};
