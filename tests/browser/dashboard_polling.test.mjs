// The dashboard where there is no live feed: in the cloud, and behind proxies that know no WebSocket.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AWAY, event, figure, ids, untilConnection, untilFigure, untilListed } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";
import { behindPrefix } from "./harness/prefix.mjs";

const world = setUp();
/** How many queries events may cause a tab in a minute. */
const MOST_QUERIES = 30;

/**
 * Records when each query was asked.
 * @param {import("playwright-core").Page} page
 */
function queriesOf(page) {
  /** @type {number[]} */
  const asked = [];
  page.on("request", (request) => {
    const body = request.postData();
    const queries = body?.startsWith("[") ? JSON.parse(body).length : 1;
    if (request.url().includes("/api/")) for (let query = 0; query < queries; query += 1) asked.push(Date.now());
  });
  return asked;
}

/**
 * A test of a page that shows one event, behind a gateway without a feed.
 * @param {(given: { server: import("./harness/server.mjs").AnalyticsServer, page: import("playwright-core").Page }) => Promise<void>} body
 */
const withoutFeed = (body) =>
  world.test(async ({ server, visitor }) => {
    visitor.allow(AWAY);
    await server.store(event("page_view"));
    const gateway = await behindPrefix(server.origin, "", { feed: false });
    try {
      const page = await visitor.open(`${gateway.origin}/`);
      await untilConnection(page, "absent");
      await untilFigure(page, "visitors", 1);
      await body({ server, page });
      await page.close();
    } finally {
      gateway.stop();
    }
  });

test(
  "without a live feed it asks, and rarely while nothing happens",
  withoutFeed(async ({ server, page }) => {
    assert.match((await page.locator(".connection").getAttribute("title")) ?? "", /every ten seconds/);
    // What the gateway does not have is not linked.
    await until("no dead links", async () => (await page.locator(".foot nav").count()) === 0);
    const asked = queriesOf(page);
    const began = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 25_000));
    assert.ok(asked.length > 0 && asked.length <= 8, `${asked.length} queries in ${Date.now() - began} ms of silence`);
    await server.store(event("page_view", { page: "/projects" }));
    await untilFigure(page, "visitors", 2);
    await untilFigure(page, "now", 2);
    await until("the list has it, too", async () => (await page.locator("[data-event]").count()) === 2, 45_000);
    await untilListed(page, await ids(server));
  }),
);

test(
  "a flood costs no more without a live feed than with one",
  withoutFeed(async ({ server, page }) => {
    const asked = queriesOf(page);
    const end = Date.now() + 62_000;
    let sent = 1;
    while (Date.now() < end) {
      await server.store(event("page_view"), event("page_view"));
      sent += 2;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await until("all are counted", async () => (await figure(page, "visitors")) === sent, 45_000);
    const most = Math.max(...asked.map((start) => asked.filter((at) => at >= start && at < start + 60_000).length));
    console.log(`# ${most} queries in a minute, ${sent} events`);
    assert.ok(most <= MOST_QUERIES, `${most} queries`);
  }),
);
