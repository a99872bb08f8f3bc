// What the dashboard costs when very much happens.

import assert from "node:assert/strict";
import { test } from "node:test";

import { event, figure, untilConnection, untilFigure } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();
/** How many queries events may cause in a minute. */
const MOST_QUERIES = 30;

test(
  "a flood of events costs few queries, and the figures are right in the end",
  world.test(async ({ server, visitor }) => {
    await server.store(event("page_view", { ago: 600_000 }));
    const page = await visitor.open(`${server.origin}/`);
    await untilConnection(page, "live");
    await untilFigure(page, "visitors", 1);
    /** When each query was asked. @type {number[]} */
    const asked = [];
    page.on("request", (request) => {
      const body = request.postData();
      const queries = body?.startsWith("[") ? JSON.parse(body).length : 1;
      if (request.url().includes("/api/")) for (let query = 0; query < queries; query += 1) asked.push(Date.now());
    });
    const end = Date.now() + 62_000;
    let sent = 1;
    while (Date.now() < end) {
      await server.store(...Array.from({ length: 20 }, () => event("page_view")));
      sent += 20;
      // At most 2,000 a second: a day of visitors who all come once is refused beyond some 200,000 of them.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await until("all are counted", async () => (await figure(page, "visitors")) === sent, 45_000);
    const most = Math.max(...asked.map((start) => asked.filter((at) => at >= start && at < start + 60_000).length));
    console.log(`# ${most} queries in a minute, ${sent} events`);
    assert.ok(most <= MOST_QUERIES, `${most} queries`);
  }),
);
