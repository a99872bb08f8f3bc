// The dashboard when the server is away, limited, or lacks a part.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AWAY, event, figure, ids, something, untilConnection, untilFigure, untilListed } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();

/** Answers the page's queries with a failure, as long as `failing()`. @param {import("playwright-core").Page} page @param {() => [number, string] | null} failing */
function fail(page, failing) {
  return page.route("**/api/v1/analytics/**", (route) => {
    const failure = failing();
    if (failure === null) return route.continue();
    const [status, code] = failure;
    return route.fulfill({ status, headers: { "retry-after": "1" }, json: { success: false, error: "no", code } });
  });
}

test(
  "a server that lacks a part says so, and the page does too until it is whole again",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open();
    let degraded = true;
    await page.route("**/api/v1/analytics/timeline?**", async (route) => {
      // While the server is away the page may ask, too: without an answer it would wait for one.
      const answer = await route.fetch().catch(() => null);
      if (answer === null) return route.abort("connectionrefused");
      const body = await answer.json();
      await route.fulfill({ response: answer, json: degraded ? { ...body, meta: { ...body.meta, degraded: true } } : body });
    });
    await page.goto(`${server.origin}/`);
    await page.locator('.banner[data-kind="degraded"]').waitFor();
    await untilFigure(page, "visitors", 3);
    degraded = false;
    await server.stop();
    visitor.allow(AWAY);
    await server.start();
    await page.locator(".banner").waitFor({ state: "detached" });
    await untilFigure(page, "visitors", 3);
  }),
);

test(
  "a server that is away leaves what was shown, marked, and is found again",
  world.test(async ({ server, visitor }) => {
    visitor.allow(AWAY);
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    await untilListed(page, await ids(server));
    await untilConnection(page, "live");
    await untilFigure(page, "visitors", 3);
    await server.stop();
    await untilConnection(page, "waiting");
    await page.locator('.banner[data-kind="unreachable"]').waitFor();
    assert.match((await page.locator(".banner").textContent()) ?? "", /cannot be reached.*are from \d/);
    assert.equal(await figure(page, "visitors"), 3);
    await page.locator(".page.stale .tiles").waitFor();
    // Without this wait the next lookup is for something that is not there.
    await page.keyboard.press("m");
    await page.locator(".pages .failed").waitFor();
    await server.start();
    await untilConnection(page, "live");
    await until("all is well", async () => (await page.locator(".banner, .failed, .stale").count()) === 0);
    await untilFigure(page, "visitors", 3);
    await server.store(event("page_view"));
    await untilListed(page, await ids(server));
  }),
);

test(
  "a limit, a database that is away and a fault are shown as what they are, and pass by themselves",
  world.test(async ({ server, visitor }) => {
    visitor.allow(AWAY);
    await server.store(...something());
    const page = await visitor.open();
    /** @type {[number, string] | null} */
    let failing = null;
    await fail(page, () => failing);
    await page.goto(`${server.origin}/`);
    await untilFigure(page, "visitors", 3);
    /** @type {[number, string, RegExp][]} */
    const failures = [
      [429, "RATE_LIMITED", /Too many requests/],
      [503, "UNAVAILABLE", /its database does not answer/],
    ];
    for (const [status, code, text] of failures) {
      failing = [status, code];
      await server.store(event("page_view"));
      await page.locator(".banner").waitFor();
      assert.match((await page.locator(".banner").textContent()) ?? "", text);
      assert.ok((await figure(page, "visitors")) >= 3, "what was shown stays");
      failing = null;
      await page.locator(".banner").waitFor({ state: "detached" });
      const [row] = (await server.query({ metrics: ["visitors"], date_range: "day" })).results;
      await untilFigure(page, "visitors", row.metrics[0]);
    }
    failing = [500, "INTERNAL"];
    await page.keyboard.press("y");
    await page.locator(".pages .failed", { hasText: "The server has a fault" }).waitFor();
    failing = null;
    await page.locator(".pages .failed .button").click();
    await until("all is well", async () => (await page.locator(".failed").count()) === 0);
  }),
);
