import { outbox } from "./outbox.js";
import { safe } from "./safe.js";
import { selector } from "./selector.js";

/** What a tracker needs to know. */
export interface Options {
  /** Where the API is, such as `https://stats.example.com/api/v1/analytics`. */
  endpoint: string;
  /** The site that is measured, a slug of `a-z`, `0-9`, `.` and `-`; the server's `default` when none is named. */
  site?: string | undefined;
  /** Whether only calls make events, and nothing is observed by itself. */
  manual?: unknown;
  /** Whether visitors who ask not to be tracked are tracked all the same: `ANALYTICS_HONOR_OPT_OUT=false`. */
  ignoreOptOut?: unknown;
}

/** The letters of the CV. */
export type LetterType = "motivation" | "anti_motivation";

/** Calls that make events. None of them ever throws. */
export interface Tracker {
  /**
   * Something of your own happened.
   * @param name 1 to 50 of `a-z`, `0-9`, `_`, `.`, `:` and `-`, starting with a letter
   * @param data whatever is to be known of it, at most 8 KiB of JSON; nothing that tells who somebody is
   */
  track(name: string, data?: Record<string, unknown>): void;
  /** The CV's theme was chosen. */
  theme(theme: string): void;
  /** A letter was generated. */
  letter(type: LetterType): void;
}

/** Links to these are downloads. */
const FILE = /\.(pdf|zip|(doc|xls|ppt)x?)$/i;

/** An event whose target is an element. */
type On<Event_ extends Event> = Event_ & { target: HTMLElement };

/** How far that is, in percent of the page. */
const percent = (pixels: number, side: "Width" | "Height") =>
  Math.min(100, Math.round((pixels / document.documentElement[`scroll${side}`]) * 100));

/** The id that the server gave the view of this page when it counted the page's request. */
const counted = (): string | undefined => {
  const [load] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  // A page from a cache has the headers of an earlier view.
  return load?.transferSize ? load.serverTiming?.find(({ name }) => name == "maicivy")?.description : undefined;
};

/** Makes a tracker, which starts at once. Never throws, and does nothing outside browsers. */
export const createTracker = ({ endpoint, site, manual, ignoreOptOut }: Options): Tracker => {
  let deliver: ReturnType<typeof outbox>;
  /** The view of this page that the server has counted by its request, until it was reported. */
  let view_id: string | undefined;
  /** The page that is being viewed. */
  let page: string;
  /** How much of it was seen, in percent from the top. */
  let depth: number;
  /** Whether that was told. */
  let left: boolean;

  const here = () =>
    // The path of a file tells whose computer it is on: only its name is kept.
    location.pathname.replace(location.host ? "/" : /.*\//, "/") + location.search;

  const track = safe(
    (
      event_type: string,
      event_data?: object | null,
      leaving?: boolean,
      page_url: string = here(),
      referrer?: string | null,
    ) => {
      const event = { event_type, event_data, page_url: page_url.slice(0, 2e3), referrer, site };
      if (event_type == "page_view") {
        deliver({ ...event, view_id }, leaving);
        view_id = undefined;
      } else deliver(event, leaving);
    },
  );

  const view = (referrer?: string | null) => {
    depth = 0;
    left = false;
    track("page_view", null, false, (page = here()), referrer);
  };

  const measure = () => {
    depth = Math.max(depth, percent(scrollY + innerHeight, "Height"));
  };

  /** Tells how much was seen, once a view. */
  const leave = (leaving?: boolean) => {
    if (left) return leaving && deliver(null, true);
    left = true;
    measure();
    track("scroll", { depth }, leaving, page);
  };

  const moved = safe(() => {
    if (here() != page) {
      leave();
      view();
    }
  });

  const clicked = ({ target, button, detail, pageX, pageY }: On<MouseEvent>) => {
    // A click on a label comes again as one on what it labels; a right click opens a menu.
    if (button > 1 || (target.closest("label")?.control || target) != target) return;
    const link = (target.closest("a,button") || target) as HTMLAnchorElement;
    const download = link.hasAttribute("download") || FILE.test(link.pathname);
    const followed = download || (link.host && link.host != location.host);
    track(followed ? "link_click" : "button_click", {
      element: selector(link),
      // The key press or the script that clicks has no place.
      ...(detail && { x: percent(pageX, "Width"), y: percent(pageY, "Height") }),
      // Not its query, which may tell who somebody is.
      ...(followed && { download, url: link.origin + link.pathname }),
    });
    const named = target.closest<HTMLElement>("[data-track]");
    if (named) track(named.dataset.track!, JSON.parse(named.dataset.trackData || null!));
  };

  const on = <Event_ extends Event>(type: string, run: (event: On<Event_>) => void) =>
    addEventListener(type, safe(run) as EventListener, true);

  const observe = () => {
    view(document.referrer || null);
    on("scroll", measure);
    on("visibilitychange", () => document.hidden && leave());
    on("pagehide", () => leave(true));
    on("pageshow", ({ persisted }: On<PageTransitionEvent>) => persisted && view());
    on("click", clicked);
    on("auxclick", clicked);
    on("submit", ({ target }) => track("form_submit", { element: selector(target) }));
    on("popstate", moved);
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
    deliver = outbox(endpoint + "/events", ignoreOptOut);
    view_id = counted();
    if (manual) return;
    // A page that is prepared in advance is not yet seen.
    if ((document as Document & { prerendering?: boolean }).prerendering) {
      on("prerenderingchange", observe);
    } else {
      observe();
    }
  })();

  return {
    track,
    theme: (theme) => track("cv_theme_change", { theme }),
    letter: (letter_type) => track("letter_generate", { letter_type }),
  };
};
