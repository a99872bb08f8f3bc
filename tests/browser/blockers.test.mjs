// Visitors with a content blocker are counted: uBlock Origin's own engine, with general rules such
// as the public lists have, decides on every request of the page.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

// @ts-expect-error it comes without types
import { StaticNetFilteringEngine } from "@gorhill/ubo-core";

import { API, COLLECT, setUp } from "./harness/index.mjs";

const world = setUp();

/** Words that lists look for, in the shapes in which they do. */
const WORDS = ["analytics", "beacon", "collect", "count", "event", "events", "hit", "log", "metrics", "pageview", "ping"]
  .concat(["pixel", "rum", "stat", "stats", "telemetry", "track", "tracker", "tracking", "visit", "visitor"])
  .flatMap((word) => [`/${word}/*`, `/${word}?`, `/${word}|`, `/${word}.js`, `/${word}.min.js`, `-${word}.`, `_${word}.`]);

/** Rules for whatever is below hosts that are named after what they do. */
const HOSTS = ["analytics", "collect", "metrics", "stats", "track", "tracker", "tracking"].flatMap((host) => [
  `://${host}.*/script.js`,
  `://${host}.*/index.js`,
  `://${host}.*/track`,
  `/${host}.*/event`,
  `/${host}.*/hits/*`,
  `/${host}.*/collect`,
]);

/** A part of a public list, if it is there. */
const SAMPLE = new URL("../../../shared/data/cases/easyprivacy-rule.txt", import.meta.url);

const RULES = [
  ...WORDS,
  ...HOSTS,
  "/analytics/event",
  "/api/analytics/*",
  "/api/v1/track/*",
  ...(existsSync(SAMPLE) ? readFileSync(SAMPLE, "utf8").split("\n") : []),
];

const engine = await StaticNetFilteringEngine.create();
await engine.useLists([{ name: "general", raw: RULES.join("\n") }]);

/** Whether a request of a page is blocked. @param {string} originURL @param {string} url @param {string} type */
const blocks = (originURL, url, type) => engine.matchRequest({ originURL, url, type }) === 1;

test("no general rule knows the script and the path, whatever the server is called", () => {
  for (const host of ["stats.example.com", "analytics.example.com", "tracking.example.com", "cv.example", "127.0.0.1:8080"]) {
    for (const page of ["https://cv.example/", "http://127.0.0.1:8080/"]) {
      assert.equal(blocks(page, `https://${host}/mcv.js`, "script"), false, host);
      for (const type of ["xmlhttprequest", "ping", "beacon"]) {
        assert.equal(blocks(page, `https://${host}${COLLECT}`, type), false, `${host} ${type}`);
        assert.equal(blocks(page, `https://${host}${API}/event`, type), true, "and these rules do block");
      }
    }
  }
  assert.equal(blocks("https://cv.example/", "https://stats.example.com/script.js", "script"), true);
});

test(
  "a visitor with a blocker is counted, from the first view to the last",
  world.test(async ({ server, site, visitor }) => {
      const blocked = /** @type {string[]} */ ([]);
    await visitor.context.route("**", async (route) => {
      const request = route.request();
      // As it would be on a server that is named as many are.
      const url = request.url().replace(server.origin, "https://stats.example.com");
      const type = { fetch: "xmlhttprequest", ping: "ping", document: "main_frame" }[request.resourceType()];
      if (type !== "main_frame" && blocks(site.origin, url, type ?? request.resourceType())) {
        blocked.push(url);
        return route.abort();
      }
      return route.continue();
    });
    const page = await visitor.open(`${site.origin}/`);
    await page.click("#cta");
    await server.eventsUntil("button_click", { site: "fixture" });
    await page.goto("about:blank");
    const events = await server.eventsUntil("scroll", { site: "fixture" });
    assert.deepEqual(
      events.map((event) => event.event_type),
      ["page_view", "button_click", "scroll"],
    );
    assert.deepEqual(blocked, []);
  }),
);
