// What the dashboard says of events that were not counted.

import assert from "node:assert/strict";
import { test } from "node:test";

import { accessible } from "./harness/axe.mjs";
import { event, something, untilFigure } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();
const BOT = "Googlebot/2.1 (+http://www.google.com/bot.html)";

/** Sends an event as it stands. @param {import("./harness/server.mjs").AnalyticsServer} server @param {object} body @param {Record<string, string>} headers */
async function send(server, body, headers = {}) {
  const answer = await fetch(`${server.origin}/api/v1/analytics/event`, { method: "POST", headers, body: JSON.stringify(body) });
  await answer.arrayBuffer();
}

test(
  "what was not counted is shown with its reasons, in both languages, and survives a restart",
  world.test(async ({ server, visitor }) => {
    const events = something();
    await server.store(...events);
    await send(server, events[0]);
    for (let bots = 0; bots < 3; bots += 1) await send(server, { event_type: "page_view" }, { "user-agent": BOT });
    await send(server, event("page_view"), { "sec-gpc": "1" });
    await send(server, event("page_view", { data: /** @type {any} */ ("no object") }));
    await server.stop();
    await server.start();
    const page = await visitor.open(`${server.origin}/?period=7d`);
    await untilFigure(page, "visits", 0);
    await untilFigure(page, "counted", 0);
    await page.goto(`${server.origin}/?period=day`);
    await untilFigure(page, "counted", events.length);
    const line = page.locator(".counted summary");
    await until("the line", async () => (await line.innerText()) === "11 events counted; not counted: 3 bots, 1 opt-out, 1 duplicate, 1 malformed, 0 failed");
    await line.click();
    const rows = page.locator("[data-outcome]");
    const shown = await rows.evaluateAll((all) => all.map((row) => `${row.getAttribute("data-outcome")} ${row.getAttribute("data-value")}`));
    assert.deepEqual(shown, ["duplicate 1", "bot 3", "opt_out 1", "INVALID_EVENT 1"]);
    const link = await page.locator(".counted-more a").getAttribute("href");
    assert.equal(await (await fetch(link ?? "")).text(), ["outcome,reason,events", "counted,,11", "duplicate,,1", "filtered,bot,3", "filtered,opt_out,1", "rejected,INVALID_EVENT,1", ""].join("\r\n"));
    assert.equal(await page.locator("[role=alert]").count(), 0);
    await accessible(page, "what was not counted");
    await page.locator(".language").click();
    await until("French", async () => (await line.innerText()).includes("non comptés : 3 robots, 1 refus de suivi, 1 doublon"));
  }),
);

test(
  "a proxy that is not trusted and events that could not be stored are alerts",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    await send(server, event("page_view"), { "x-forwarded-for": "203.0.113.9" });
    const page = await visitor.open(`${server.origin}/`);
    await page.locator("[role=alert]", { hasText: "ANALYTICS_TRUSTED_PROXIES" }).waitFor();
    await page.route("**/sites?*", async (route) => {
      const body = await (await route.fetch()).json();
      body.data[0].outcomes.not_counted = [{ outcome: "failed", reason: "", count: 7 }];
      await route.fulfill({ json: body });
    });
    await page.reload();
    await page.locator("[role=alert]", { hasText: "could not store 7 events" }).waitFor();
  }),
);
