import { eventId } from "./event_id.js";
import { kept, LOCAL, path } from "./location.js";
import { safe } from "./safe.js";
import { percent, scroller } from "./scroll.js";
import { selector } from "./selector.js";
import { warn } from "./warn.js";

/** The server: one of the two. */
type Server =
  | {
      /** Where the API is, such as `https://stats.example.com/api/v1/analytics`. */
      endpoint: string;
      collect?: string;
    }
  | {
      endpoint?: undefined;
      /** Where events are taken, such as `https://stats.example.com/mcv/notes` (`ANALYTICS_COLLECT_PATH`). */
      collect: string;
    };

/** What a tracker needs to know. */
export type Options = Server & {
  /** The site that is measured, a slug of `a-z`, `0-9`, `.` and `-`; the server's `default` when none is named. */
  site?: string | undefined;
  /** Whether only calls make events, and nothing is observed by itself. */
  manual?: unknown;
  /** Whether a fragment that is a path (`#/about`) is a part of the address. */
  hash?: unknown;
  /** Whether pages on the visitor's own machine are measured although the server is elsewhere. */
  local?: unknown;
  /** Whether visitors who ask not to be tracked are tracked all the same (`ANALYTICS_HONOR_OPT_OUT=false`). */
  ignoreOptOut?: unknown;
};

/** The letters of the CV. */
export type LetterType = "motivation" | "anti_motivation";

/** Calls that make events. None of them ever throws. */
export interface Tracker {
  /**
   * Something of your own happened.
   * @param name 1 to 50 of `a-z`, `0-9`, `_`, `.`, `:` and `-`, starting with a letter
   * @param data whatever is to be known of it, at most 8 KiB of JSON; nothing that identifies a person
   * @param page the page it happened on, such as `/checkout/2`, when it is not the browser's address
   */
  track(name: string, data?: Record<string, unknown> | null, page?: string): void;
  /** The CV's theme was chosen. */
  theme(theme: string): void;
  /** A letter was generated. */
  letter(type: LetterType): void;
}

/** Events beyond this are dropped, oldest first. */
const MOST_EVENTS = 100;
/** The most characters of an event: the server takes 8 KiB of data. */
const MOST_CHARACTERS = 1e4;
/** The greatest age that is sent, in milliseconds: the server takes 24 hours. */
const MOST_AGE = 86e6;
/** Milliseconds for which an event needs no age: it counts when the server gets it, in order. */
const FRESH = 5e3;

/** Whether an option is on: as an attribute without a value too, and not as false, undefined or null. */
const isSet = (option: unknown) => /^(?![fun])/.test(option as string);

/**
 * Milliseconds since 1970 by the visitor's clock as it was when the page was loaded: it goes on
 * evenly, also when that clock is set meanwhile.
 */
const clock = () => performance.timeOrigin + performance.now();

/** What it is like to be in the browser, besides what it says in the headers of its requests. */
const context = () => ({
  timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  screen_width: screen.width,
});

/**
 * Makes a tracker, which starts at once. Never throws, and does nothing outside browsers.
 *
 * Events wait until the server has acknowledged them. Each is a `localStorage` item of its own,
 * from the moment it happens until it is acknowledged: so nothing is lost by a reload or a crash,
 * tabs have nothing to overwrite of each other's, and what two of them send both is counted once,
 * by its id. Where nothing can be stored, events wait in memory.
 */
export const createTracker = (options: Options): Tracker => {
  let failures = 0;
  /** Where events are sent. */
  let url: URL;
  /** Where events wait, by the URL and their id; nothing is there before there is a start. */
  let items: Record<string, string>;
  /** How much of the page was seen, in percent from the top. */
  let seen: number;
  /** The page that is being viewed. */
  let page: string;
  /** Since when it is visible, by the clock; nothing while it is hidden, or once that was reported. */
  let visible: number | boolean | undefined;
  /** Set while nothing may be sent: a batch is on its way, or a timer runs after which it is tried again. */
  let timer = 0;

  /** Takes an event, if there is one, and sends what waits; `leaving` when the page may not live to see the answer. */
  const deliver = safe((leaving?: unknown, event?: object) => {
    // The owner of this browser switches it off for this site.
    if (/maicivy-off$/.test(location.hash)) items.maicivy = 1 as unknown as string;
    if (/maicivy-on$/.test(location.hash)) delete items.maicivy;
    if (
      items.maicivy
        ? !warn("off: #maicivy-on")
        : !options.ignoreOptOut &&
          ((navigator as Navigator & { globalPrivacyControl?: boolean }).globalPrivacyControl ||
            +navigator.doNotTrack!)
    ) {
      return keys().forEach(remove);
    }
    if (event) {
      const event_id = eventId();
      const text = JSON.stringify({ event_id, time: clock(), ...event });
      // What the server would not take must not stand in the way of others.
      if (text.length > MOST_CHARACTERS) return;
      try {
        items[url + event_id] = text;
      } catch {
        // Full.
        items = {};
        items[url + event_id] = text;
      }
      keys().slice(0, -MOST_EVENTS).forEach(remove);
    }
    if (timer && !leaving) return;
    const batch: object[] = [];
    const taken = keys().filter((key) => {
      try {
        const { time, ...event } = JSON.parse(items[key]!);
        // The visitor's clock may have been set since the page that left it was loaded.
        return batch.push({
          ...event,
          age_ms: clock() - time > FRESH ? Math.min(clock() - time, MOST_AGE) : null,
          context: context(),
        });
      } catch {
        // Not ours.
        remove(key);
      }
    });
    const body = JSON.stringify(batch);
    if (!taken[0] || (leaving && navigator.sendBeacon?.(url, body))) return;
    timer = 1;
    const answered = (answer: Partial<Response>) => {
      timer = 0;
      if (/^[2-4](?!29)/.test(answer.status as unknown as string)) {
        failures = 0;
        taken.forEach(remove);
        deliver();
      } else {
        // No network, 429 and 5xx. Never before the server said, and not all visitors at once.
        timer = setTimeout(
          again,
          (~~answer.headers?.get("retry-after")! + Math.min(2 ** failures++, 300)) * (1e3 + Math.random() * 500),
        );
      }
    };
    fetch(url, { body, method: "POST" }).then(answered, answered);
  });

  const on = <Event_ extends Event>(type: string, run: (event: Event_) => void) =>
    addEventListener(type, safe(run) as EventListener, true);

  /** All keys, oldest first. */
  const keys = () =>
    Object.keys(items)
      .filter((key) => !key.indexOf(url as URL & string))
      .sort();

  const send = safe(
    (event_type: string, event_data?: object | null, page_url: string = address(), leaving?: unknown, more?: object) => {
      if (!/^[a-z][a-z0-9_.:-]*$/.test(event_type || "")) return warn("bad name: " + event_type);
      deliver(leaving, { event_type, page_url, site: options.site, event_data, ...more });
    },
  );

  const measure = () => {
    const root = scroller();
    seen = Math.max(seen, percent(root.scrollTop + root.clientHeight, root.scrollHeight));
  };

  const moved = safe(() => {
    if (address() != page) {
      leave();
      view();
    } else deliver();
  });

  const remove = (key: string) => delete items[key];

  /** The address that is being viewed. A fragment that is a path (`#/about`, `#!/about`) may go on below the path. */
  const address = () => {
    const [, route = "", query = ""] = (isSet(options.hash) && /^#!?\/([^?]*)\??(.*)/.exec(location.hash)) || [];
    return path() + (route && "/" + route) + kept(location.search + "&" + query);
  };

  const look = () => {
    visible = !document.hidden && clock();
  };

  const again = () => {
    timer = 0;
    deliver();
  };

  const view = (more?: object) => {
    seen = 0;
    look();
    send("page_view", null, (page = address()), false, more);
  };

  /** Reports how much was seen, and for how long, once for each time that the page was visible. */
  const leave = (leaving?: unknown) => {
    if (visible) {
      measure();
      // Which leaves nothing in it.
      visible = send(
        "scroll",
        { visible_seconds: Math.round((clock() - (visible as number)) / 1e3), depth: seen },
        page,
        leaving,
      );
    } else deliver(leaving);
  };

  const clicked = (event: MouseEvent) => {
    // What was clicked, within shadow roots too, and all that it is in.
    const within = event.composedPath() as HTMLElement[];
    const target = within[0]!;
    // A click on a label comes again as one on what it labels; a right click opens a menu.
    if (event.button > 1 || (target.closest("label")?.control || target) != target) return;
    const link = within.find((element) => element.matches?.("button,a,area")) as HTMLAnchorElement | undefined;
    // Properties of links in drawings (SVG) are not texts.
    const to = new URL(link?.getAttribute("href")!, location as unknown as string);
    const download = link?.matches("[download]") || /\.(ppt|doc|xls|zip|pdf)x?$/i.test(to.pathname);
    const followed = download || (to.host && to.host != location.host);
    send(followed ? "link_click" : "button_click", {
      element: selector(link || target),
      // The key press or the script that clicks has no place.
      ...(event.detail && {
        y: percent(event.pageY, document.documentElement.scrollHeight),
        x: percent(event.pageX, document.documentElement.scrollWidth),
      }),
      // Not its query, which may identify a person.
      ...(followed && { url: to.origin + to.pathname, download }),
    });
    within.find(
      (element) => element.dataset?.track && !send(element.dataset.track, JSON.parse(element.dataset.trackData || null!)),
    );
  };

  const observe = () => {
    const load = performance.getEntriesByType("navigation")[0] as PerformanceNavigationTiming | undefined;
    view({
      referrer: document.referrer,
      // The id that the server gave the view of this page when it counted the page's request. A page
      // from a cache has the headers of an earlier view.
      view_id: load?.serverTiming?.find((entry) => load.transferSize && entry.name == "maicivy")?.description,
    });
    if (load?.responseStatus == 404) send("not_found");
    on("auxclick", clicked);
    on("scroll", measure);
    on("click", clicked);
    on("pageshow", (event: PageTransitionEvent) => event.persisted && view());
    on("visibilitychange", (event) => (document.hidden ? leave(event) : look()));
    on("submit", (event) => send("form_submit", { element: selector(event.target as Element) }));
    // Fragments too.
    on("popstate", moved);
    const pushState = history.pushState;
    if (window.navigation) {
      navigation.addEventListener("currententrychange", (event) => event.navigationType == "replace" || moved());
    } else {
      history.pushState = (...change) => {
        pushState.apply(history, change);
        moved();
      };
    }
  };

  safe(() => {
    url = new URL(options.endpoint ? options.endpoint + "/events" : options.collect!, location as unknown as string);
    // The owner's dashboard asks for an outline of the page: this is no visit.
    if (/maicivy-outline$/.test(location.hash)) return import(url as URL & string);
    if (!isSet(options.local) && LOCAL.test(location.hostname) > LOCAL.test(url.hostname)) {
      return warn("no data-local");
    }
    if (!/^[a-z0-9.-]+$/.test(options.site || "")) warn("bad site: " + options.site);
    on("pagehide", leave);
    on("online", again);
    items = {};
    try {
      // Null where it is switched off altogether.
      items = localStorage || items;
    } catch {
      // Blocked.
    }
    if (isSet(options.manual)) return;
    // A page that is prepared in advance is not yet seen.
    if ((document as Document & { prerendering?: boolean }).prerendering) on("prerenderingchange", observe);
    else observe();
  })();

  return {
    letter: (letter_type) => send("letter_generate", { letter_type }),
    theme: (theme) => send("cv_theme_change", { theme }),
    track: send,
  };
};
