// The path of one visitor through today.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AWAY, event, visitor as someone } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();
const TOKEN = "a-token-of-the-operators-own";

/** Opens the newest event of a list and asks for its visitor's pages. @param {import("playwright-core").Page} page */
async function follow(page) {
  await page.locator("[data-event] summary").first().click();
  await page.locator(".path button").click();
}

test(
  "readers with a token see what one visitor has read today, in order",
  world.test(
    async ({ server, visitor }) => {
      // The feed needs more than a header.
      visitor.allow(AWAY);
      const [one, other] = [someone(), someone()];
      await server.store(
        event("page_view", { who: one, page: "/", ago: 50_000 }),
        event("page_view", { who: other, page: "/elsewhere", ago: 40_000 }),
        event("page_view", { who: one, page: "/projects", ago: 30_000 }),
        event("button_click", { who: one, page: "/projects", ago: 20_000 }),
        event("page_view", { who: one, page: "/contact", ago: 10_000 }),
      );
      const page = await visitor.open(`${server.origin}/`);
      await follow(page);
      const views = page.locator(".path li bdi");
      await until("the path", async () => (await views.count()) === 3);
      assert.deepEqual(await views.allTextContents(), ["/", "/projects", "/contact"]);
      await page.locator(".path button").click();
      assert.equal(await views.count(), 0);
    },
    {
      env: { ANALYTICS_READ_AUTH: "token", ANALYTICS_ADMIN_TOKEN: TOKEN },
      visitor: { extraHTTPHeaders: { authorization: `Bearer ${TOKEN}` } },
    },
  ),
);

test(
  "a path that is too long says that it is cut",
  world.test(async ({ server, visitor }) => {
    await server.store(event("page_view", { page: "/last" }));
    const page = await visitor.open();
    await page.route("**/timeline?*visitor=*", async (route) => {
      const url = new URL(route.request().url());
      url.searchParams.delete("visitor");
      url.searchParams.delete("cursor");
      const answer = await route.fetch({ url: url.href });
      await route.fulfill({ response: answer, json: { ...(await answer.json()), meta: { next_cursor: "more" } } });
    });
    await page.goto(`${server.origin}/`);
    await follow(page);
    await until("it is said", async () => /earlier views of today are not listed/.test((await page.locator(".path .note").textContent()) ?? ""));
    assert.equal(await page.locator(".path li").count(), 5);
  }),
);

test(
  "with open reads the page says why visitors cannot be followed",
  world.test(async ({ server, visitor }) => {
    visitor.allow(/status of 400/);
    await server.store(event("page_view"));
    const page = await visitor.open(`${server.origin}/`);
    await follow(page);
    await until("it is said", async () => /pseudonym of its own/.test((await page.locator(".path .note").textContent()) ?? ""));
  }),
);
