import { here, isTrial } from "./location.js";
import { outbox } from "./outbox.js";
import { safe } from "./safe.js";
import { depth, percent } from "./scroll.js";
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
   * @param data whatever is to be known of it, at most 8 KiB of JSON; nothing that tells who somebody is
   * @param page the page it happened on, such as `/checkout/2`, when it is not the browser's address
   */
  track(name: string, data?: Record<string, unknown> | null, page?: string): void;
  /** The CV's theme was chosen. */
  theme(theme: string): void;
  /** A letter was generated. */
  letter(type: LetterType): void;
}

/** Links to these are downloads. */
const FILE = /\.(pdf|zip|(doc|xls|ppt)x?)$/i;

/** What the server takes as a site, and as the name of an event. */
const SITE = /^[a-z0-9.-]{1,63}$/;
const NAME = /^[a-z][a-z0-9_.:-]{0,49}$/;

/** Whether an option is on: as an attribute without a value too, and not as `"false"`. */
const isSet = (option: unknown) => `${option ?? "false"}` != "false";

/** What the browser knows of itself and does not say in the headers of its requests. */
const context = () => ({
  timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  screen_width: screen.width,
});

/** The id that the server gave the view of this page when it counted the page's request. */
const counted = (): string | undefined => {
  const [load] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  // A page from a cache has the headers of an earlier view.
  return load?.transferSize ? load.serverTiming?.find(({ name }) => name == "maicivy")?.description : undefined;
};

/** Makes a tracker, which starts at once. Never throws, and does nothing outside browsers. */
export const createTracker = ({ endpoint, collect, site, manual, hash, local, ignoreOptOut }: Options): Tracker => {
  let deliver: ReturnType<typeof outbox>;
  /** The view of this page that the server has counted by its request, until it was reported. */
  let view_id: string | undefined;
  /** The page that is being viewed. */
  let page: string;
  /** How much of it was seen, in percent from the top. */
  let seen: number;
  /** Since when it is visible, in milliseconds of the page's life; 0 while it is hidden. */
  let visible: number;
  /** Whether all of that was reported. */
  let left: boolean;

  const address = () => here(isSet(hash));

  const send = safe(
    (
      event_type: string,
      event_data?: object | null,
      page_url: string = address(),
      leaving?: boolean,
      referrer?: string | null,
    ) => {
      if (!event_type?.match?.(NAME)) return warn("invalid name " + event_type);
      const event = { event_type, event_data, page_url: page_url.slice(0, 2e3), referrer, site };
      if (event_type == "page_view") {
        deliver({ ...event, view_id }, leaving);
        view_id = undefined;
      } else deliver(event, leaving);
    },
  );

  const look = () => {
    left = false;
    visible = document.hidden ? 0 : performance.now();
  };

  const view = (referrer?: string | null) => {
    seen = 0;
    look();
    send("page_view", null, (page = address()), false, referrer);
  };

  const measure = () => {
    seen = depth(seen);
  };

  /** Reports how much was seen, and for how long, once for each time that the page was visible. */
  const leave = (leaving?: boolean) => {
    if (left) return leaving && deliver(null, true);
    left = true;
    measure();
    const visible_seconds = visible && Math.round((performance.now() - visible) / 1e3);
    send("scroll", { depth: seen, visible_seconds }, page, leaving);
  };

  const moved = safe(() => {
    if (address() != page) {
      leave();
      view();
    } else deliver();
  });

  const clicked = (event: MouseEvent) => {
    // What was clicked, within shadow roots too, and all that it is in.
    const path = event.composedPath() as HTMLElement[];
    const target = path[0]!;
    const { button, detail, pageX, pageY } = event;
    const { scrollWidth, scrollHeight } = document.documentElement;
    // A click on a label comes again as one on what it labels; a right click opens a menu.
    if (button > 1 || (target.closest("label")?.control || target) != target) return;
    const link = path.find((element) => element.matches?.("a,area,button")) as HTMLAnchorElement | undefined;
    const svg = (link?.href as unknown as SVGAnimatedString)?.baseVal;
    const url: Partial<URL> = svg ? new URL(svg, document.baseURI) : link || {};
    const download = link?.hasAttribute("download") || FILE.test(url.pathname!);
    const followed = download || (url.host && url.host != location.host);
    send(followed ? "link_click" : "button_click", {
      element: selector(link || target),
      // The key press or the script that clicks has no place.
      ...(detail && { x: percent(pageX, scrollWidth), y: percent(pageY, scrollHeight) }),
      // Not its query, which may tell who somebody is.
      ...(followed && { download, url: url.origin! + url.pathname }),
    });
    const { dataset } = path.find((element) => element.dataset?.track) || {};
    if (dataset) send(dataset.track!, JSON.parse(dataset.trackData || null!));
  };

  const on = <Event_ extends Event>(type: string, run: (event: Event_) => void) =>
    addEventListener(type, safe(run) as EventListener, true);

  const observe = () => {
    view(document.referrer || null);
    on("scroll", measure);
    on("visibilitychange", () => (document.hidden ? leave(true) : look()));
    on("pagehide", () => leave(true));
    on("pageshow", ({ persisted }: PageTransitionEvent) => persisted && view());
    on("click", clicked);
    on("auxclick", clicked);
    on("submit", ({ target }) => send("form_submit", { element: selector(target as Element) }));
    on("popstate", moved);
    on("hashchange", moved);
    const { navigation } = window as unknown as { navigation?: EventTarget };
    if (navigation) {
      navigation.addEventListener(
        "currententrychange",
        (event) => (event as Event & { navigationType?: string }).navigationType == "replace" || moved(),
      );
    } else {
      const { pushState } = history;
      history.pushState = (...change) => {
        pushState.apply(history, change);
        moved();
      };
    }
  };

  safe(() => {
    const url = endpoint ? endpoint + "/events" : collect!;
    if (!isSet(local) && isTrial(url)) return warn("localhost needs data-local");
    if (!SITE.test(site || "!")) warn("invalid site " + site);
    deliver = outbox(url, context(), ignoreOptOut);
    view_id = counted();
    if (isSet(manual)) return;
    // A page that is prepared in advance is not yet seen.
    if ((document as Document & { prerendering?: boolean }).prerendering) {
      on("prerenderingchange", observe);
    } else {
      observe();
    }
  })();

  return {
    track: send,
    theme: (theme) => send("cv_theme_change", { theme }),
    letter: (letter_type) => send("letter_generate", { letter_type }),
  };
};
