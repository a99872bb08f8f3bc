// The dashboard: the very numbers of the API, moving as events come, through restarts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AWAY, event, figure, ids, something, untilConnection, untilFigure, untilListed } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();

test(
  "shows the very numbers that the API gives",
  world.test(async ({ server, visitor }) => {
    await server.store(...something(), event("page_view", { ago: 20 * 3_600_000 }));
    const page = await visitor.open(`${server.origin}/`);
    await untilConnection(page, "live");
    await untilFigure(page, "now", (await server.data("/realtime")).current_visitors);
    assert.equal(await figure(page, "now"), 3);
    for (const period of /** @type {const} */ (["day", "week", "month"])) {
      const stats = await server.data(`/stats?period=${period}`);
      await untilFigure(page, `visitors-${period}`, stats.unique_visitors);
      await page.locator(`input[name=period][value=${period}]`).check();
      const letters = await server.data(`/letters?period=${period}`);
      await untilFigure(page, "visitors", stats.unique_visitors);
      await untilFigure(page, "views", stats.page_views);
      await untilFigure(page, "events", stats.total_events);
      await untilFigure(page, "letters", stats.letters_generated);
      await untilFigure(page, "conversion", stats.conversion_rate);
      await untilFigure(page, "letters-total", letters.total);
      await untilFigure(page, "motivation", letters.motivation);
      await untilFigure(page, "anti-motivation", letters.anti_motivation);
      const themes = await server.data(`/themes?period=${period}&limit=8`);
      const shown = await page
        .locator("[data-theme-name]")
        .evaluateAll((rows) => rows.map((row) => [row.getAttribute("data-theme-name"), Number(row.getAttribute("data-value"))]));
      assert.deepEqual(shown, themes.map((/** @type {any} */ { theme, views }) => [theme, views]));
    }
    await untilListed(page, await ids(server));
  }),
);

test(
  "days and clicks are there as tables too, with the same numbers",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    await page.locator(".chart .quiet").click();
    const row = page.locator(".chart tbody tr").first();
    await row.waitFor();
    const stats = await server.data("/stats?period=day");
    const cells = await row.locator("td").allTextContents();
    assert.deepEqual(cells.slice(0, 4), [stats.unique_visitors, stats.page_views, stats.total_events, stats.letters_generated].map(String));
    assert.equal(await page.locator(".chart tbody tr").count(), 30);

    await page.locator(".heatmap .quiet").click();
    const places = await server.data("/heatmap?page_url=/cv");
    const clicks = page.locator(".heatmap tbody tr");
    await until("all places", async () => (await clicks.count()) === places.length);
    const shown = await clicks.evaluateAll((rows) =>
      rows.map((row) => [row.querySelector("code")?.textContent, Number(row.lastElementChild?.textContent)]),
    );
    assert.deepEqual(shown, places.map((/** @type {any} */ { element, count }) => [element, count]));
  }),
);

test(
  "moves by itself when something happens",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    await untilConnection(page, "live");
    await untilListed(page, await ids(server));
    const loads = await page.evaluate(() => performance.timeOrigin);
    await server.store(
      event("letter_generate", { page: "/letters", data: { letter_type: "motivation" } }),
      event("page_view", { page: "/cv?theme=security" }),
      event("button_click", { data: { element: "#letter", x: 50, y: 22 } }),
      // It is told late, and stands where it belongs.
      event("page_view", { page: "/late", ago: 3_600_000 }),
    );
    await untilFigure(page, "now", 6);
    await untilFigure(page, "visitors-day", (await server.data("/stats")).unique_visitors);
    await untilFigure(page, "letters", 4);
    await untilFigure(page, "motivation", 3);
    await page.locator('[data-theme-name="security"]').waitFor();
    await until("the clicks", async () => (await page.locator(".most-count").first().textContent()) === "3");
    await untilListed(page, await ids(server));
    assert.equal(await page.evaluate(() => performance.timeOrigin), loads, "it was not loaded again");
    assert.match(await page.title(), /^6 · maicivy/);
  }),
);

test(
  "goes on where it was when the server comes back, missing nothing and telling nothing twice",
  world.test(async ({ server, visitor }) => {
    visitor.allow(AWAY);
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    await untilConnection(page, "live");
    await untilListed(page, await ids(server));
    for (const end of /** @type {const} */ (["kill", "stop"])) {
      await server[end]();
      await untilConnection(page, "waiting");
      assert.ok((await page.locator("[data-event]").count()) > 0, "what was shown stays");
      await server.start();
      // Some come before the page is back, some after.
      for (let time = 0; time < 20; time += 1) await server.store(event("page_view", { page: `/${end}/${time}` }));
      await untilConnection(page, "live");
      await server.store(event("pdf_download"));
      await untilListed(page, await ids(server));
      await untilFigure(page, "events", (await server.data("/stats")).total_events);
    }
  }),
);

test(
  "older events come by the page, and new ones do not disturb them",
  world.test(async ({ server, visitor }) => {
    await server.store(...Array.from({ length: 130 }, (_, at) => event("page_view", { page: `/${at}`, ago: at * 1_000 })));
    const page = await visitor.open(`${server.origin}/`);
    await untilConnection(page, "live");
    const all = await ids(server);
    await untilListed(page, all.slice(0, 50));
    await page.locator(".older").click();
    await untilListed(page, all.slice(0, 100));
    await server.store(event("page_view"), event("page_view"));
    const more = await ids(server);
    await untilListed(page, more.slice(0, 102));
    await page.locator(".older").click();
    await untilListed(page, more);
    assert.equal(await page.locator(".older").count(), 0);
  }),
);

test(
  "each site has its own dashboard",
  world.test(async ({ server, visitor }) => {
    await server.store(event("page_view", { site: "one" }), event("page_view", { site: "two" }), event("hover", { site: "two" }));
    const page = await visitor.open(`${server.origin}/?site=one`);
    await untilFigure(page, "events", 1);
    await page.locator(".menu summary").click();
    await page.locator(".menu input").fill("TWO");
    await page.keyboard.press("Enter");
    await page.waitForURL(/site=two$/);
    await untilFigure(page, "events", 2);
    await server.store(event("page_view", { site: "one" }));
    await server.store(event("page_view", { site: "two" }));
    await untilFigure(page, "events", 3);
    await page.locator(".menu summary").click();
    await page.locator(".menu-panel a", { hasText: "one" }).click();
    await untilFigure(page, "events", 2);
  }),
);
