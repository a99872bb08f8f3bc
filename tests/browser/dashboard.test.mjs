// The dashboard: the very numbers of the API, moving as events come, through restarts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AWAY, event, figure, ids, logLine, rows, something, untilConnection, untilFigure, untilListed } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();
const METRICS = ["visitors", "visits", "pageviews", "views_per_visit", "bounce_rate", "visit_duration"];

test(
  "shows the very numbers that the API gives",
  world.test(async ({ server, visitor }) => {
    // The last is of yesterday.
    await server.store(...something(), event("page_view", { ago: (Date.now() % 86_400_000) + 1_000 }));
    for (const period of /** @type {const} */ (["day", "1d", "month", "all", "30m"])) {
      const page = await visitor.open(`${server.origin}/?period=${period}`);
      const [row] = (await server.query({ metrics: METRICS, date_range: period })).results;
      for (const [at, name] of METRICS.entries()) await untilFigure(page, name, row?.metrics[at] ?? 0);
      for (const [card, dimension] of [["sources", "visit:source"], ["pages", "event:page"], ["devices", "visit:browser"]]) {
        const wanted = (await server.query({ metrics: ["visitors"], dimensions: [dimension], date_range: period, limit: 9 })).results;
        await until(`${card} of ${period}`, async () => {
          const shown = await rows(page, `.${card}`);
          assert.deepEqual(shown, wanted.map((/** @type {any} */ { dimensions, metrics }) => [dimensions[0], metrics[0]]));
          return true;
        });
      }
      await page.close();
    }
    const page = await visitor.open(`${server.origin}/`);
    await untilFigure(page, "now", (await server.data("/realtime")).current_visitors);
    await untilListed(page, await ids(server));
    // Every event has another pseudonym, and is shown without one.
    assert.equal(await page.locator(".timeline .who").count(), 0);
    // Every event by name but page views, with its visitors and their share.
    const share = await page.locator('.events [data-name="letter_generate"] .ranking-share').textContent();
    assert.equal(share, "66.7%");
    assert.deepEqual((await rows(page, ".events")).map(([name]) => name).sort(), ["button_click", "cv_theme_change", "letter_generate", "shape_drawn"]);
    assert.deepEqual(await rows(page, ".cv"), [["backend", 2], ["devops", 1]]);
  }),
);

test(
  "moves by itself when something happens, to whatever range it belongs",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/?period=month`);
    await untilConnection(page, "live");
    await untilListed(page, await ids(server));
    const loads = await page.evaluate(() => performance.timeOrigin);
    await server.store(
      event("letter_generate", { page: "/letters", data: { letter_type: "motivation" } }),
      event("page_view", { page: "/cv?theme=security" }),
      // It arrives late, and is listed at its time.
      event("page_view", { page: "/late", ago: 3_600_000 }),
    );
    await untilFigure(page, "now", 5);
    const [row] = (await server.query({ metrics: ["visitors", "pageviews"], date_range: "month" })).results;
    await untilFigure(page, "visitors", row.metrics[0]);
    await untilFigure(page, "pageviews", row.metrics[1]);
    await page.locator('.cv [data-name="security"]').waitFor();
    await untilListed(page, await ids(server));
    assert.equal(await page.evaluate(() => performance.timeOrigin), loads, "it was not loaded again");
    assert.match(await page.title(), /^5 · maicivy/);
  }),
);

test(
  "is complete within seconds when another process writes to the store",
  world.test(async ({ server, visitor }) => {
    const empty = await visitor.open(`${server.origin}/?period=28d`);
    await empty.locator(".welcome").waitFor();
    await server.import([1, 2, 3].map((days) => logLine({ days, path: `/from/${days}` })).join("\n"));
    await untilFigure(empty, "pageviews", 3);
    await server.import([4, 5].map((days) => logLine({ days, path: `/more/${days}` })).join("\n"));
    await untilFigure(empty, "pageviews", 5);
    await until("all pages", async () => (await rows(empty, ".pages")).length === 5);
    await untilListed(empty, await ids(server));
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
      const [row] = (await server.query({ metrics: ["pageviews"], date_range: "day" })).results;
      await untilFigure(page, "pageviews", row.metrics[0]);
    }
  }),
);

test(
  "older events come by the page, new ones do not disturb them, and a type can be chosen",
  world.test(async ({ server, visitor }) => {
    await server.store(...Array.from({ length: 180 }, (_, at) => event(at % 10 === 0 ? "hover" : "page_view", { page: `/${at}`, ago: at * 1_000 })));
    const page = await visitor.open(`${server.origin}/`);
    await untilConnection(page, "live");
    const all = await ids(server);
    await untilListed(page, all.slice(0, 100));
    await page.locator(".timeline .older").click();
    await untilListed(page, all.slice(0, 150));
    await server.store(event("page_view"), event("page_view"));
    const more = await ids(server);
    await untilListed(page, more.slice(0, 152));
    await page.locator(".timeline .older").click();
    await untilListed(page, more);
    assert.equal(await page.locator(".timeline .older").count(), 0);
    await page.locator(".timeline select").selectOption("hover");
    await until("the hovers", async () => (await page.locator("[data-event]").count()) === 18);
  }),
);

test(
  "the live view is one line while no visitor is there",
  world.test(async ({ server, visitor }) => {
    await server.store(event("page_view", { ago: 3_600_000 }));
    const page = await visitor.open(`${server.origin}/`);
    const live = page.locator(".live");
    await untilFigure(page, "now", 0);
    await page.locator('.live[data-quiet="true"]').waitFor();
    const box = await live.boundingBox();
    assert.ok(box && box.height < 60, `${box?.height}`);
    await server.store(event("page_view", { page: "/read" }), event("button_click", { page: "/read", data: { element: "#a", x: 1, y: 1 } }));
    await page.locator(".live .marks").waitFor();
    await until("the page that is read", async () => /\/read/.test((await live.locator(".few").first().textContent()) ?? ""));
    await until("its source", async () => /Direct \/ None/.test((await live.locator(".few").last().textContent()) ?? ""));
    // Letters have a lane only where there are letters.
    assert.deepEqual(await live.locator(".lanes li").allTextContents(), ["Views", "Clicks", "Other"]);
  }),
);

test(
  "sites are listed, and each has its own dashboard",
  world.test(async ({ server, visitor }) => {
    await server.store(event("page_view", { site: "one" }), event("page_view", { site: "two" }), event("hover", { site: "two" }));
    const page = await visitor.open(`${server.origin}/?site=one&period=month`);
    await untilFigure(page, "pageviews", 1);
    await page.locator(".menu.site summary").click();
    const listed = page.locator(".sites a");
    await until("both", async () => (await listed.count()) === 2);
    assert.match((await listed.nth(1).textContent()) ?? "", /^twolast event/);
    assert.equal(await listed.nth(1).locator(".sparkline").getAttribute("aria-label"), "2 visitors in the last seven days");
    await listed.nth(1).click();
    await page.waitForURL(/site=two$/);
    await untilFigure(page, "pageviews", 1);
    await server.store(event("page_view", { site: "one" }));
    await server.store(event("page_view", { site: "two" }));
    await untilFigure(page, "pageviews", 2);
    await page.locator(".menu.site summary").click();
    await page.locator(".menu.site input").fill("ONE");
    await page.keyboard.press("Enter");
    await page.waitForURL(/site=one$/);
    await untilFigure(page, "pageviews", 2);
  }),
);
