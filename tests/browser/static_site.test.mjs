// A site that the server serves itself, with the tag in its pages: layer and tag both see a view.

import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { setUp, until } from "./harness/index.mjs";

const folder = fileURLToPath(new URL("fixtures/own", import.meta.url));

const world = setUp();

/** Ends the visit, so that nothing more can come. @param {import("playwright-core").Page} page */
const end = (page) => page.evaluate(() => /** @type {any} */ (window).maicivy.track("end"));

/** The addresses of all page views, oldest first. @param {import("./harness/server.mjs").Entry[]} events */
const views = (events) => events.filter((event) => event.event_type === "page_view").map((event) => event.page_url);

/** How many events were there before they were sent. @param {import("./harness/server.mjs").AnalyticsServer} server */
const duplicates = (server) => server.metric("maicivy_ingest_outcomes_total", { outcome: "duplicate" });

test(
  "a view that layer and tag see is one",
  world.test(
    async ({ server, visitor }) => {
      const page = await visitor.open(`${server.origin}/`);
      await page.click("text=About");
      await until("the tag has reported both", async () => (await duplicates(server)) >= 2);
      // Not changed since: 304.
      await page.reload();
      await until("and the third", async () => (await duplicates(server)) >= 3);
      await end(page);
      assert.deepEqual(views(await server.eventsUntil("end")), ["/", "/about", "/about"]);
    },
    { folder },
  ),
);

test(
  "a visitor whose blocker stops the tag is counted by the layer",
  world.test(
    async ({ server, visitor }) => {
      await visitor.context.route("**/*.js", (route) => route.abort());
      visitor.allow(/ERR_FAILED/);
      const page = await visitor.open(`${server.origin}/`);
      await page.click("text=About");
      assert.deepEqual(views(await server.eventsUntil("page_view", { count: 2 })), ["/", "/about"]);
    },
    { folder },
  ),
);

test(
  "a page from the back/forward cache, and one that only changes its address, are counted by the tag",
  world.test(
    async ({ server, visitor }) => {
      const page = await visitor.open(`${server.origin}/`);
      await until("the tag has reported it", async () => (await duplicates(server)) >= 1);
      await page.click("text=About");
      await until("and the next", async () => (await duplicates(server)) >= 2);
      await page.evaluate(() => history.back());
      await until("back", () => page.evaluate(() => location.pathname === "/"));
      await server.eventsUntil("page_view", { count: 3 });
      await page.evaluate(() => history.pushState({}, "", "/about"));
      await end(page);
      assert.deepEqual(views(await server.eventsUntil("end")), ["/", "/about", "/", "/about"]);
    },
    { folder },
  ),
);

test(
  "a copy in the browser's cache is counted by the tag",
  world.test(
    async ({ server, visitor }) => {
      // Before the server stands one that lets browsers keep pages.
      const proxy = createServer((asked, answer) => {
        const { port } = new URL(server.origin);
        const options = { port, path: asked.url, method: asked.method, headers: asked.headers };
        const forwarded = request(options, (from) => {
          const page = /html/.test(from.headers["content-type"] ?? "");
          answer.writeHead(from.statusCode ?? 502, {
            ...from.headers,
            ...(page && { "cache-control": "max-age=600" }),
          });
          from.pipe(answer);
        });
        asked.pipe(forwarded);
      }).listen(0, "127.0.0.1");
      await once(proxy, "listening");
      try {
        const address = proxy.address();
        const origin = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
        const page = await visitor.open(`${origin}/`);
        await until("the tag has reported it", async () => (await duplicates(server)) >= 1);
        await page.click("text=About");
        await until("and the next", async () => (await duplicates(server)) >= 2);
        await page.click("text=Start");
        await end(page);
        assert.deepEqual(views(await server.eventsUntil("end")), ["/", "/about", "/"]);
      } finally {
        proxy.closeAllConnections();
        proxy.close();
      }
    },
    { folder },
  ),
);

test(
  "a page that a script fetches and shows is one view",
  world.test(
    async ({ server, visitor }) => {
      const page = await visitor.open(`${server.origin}/`);
      await until("the tag has reported it", async () => (await duplicates(server)) >= 1);
      // As Turbo does it: the address changes while the page is on its way.
      await page.evaluate(async () => {
        const visit = fetch("/about", {
          headers: { accept: "text/html, application/xhtml+xml", "x-turbo-request-id": "7d3c" },
        });
        history.pushState({}, "", "/about");
        document.body.innerHTML = await (await visit).text();
      });
      // As htmx does it: the address changes when the page is there.
      await page.evaluate(async () => {
        document.body.innerHTML = await (
          await fetch("/", { headers: { "hx-request": "true", "hx-boosted": "true" } })
        ).text();
        history.pushState({}, "", "/");
      });
      await end(page);
      await server.eventsUntil("end");
      // In good order: what waits for the tag's report is settled.
      await server.stop();
      await server.start();
      assert.deepEqual(views(await server.events()), ["/", "/about", "/"]);
    },
    { folder },
  ),
);

test(
  "without opt-out, visitors who ask not to be tracked are counted by the tag too",
  world.test(
    async ({ server, visitor }) => {
      const page = await visitor.open(`${server.origin}/`);
      await end(page);
      assert.deepEqual(views(await server.eventsUntil("end")), ["/"]);
    },
    { folder, env: { ANALYTICS_HONOR_OPT_OUT: "false" }, visitor: { gpc: true } },
  ),
);
