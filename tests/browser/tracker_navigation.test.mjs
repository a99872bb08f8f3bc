// Which navigations are page views, and that none is one twice.

import assert from "node:assert/strict";
import { test } from "node:test";

import { setUp, until } from "./harness/index.mjs";

const SITE = "fixture";

const world = setUp();

/** Page views and depths as `type address`, up to the event that ends the test. @param {import("./harness/server.mjs").Entry[]} events */
const path = (events) => events.map(({ event_type, page_url }) => `${event_type} ${page_url}`);

test(
  "a page that is not there is counted, once, besides its view",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/status of 404/);
    const text = `<!doctype html><link rel="icon" href="data:,"><title>Page</title><script defer src="{{analytics}}/mcv.js" data-site="${SITE}"></script>`;
    site.pages.set("/gone", { text, status: 404 });
    site.pages.set("/there", { text });
    const page = await visitor.open(`${site.origin}/gone?theme=dark`);
    await server.eventsUntil("not_found", { site: SITE });
    await page.evaluate(() => history.pushState({}, "", "/gone/elsewhere"));
    await page.goto(`${site.origin}/there`);
    await page.evaluate(() => /** @type {any} */ (window).maicivy.track("end"));
    assert.deepEqual(path(await server.eventsUntil("end", { site: SITE })).filter((line) => !line.startsWith("scroll")), [
      "page_view /gone?theme=dark",
      "not_found /gone?theme=dark",
      "page_view /gone/elsewhere",
      "page_view /there",
      "end /there",
    ]);
  }),
);

/** What a single-page app does to its address. @param {import("playwright-core").Page} page */
async function wander(page) {
  await page.evaluate(() => {
    history.replaceState({}, "", "/app?filter=1");
    history.pushState({}, "", "/app/one");
    history.pushState({}, "", "/app/one");
    history.pushState({}, "", "/app/one#part");
    location.hash = "other";
    history.replaceState({ kept: true }, "", "/app/one");
    history.pushState({}, "", "/app/two?theme=dark");
  });
  await page.goBack();
  await until("back", () => page.evaluate(() => location.pathname === "/app/one"));
  await page.evaluate(() => /** @type {any} */ (window).maicivy.track("end"));
}

const WANDERED = [
  "page_view /app",
  "scroll /app",
  "page_view /app/one",
  "scroll /app/one",
  "page_view /app/two?theme=dark",
  "scroll /app/two?theme=dark",
  "page_view /app/one",
  "end /app/one",
];

test(
  "a single-page app, with the Navigation API",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${site.origin}/app`);
    assert.ok(await page.evaluate(() => /native code/.test(String(history.pushState))), "nothing is patched");
    await wander(page);
    const events = await server.eventsUntil("end", { site: SITE });
    assert.deepEqual(path(events), WANDERED);
    assert.ok(events.every((event) => event.referrer === null));
  }),
);

test(
  "a single-page app, where there is only history",
  world.test(async ({ server, site, visitor }) => {
    await visitor.context.addInitScript(() => {
      Reflect.deleteProperty(window, "navigation");
    });
    const page = await visitor.open(`${site.origin}/app`);
    assert.ok(await page.evaluate(() => !("navigation" in window)));
    await wander(page);
    assert.deepEqual(path(await server.eventsUntil("end", { site: SITE })), WANDERED);
    assert.deepEqual(await page.evaluate(() => history.state), { kept: true }, "states are passed on");
  }),
);

test(
  "navigations that a router intercepts",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${site.origin}/app`);
    await page.evaluate(async () => {
      const { navigation } = /** @type {any} */ (window);
      navigation.addEventListener("navigate", (/** @type {any} */ event) =>
        event.intercept({ handler: async () => {} }),
      );
      await navigation.navigate("/app/routed").finished;
      await navigation.navigate("/app/replaced", { history: "replace" }).finished;
      /** @type {any} */ (window).maicivy.track("end");
    });
    assert.deepEqual(path(await server.eventsUntil("end", { site: SITE })), [
      "page_view /app",
      "scroll /app",
      "page_view /app/routed",
      "end /app/replaced",
    ]);
  }),
);

test(
  "a page from the back/forward cache is viewed again",
  world.test(async ({ server, site, visitor }) => {
    // A page without the tracker's requests on their way out stays in the cache.
    const page = await visitor.open(`${site.origin}/app`);
    await server.eventsUntil("page_view", { site: SITE });
    await page.evaluate(() => Object.assign(window, { kept: true }));
    await page.goto(`${site.origin}/about`);
    await server.eventsUntil("page_view", { site: SITE, count: 2 });
    await page.evaluate(() => history.back());
    await until("back", () => page.evaluate(() => location.pathname === "/app"));
    assert.ok(await page.evaluate(() => "kept" in window), "it is the same page, from the cache");
    await server.eventsUntil("page_view", { site: SITE, count: 3 });
    // What the page that is left sends may come after what the page that is back does.
    const events = await server.eventsUntil("scroll", { site: SITE, count: 2 });
    assert.deepEqual(path(events).sort(), [
      "page_view /about",
      "page_view /app",
      "page_view /app",
      "scroll /about",
      "scroll /app",
    ]);
    assert.ok(events.filter((event) => event.page_url === "/app").every((event) => event.referrer === null));
    await page.evaluate(() => /** @type {any} */ (window).maicivy.track("end"));
    await server.eventsUntil("end", { site: SITE });
  }),
);

test(
  "a page that is prepared in advance is viewed when it is seen",
  world.test(async ({ server, site, visitor }) => {
    await visitor.context.addInitScript(() => {
      let prerendering = true;
      Object.defineProperty(document, "prerendering", { get: () => prerendering });
      Object.assign(window, {
        show() {
          prerendering = false;
          document.dispatchEvent(new Event("prerenderingchange"));
        },
      });
    });
    const page = await visitor.open(`${site.origin}/app`);
    await page.evaluate(() => /** @type {any} */ (window).maicivy.track("called"));
    await server.eventsUntil("called", { site: SITE });
    await page.evaluate(() => /** @type {any} */ (window).show());
    assert.deepEqual(path(await server.eventsUntil("page_view", { site: SITE })), ["called /app", "page_view /app"]);
  }),
);

test(
  "what changes only the part of a query that is not kept is no view",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${site.origin}/app?page=1&utm_source=news`);
    await page.evaluate(() => {
      history.pushState({}, "", "/app?page=2&utm_source=news");
      history.pushState({}, "", "/app?utm_source=news&token=secret");
      history.pushState({}, "", "/app?utm_source=news#part");
      history.pushState({}, "", "/app?utm_source=mail&page=3");
      history.pushState({}, "", "/app/one?page=3");
      history.pushState({}, "", "/app/one");
      /** @type {any} */ (window).maicivy.track("end");
    });
    assert.deepEqual(path(await server.eventsUntil("end", { site: SITE })), [
      "page_view /app?utm_source=news",
      "scroll /app?utm_source=news",
      "page_view /app?utm_source=mail",
      "scroll /app?utm_source=mail",
      "page_view /app/one",
      "end /app/one",
    ]);
  }),
);

for (const api of ["the Navigation API", "only history"]) {
  test(
    `a router that uses the fragment, where there is ${api}`,
    world.test(async ({ server, site, visitor }) => {
      if (api === "only history") {
        await visitor.context.addInitScript(() => {
          Reflect.deleteProperty(window, "navigation");
        });
      }
      site.pages.set("/hash", {
        text: `<!doctype html><link rel="icon" href="data:,"><title>Hash</title>
               <a id="about" href="#/about?theme=dark&token=secret">About</a>
               <script defer src="{{analytics}}/mcv.js" data-site="${SITE}" data-hash></script>`,
      });
      const page = await visitor.open(`${site.origin}/hash?utm_source=news`);
      await page.click("#about");
      const go = async (/** @type {string} */ hash, /** @type {string} */ view) => {
        await page.evaluate((hash) => (location.hash = hash), hash);
        await until(view, async () => path(await server.events(SITE)).includes(`page_view ${view}`));
      };
      await until("about", async () => path(await server.events(SITE)).some((event) => event.includes("/hash/about")));
      await go("#!/users/7", "/hash/users/7?utm_source=news");
      await page.evaluate(() => {
        location.hash = "#!/users/7?page=2";
        location.hash = "#access_token=secret";
      });
      await until("start", async () => path(await server.events(SITE)).filter((event) => event === "page_view /hash?utm_source=news").length === 2);
      const events = await server.events(SITE);
      assert.deepEqual(
        path(events).filter((event) => event.startsWith("page_view")),
        [
          "page_view /hash?utm_source=news",
          "page_view /hash/about?utm_source=news&theme=dark",
          "page_view /hash/users/7?utm_source=news",
          "page_view /hash?utm_source=news",
        ],
      );
      assert.doesNotMatch(JSON.stringify(events), /secret|page=2/);
    }),
  );
}
