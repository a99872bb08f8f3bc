import { eventId } from "./event_id.js";
import { safe } from "./safe.js";

/** Events beyond this are dropped, oldest first. */
const MOST_EVENTS = 100;
/** The most characters of an event: the server takes 8 KiB of data. */
const MOST_CHARACTERS = 1e4;
/** Milliseconds after which an event is too old for the server, which takes 24 hours. */
const TOO_OLD = 86e6;
/** Milliseconds for which an event needs no time of its own: the server's clock is the better one. */
const FRESH = 5e3;

/** An event as it waits. */
interface Waiting {
  timestamp: string | null;
}

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
 * With `ignoreOptOut`, visitors who ask not to be tracked are tracked all the same.
 *
 * Answers a function that takes an event, if it is given one, and sends what waits; `leaving` when
 * the page may not live to see the answer.
 */
export const outbox = (url: string, ignoreOptOut?: unknown) => {
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

  const deliver = safe((event?: object | null, leaving?: boolean) => {
    if (!ignoreOptOut && refused()) return keys().forEach(remove);
    if (event) {
      const event_id = eventId();
      const text = JSON.stringify({ event_id, timestamp: new Date(), ...event });
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
    if (timer || (busy && !leaving)) return;
    const batch: Waiting[] = [];
    const taken = keys().filter((key) => {
      try {
        const waiting: Waiting = JSON.parse(items[key]!);
        const age = +new Date() - +new Date(waiting.timestamp!);
        if (age < FRESH) waiting.timestamp = null;
        if (age < TOO_OLD) return batch.push(waiting);
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
