// Ranges, filters, cards, details, funnels: what the reader can ask for, all of it in the address.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { event, logLine, rows, something, untilFigure, visitor as someone } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";
import { behindPrefix } from "./harness/prefix.mjs";

/** @typedef {import("playwright-core").Page} Page */

const world = setUp();
const DAY_MS = 86_400_000;

/** @param {number} days */
const dayBefore = (days) => new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10);

/** @param {Page} page */
const query = (page) => decodeURIComponent(new URL(page.url()).search);

test(
  "the keyboard's shortcuts are Plausible's, and the browser's history goes back",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/?site=default`);
    await untilFigure(page, "visitors", 3);
    const shortcuts = { E: "1d", R: "30m", W: "7d", F: "28d", N: "91d", M: "month", P: "1mo", Y: "year", L: "12mo", A: "all" };
    for (const [key, period] of Object.entries(shortcuts)) {
      await page.keyboard.press(key.toLowerCase());
      await until(key, () => query(page) === `?site=default&period=${period}`);
    }
    await page.keyboard.press("d");
    await until("today", () => query(page) === "?site=default");
    await page.keyboard.press("ArrowLeft");
    await until("yesterday", () => query(page) === "?site=default&period=1d");
    await untilFigure(page, "visitors", 0);
    await page.keyboard.press("ArrowLeft");
    await until("the day before", () => query(page) === `?site=default&from=${dayBefore(2)}&to=${dayBefore(2)}`);
    await page.goBack();
    await page.goBack();
    await untilFigure(page, "visitors", 3);
    await page.keyboard.press("x");
    await until("no comparison", () => query(page).endsWith("compare=off"));
    await page.keyboard.press("c");
    await page.locator(".menu.range input:focus").waitFor();
    await page.locator(".menu.range input").first().fill(dayBefore(3));
    await page.locator(".menu.range input").last().fill(dayBefore(1));
    await page.keyboard.press("Enter");
    await until("the days that were chosen", () => query(page) === `?site=default&from=${dayBefore(3)}&to=${dayBefore(1)}&compare=off`);
    assert.match((await page.locator(".foot").textContent()) ?? "", /Days are those of UTC/);
  }),
);

test(
  "a click filters everything, and chips can be turned around and removed",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    await page.locator('.pages [data-name="/projects"] button').click();
    await untilFigure(page, "visitors", 1);
    assert.equal(query(page), "?f=is,event:page,/projects");
    assert.deepEqual(await rows(page, ".pages"), [["/projects", 1]]);
    await page.locator(".chip").click();
    await untilFigure(page, "pageviews", 2);
    assert.equal(query(page), "?f=is_not,event:page,/projects");
    await page.reload();
    await untilFigure(page, "pageviews", 2);
    await page.locator(".chip-remove").click();
    await untilFigure(page, "pageviews", 3);
    assert.equal(query(page), "");

    await page.locator(".menu.filter summary").click();
    await page.locator(".filter-form select").nth(1).selectOption("contains");
    await until("suggestions", async () => (await page.locator("#suggestions option").count()) > 1);
    await page.locator(".filter-form input").fill("PROJ");
    await page.keyboard.press("Enter");
    await untilFigure(page, "visitors", 1);
    assert.equal(query(page), "?f=contains,event:page,PROJ");

    // A segment is kept in the browser.
    await page.locator(".menu.segments summary").click();
    await page.locator(".menu.segments input").fill("Projects");
    await page.keyboard.press("Enter");
    await page.locator(".menu.segments .choices button", { hasText: "Projects" }).first().waitFor();
    await page.goto(`${server.origin}/`);
    await untilFigure(page, "visitors", 3);
    await page.locator(".menu.segments summary").click();
    await page.locator(".menu.segments .choices button").first().click();
    await untilFigure(page, "visitors", 1);
    await page.keyboard.press("Escape");
    await untilFigure(page, "visitors", 3);
  }),
);

test(
  "an event is a goal: its visitors, how often, and the rate",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    assert.equal(await page.locator('[data-figure="conversion_rate"]').count(), 0);
    await page.locator('.events [data-name="letter_generate"] button').click();
    await untilFigure(page, "visitors", 2);
    await untilFigure(page, "events", 3);
    await untilFigure(page, "conversion_rate", 66.67);
    assert.equal(await page.locator('[data-figure="conversion_rate"]').textContent(), "66.7%");
    assert.equal(query(page), "?f=is,event:goal,letter_generate");
  }),
);

test(
  "tiles are compared with the time before and explained; the chart follows, compares and zooms",
  world.test(async ({ server, visitor }) => {
    const log = [1, 1, 2, 3, 8, 9, 9, 9].map((days, at) => logLine({ days, path: `/${at}`, host: at })).join("\n");
    await server.import(log);
    const page = await visitor.open(`${server.origin}/?period=7d`);
    await untilFigure(page, "visitors", 4);
    const tile = page.locator(".tile").first();
    assert.match((await tile.textContent()) ?? "", /= 0% from 4/);
    await tile.locator("button").focus();
    assert.match((await tile.locator("[role=tooltip]").textContent()) ?? "", /^Different visitors/);
    await page.keyboard.press("Tab");
    await until("the hint shows", async () => (await page.locator(".tile").nth(1).locator(".hint").evaluate((hint) => getComputedStyle(hint).visibility)) === "visible");

    const plot = page.locator(".chart-plot");
    await until("both lines", async () => {
      const drawn = await plot.locator(".line, .line-before").evaluateAll((lines) => lines.map((line) => line.getAttribute("d")?.split("L").length));
      return drawn[0] === 7 && drawn[1] === 7;
    });
    assert.equal(await plot.locator(".line-open").getAttribute("d"), "", "all days are over");
    await page.locator(".tile button", { hasText: "Page views" }).click();
    await until("the metric", () => query(page) === "?period=7d&metric=pageviews");
    await plot.focus();
    await page.keyboard.press("ArrowLeft");
    assert.match((await plot.locator(".tip").textContent()) ?? "", /Page views.*2.*1/);
    const box = await plot.boundingBox();
    assert.ok(box);
    await plot.click({ position: { x: box.width - 16, y: 60 } });
    await until("that day", () => query(page) === `?from=${dayBefore(1)}&to=${dayBefore(1)}&metric=pageviews`);
    await untilFigure(page, "visitors", 2);
    await page.locator(".units select").selectOption("minute");
    await until("minutes", () => query(page).includes("unit=minute"));

    await page.goto(`${server.origin}/?period=month`);
    await page.locator(".chart-form").click();
    await page.locator(".chart tbody tr").first().waitFor();
    await server.store(event("page_view"));
    await page.goto(`${server.origin}/`);
    await until("the hour that is not over is dashed", async () => {
      const drawn = await page.locator(".line-open").getAttribute("d");
      return new Date().getUTCHours() === 0 || drawn !== "";
    });
  }),
);

test(
  "details can be sorted, searched and downloaded",
  world.test(async ({ server, visitor }) => {
    const events = Array.from({ length: 120 }, (_, at) => event("page_view", { page: `/page/${String(at).padStart(3, "0")}` }));
    await server.store(...events, event("page_view", { page: "/page/007" }));
    const page = await visitor.open(`${server.origin}/`);
    await page.locator(".pages .more").click();
    const dialog = page.locator("dialog");
    const names = () => dialog.locator("tbody th").allTextContents();
    await until("the first hundred", async () => (await names()).length === 100);
    assert.equal((await names())[0], "/page/007");
    await dialog.locator(".older").click();
    await until("all", async () => (await names()).length === 120);
    await dialog.locator("thead button", { hasText: "Pages" }).click();
    await until("by name", async () => (await names())[0] === "/page/000");
    await dialog.locator("thead button", { hasText: "Pages" }).click();
    await until("backwards", async () => (await names())[0] === "/page/119");
    assert.equal(await dialog.locator("thead th").first().getAttribute("aria-sort"), "descending");
    await dialog.locator(".search").fill("PAGE/00");
    await until("what was searched", async () => (await names()).length === 10);
    const csv = await (await fetch((await dialog.locator("a").getAttribute("href")) ?? "")).text();
    assert.match(csv, /^event:page,visitors,percentage,pageviews,bounce_rate,time_on_page,scroll_depth\r\n\/page\/009,1,/);
    await dialog.getByRole("button", { name: "Close" }).click();
    await until("closed", async () => !(await dialog.isVisible()));
    for (const link of await page.locator("a[download]").all()) {
      const answer = await fetch((await link.getAttribute("href")) ?? "");
      assert.equal(answer.status, 200, `${await link.getAttribute("href")}`);
      assert.match(answer.headers.get("content-type") ?? "", /^text\/csv/);
    }
  }),
);

test(
  "figures, funnels and return are tables, too",
  world.test(async ({ server, visitor }) => {
    const who = someone();
    await server.store(event("page_view", { who, page: "/prices", ago: 60_000 }), event("signup", { who }));
    const page = await visitor.open(`${server.origin}/`);
    await untilFigure(page, "visitors", 1);
    const figures = await page.locator(".figures a[download='figures.csv']").getAttribute("href");
    assert.match(await (await fetch(figures ?? "")).text(), /^visitors,visitors_comparison,[^]*\r\n1,0,100,1,/);
    /** @param {string} tab */
    const saved = async (tab) => {
      await page.locator(".events .tabs select").focus();
      await page.locator(".events .tabs select").selectOption(tab);
      if (tab === "funnel") {
        await page.locator(".events .funnel-steps input").nth(0).fill("/prices");
        await page.locator(".events .funnel-steps input").nth(1).fill("signup");
      }
      const [download] = await Promise.all([page.waitForEvent("download"), page.locator(".events button.csv").click()]);
      return `${download.suggestedFilename()}: ${await readFile(await download.path(), "utf8")}`;
    };
    assert.match(await saved("funnel"), /^funnel\.csv: step,.*\r\n1,1,0,[^]*\r\n2,1,0,/);
    assert.match(await saved("retention"), /^return\.csv: [^\r]*week[^]*\r\n/);
    const [timeline] = await Promise.all([page.waitForEvent("download"), page.locator(".timeline button.csv").click()]);
    assert.match(await readFile(await timeline.path(), "utf8"), /^time,event,page,[^]*Z,signup,\/cv,[^]*Z,page_view,\/prices,/);
  }),
);

test(
  "what happens now is tables, too",
  world.test(async ({ server, visitor }) => {
    await server.store(event("page_view", { page: "/read" }), event("signup", { page: "/read" }));
    const page = await visitor.open(`${server.origin}/`);
    /** @param {string} name */
    const saved = async (name) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.locator(`.live ${name}`).click()]);
      return `${download.suggestedFilename()}: ${await readFile(await download.path(), "utf8")}`;
    };
    assert.equal(await saved("a[download='now.csv']"), "now.csv: event:page,visitors\r\n/read,2\r\n");
    assert.equal(await saved("a[download='sources-now.csv']"), "sources-now.csv: visit:source,visitors\r\nDirect / None,2\r\n");
    assert.match(await saved(".strip button.csv"), /^last-minutes\.csv: time,event,page,[^\r]*\r\n[^]*Z,(signup|page_view),\/read,[^]*Z,(signup|page_view),\/read,/);
  }),
);

test(
  "links, downloads, forms, missing pages and properties need no configuration",
  world.test(async ({ server, visitor }) => {
    await server.store(
      event("link_click", { data: { url: "https://a.example/", download: false, element: "#a" } }),
      event("link_click", { data: { url: "https://cv.example/cv.pdf", download: true, element: "#b" } }),
      event("form_submit", { data: { element: "#contact" } }),
      event("not_found", { page: "/gone" }),
      event("signup", { data: { plan: "pro" } }),
      event("signup", { data: { plan: "free" } }),
    );
    const page = await visitor.open(`${server.origin}/`);
    const tabs = page.locator(".events .tabs select");
    /** @type {[string, [string, number][]][]} */
    const wanted = [["outbound", [["https://a.example/", 1]]], ["downloads", [["https://cv.example/cv.pdf", 1]]], ["forms", [["#contact", 1]]], ["missing", [["/gone", 1]]]];
    for (const [tab, list] of wanted) {
      await tabs.selectOption(tab);
      await until(tab, async () => JSON.stringify(await rows(page, ".events")) === JSON.stringify(list));
    }
    await tabs.selectOption("property");
    await page.locator(".property select").selectOption("signup");
    await page.locator(".property input").fill("plan");
    await page.keyboard.press("Enter");
    await until("the plans", async () => (await rows(page, ".events")).map(([name]) => name).join() === "free,pro");
    assert.deepEqual(await page.locator("#property-keys option").evaluateAll((all) => all.map((one) => one.getAttribute("value"))), ["plan"]);
    await page.reload();
    await until("it is remembered", async () => (await rows(page, ".events")).length === 2);
    await page.locator('.events [data-name="pro"] button').click();
    await untilFigure(page, "visitors", 1);
  }),
);

test(
  "a page has a view of its own, with what is read besides and where it is clicked",
  world.test(async ({ server, visitor }) => {
    const [a, b] = [someone(), someone()];
    await server.store(
      event("page_view", { who: a, page: "/cv" }),
      event("page_view", { who: a, page: "/letters" }),
      event("page_view", { who: b, page: "/cv" }),
      event("scroll", { who: b, page: "/cv", data: { depth: 80, visible_seconds: 65 } }),
      event("button_click", { who: a, page: "/cv", data: { element: "#letter", x: 50, y: 22 } }),
      event("button_click", { who: b, page: "/cv", data: { element: "main>section:nth-child(2)>a", x: 6, y: 5 } }),
    );
    const page = await visitor.open(`${server.origin}/?f=is,event:page,/cv`);
    await untilFigure(page, "scroll_depth", 80);
    await untilFigure(page, "time_on_page", 65);
    assert.equal(await page.locator('[data-figure="time_on_page"]').textContent(), "1m 5s");
    await until("what is read besides", async () => JSON.stringify(await rows(page, ".also-read")) === '[["/letters",1]]');
    assert.deepEqual((await page.locator(".most button span:first-child").allTextContents()).sort(), ["letter", "link in section 2"]);
    const sheet = page.locator(".sheet");
    const box = await sheet.boundingBox();
    assert.ok(box);
    await sheet.hover({ position: { x: box.width * 0.06, y: box.height * 0.05 } });
    assert.match((await page.locator(".sheet .tip").textContent()) ?? "", /link in section 2.*1 click/);
  }),
);

test(
  "works below any prefix, live feed included",
  world.test(async ({ server, visitor }) => {
    const proxy = await behindPrefix(server.origin, "/x/stats");
    try {
      const page = await visitor.open(`${proxy.origin}/?site=cv.example`);
      assert.equal(await page.locator(".welcome pre").first().textContent(), `<script defer src="${proxy.origin}/mcv.js" data-site="cv.example"></script>`);
      await page.locator('.connection[data-state="live"]').waitFor();
      await server.store(...something().map((one) => ({ ...one, site: "cv.example" })));
      await untilFigure(page, "visitors", 3);
      await page.goto(`${proxy.origin}/dashboard?site=cv.example&period=month`);
      await untilFigure(page, "visitors", 3);
      const csv = await page.locator("a[download]").first().getAttribute("href");
      assert.ok(csv?.startsWith(`${proxy.origin}/api/`), `${csv}`);
      assert.equal(await page.evaluate(() => document.fonts.check("16px Inter")), true);
      await page.close();
    } finally {
      proxy.stop();
    }
  }),
);

test(
  "a range in another time zone has that zone's days",
  world.test(
    async ({ server, visitor }) => {
      await server.store(event("page_view"));
      const page = await visitor.open(`${server.origin}/`);
      await untilFigure(page, "visitors", 1);
      assert.match((await page.locator(".foot").textContent()) ?? "", /Pacific\/Auckland/);
      await page.keyboard.press("ArrowLeft");
      await until("yesterday", () => query(page) === "?period=1d");
      await page.keyboard.press("ArrowLeft");
      const today = new Intl.DateTimeFormat("sv", { timeZone: "Pacific/Auckland" }).format(new Date());
      const there = new Date(Date.parse(`${today}T00:00:00Z`) - 2 * DAY_MS).toISOString().slice(0, 10);
      await until("two days ago, there", () => query(page) === `?from=${there}&to=${there}`);
      await untilFigure(page, "visitors", 0);
    },
    { env: { ANALYTICS_TIMEZONE: "Pacific/Auckland" } },
  ),
);
