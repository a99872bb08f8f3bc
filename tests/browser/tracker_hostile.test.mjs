// Pages that make it hard: they never notice the tracker by an error, and are measured where
// that is possible at all.

import assert from "node:assert/strict";
import { test } from "node:test";

import { setUp } from "./harness/index.mjs";

const SITE = "fixture";

const world = setUp();

/** What each kind of page has done before anything else runs. @type {Record<string, {before: () => void}>} */
const PAGES = {
  "history is frozen": {
    before: () => {
      Reflect.deleteProperty(window, "navigation");
      Object.freeze(history);
    },
  },
  "storage is forbidden": {
    before: () => {
      Object.defineProperty(window, "localStorage", {
        get() {
          throw new DOMException("forbidden", "SecurityError");
        },
      });
    },
  },
  "storage is switched off": {
    before: () => {
      Object.defineProperty(window, "localStorage", { value: null });
    },
  },
  "storage is full": {
    before: () => {
      for (let size = 1 << 22; size >= 1; size >>= 1) {
        try {
          for (let n = 0; ; n++) localStorage[`full-${size}-${n}`] = "x".repeat(size);
        } catch {
          // That much does not fit any more.
        }
      }
    },
  },
  "there is no sendBeacon": {
    before: () => {
      Reflect.deleteProperty(Navigator.prototype, "sendBeacon");
    },
  },
  "sendBeacon refuses": {
    before: () => {
      navigator.sendBeacon = () => false;
    },
  },
  "there is no crypto": {
    before: () => {
      Object.defineProperty(window, "crypto", { value: undefined });
    },
  },
  "its name is taken": {
    before: () => {
      Object.assign(window, { maicivy: document.createElement("p") });
    },
  },
};

for (const [what, { before }] of Object.entries(PAGES)) {
  test(
    `a page where ${what}`,
    world.test(async ({ server, site, visitor }) => {
      await visitor.context.addInitScript(before);
      const page = await visitor.open(`${site.origin}/`);
      await page.evaluate(() => /** @type {any} */ (window).maicivy.track("called", { n: 1 }));
      await page.click("#cta");
      await server.eventsUntil("button_click", { site: SITE });
      await page.goto(`${site.origin}/about`);
      const events = await server.eventsUntil("page_view", { site: SITE, count: 2 });
      assert.deepEqual(
        events
          .filter((event) => event.page_url === "/")
          .map((event) => event.event_type)
          .sort(),
        ["button_click", "called", "page_view", "scroll"],
      );
    }),
  );
}

test(
  "a page where nothing works at all",
  world.test(async ({ site, visitor }) => {
    await visitor.context.addInitScript(() => {
      for (const name of ["fetch", "localStorage", "navigator", "history", "navigation", "JSON"]) {
        const fail = () => {
          throw new Error(`${name} is broken`);
        };
        Object.defineProperty(window, name, { get: fail, set: fail });
      }
    });
    const page = await visitor.open(`${site.origin}/`);
    await page.click("#cta");
    await page.goto(`${site.origin}/about`);
  }),
);

test(
  "calls that make no sense",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${site.origin}/`);
    await page.evaluate(() => {
      const { maicivy } = /** @type {any} */ (window);
      const cycle = /** @type {any} */ ({});
      cycle.self = cycle;
      maicivy.track();
      maicivy.track(null, null);
      maicivy.track(Symbol("x"));
      maicivy.track("cyclic", cycle);
      maicivy.track("big", { n: 1n });
      maicivy.track("getter", {
        get n() {
          throw new Error("bad getter");
        },
      });
      maicivy.track("no object", 5);
      maicivy.track("UPPER", {});
      maicivy.track("page", {}, 5);
      maicivy.theme();
      maicivy.letter({
        toJSON() {
          throw new Error("bad toJSON");
        },
      });
      maicivy.letter("love");
      const { track } = maicivy;
      track("sane", { n: 1 });
    });
    const events = await server.eventsUntil("sane", { site: SITE });
    assert.deepEqual(
      events.map((event) => event.event_type),
      ["page_view", "cv_theme_change", "sane"],
    );
  }),
);

test(
  "one page, two tags",
  world.test(async ({ server, site, visitor }) => {
    const tag = `<script defer src="{{analytics}}/mcv.js" data-site="${SITE}"></script>`;
    site.pages.set("/twice", {
      text: `<!doctype html><link rel="icon" href="data:,"><title>Twice</title>${tag}${tag}<button id="cta">Call</button>`,
    });
    const page = await visitor.open(`${site.origin}/twice`);
    await page.click("#cta");
    await page.evaluate(() => /** @type {any} */ (window).maicivy.track("end"));
    const events = await server.eventsUntil("end", { site: SITE });
    assert.deepEqual(
      events.map((event) => event.event_type),
      ["page_view", "button_click", "end"],
    );
  }),
);

test(
  "options: another endpoint, and nothing but calls",
  world.test(async ({ server, site, visitor }) => {
    const other = `http://127.0.0.1:${new URL(site.origin).port}/api`;
    site.pages.set("/api/events", { text: "{}" });
    site.pages.set("/manual", {
      text: `<!doctype html><link rel="icon" href="data:,"><title>Manual</title><button id="cta">Call</button>
             <script defer src="{{analytics}}/mcv.js" data-manual="true"></script>`,
    });
    site.pages.set("/elsewhere", {
      text: `<!doctype html><link rel="icon" href="data:,"><title>Elsewhere</title>
             <script defer src="{{analytics}}/mcv.js" data-endpoint="${other}"></script>`,
    });
    const page = await visitor.open(`${site.origin}/manual`);
    await page.click("#cta");
    await page.evaluate(() => history.pushState({}, "", "/manual/two"));
    await page.evaluate(() => /** @type {any} */ (window).maicivy.track("end"));
    const events = await server.eventsUntil("end");
    assert.deepEqual(
      events.map(({ event_type, page_url }) => `${event_type} ${page_url}`),
      ["end /manual/two"],
    );

    const request = visitor.context.waitForEvent("request", (request) => request.url() === `${other}/events`);
    await page.goto(`${site.origin}/elsewhere`);
    assert.deepEqual(
      (await request).postDataJSON().map((/** @type {any} */ event) => event.event_type),
      ["page_view"],
    );
  }),
);
