// The click map over an outline of the page, which the owner's browser records.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FixtureSite, setUp, until } from "./harness/index.mjs";

const world = setUp();

const PAGE = `<!doctype html><html lang="en"><title>Plan</title><link rel="icon" href="data:,">
<style>body { margin: 0; height: 2000px } section { height: 400px } button { width: 120px; height: 40px }</style>
<script defer src="{{analytics}}/mcv.js" data-site="fixture"></script>
<nav><a href="#one" id="user-18230">Ada Lovelace</a> <a href="#two">Secret link</a></nav>
<main>
  <section><h2>Private heading</h2><button type="button">Secret button</button></section>
  <section><button type="button">First</button> <button type="button">Second</button></section>
  <section id="offers"><p>Secret text</p><a role="button" href="#buy">Buy</a></section>
  <p hidden>Not on the page</p>
</main>`;

/** @param {import("playwright-core").Page} page */
const names = (page) => page.locator(".most button span:first-child").allTextContents();

test(
  "the owner's browser records where elements are, and clicks are named and drawn over them",
  world.test(async ({ server, site, browser, visitor }) => {
    site.pages.set("/plan", { text: PAGE });
    const reader = await browser.newContext({ userAgent: await visitor.open().then((page) => page.evaluate(() => navigator.userAgent)) });
    const read = await reader.newPage();
    await read.goto(`${site.origin}/plan`);
    for (const name of ["First", "Second", "Second", "Buy"]) await read.getByText(name, { exact: true }).click();
    await server.eventsUntil("button_click", { site: "fixture", count: 3 });
    // The last that the reader's page sends.
    await read.goto("about:blank");
    await server.eventsUntil("scroll", { site: "fixture" });
    await reader.close();
    const before = await server.events("fixture");

    const page = await visitor.open(`${server.origin}/?site=fixture&f=is,event:page,/plan`);
    await page.locator(".sheet").waitFor();
    await page.locator(".outline-form > button").click();
    const address = page.locator(".outline-form input");
    // What is known of its address is offered, and what the browser's address bar says is right.
    await until("a guess", async () => (await address.inputValue()) === "https://127.0.0.1/plan");
    await address.fill(`${site.origin}/plan`);
    await page.locator(".outline-form form button").click();
    await page.locator('.sheet[data-outlined="true"] .outline path').first().waitFor({ state: "attached" });
    await until("the window is closed", () => visitor.context.pages().filter((one) => one.url().startsWith(site.origin)).length === 0);
    assert.deepEqual(await names(page), ["button 2 in section 2", "button 1 in section 2", "button in offers"]);

    const kept = await page.evaluate(() => JSON.stringify(localStorage));
    assert.match(kept, /section:nth-child\(2\)>button:nth-child\(1\)/);
    assert.doesNotMatch(kept, /secret|private|lovelace|18230/i);
    assert.equal((await server.events("fixture")).length, before.length, "it is no visit");

    // The element that is pointed at is marked where it is.
    await page.locator(".most button").last().hover();
    const [mark, sheet] = await Promise.all([page.locator(".sheet .box").boundingBox(), page.locator(".sheet").boundingBox()]);
    assert.ok(mark && sheet && mark.y > sheet.y + sheet.height * 0.35 && mark.height > 2, JSON.stringify([mark, sheet]));

    await page.reload();
    await page.locator('.sheet[data-outlined="true"]').waitFor();
    await page.locator(".outline-form > button").click();
    await until("where it was", async () => (await address.inputValue()) === `${site.origin}/plan`);
  }),
);

test(
  "another site that opens the page learns nothing",
  world.test(async ({ site, visitor }) => {
    // The browser says that the message is for another origin.
    let refused = false;
    visitor.context.on("console", (message) => {
      refused ||= /postMessage.*does not match/.test(message.text());
    });
    site.pages.set("/plan", { text: PAGE });
    const other = await visitor.open(`${site.origin}/about`);
    const opened = visitor.context.waitForEvent("page");
    await other.evaluate(() => {
      addEventListener("message", (event) => {
        document.title = `told ${event.origin}`;
      });
      open("/plan#maicivy-outline");
    });
    await opened;
    await until("it was recorded", () => refused);
    assert.doesNotMatch(await other.title(), /told/);
  }),
);

test(
  "outlines of other windows and other origins are not taken",
  world.test(async ({ server, site, visitor }) => {
    const foreign = await FixtureSite.start(server.origin);
    await server.store({ event_type: "page_view", page_url: "/plan", visitor_id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301" });
    await server.store({ event_type: "button_click", page_url: "/plan", event_data: { element: "#a", x: 1, y: 1 }, visitor_id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301" });
    const outline = (/** @type {string} */ element) => ({ maicivy: "outline", width: 1000, height: 1000, boxes: [{ element, kind: "a", within: "", place: 1, count: 1, x: 1, y: 1, width: 10, height: 10 }] });
    const page = await visitor.open(`${server.origin}/?f=is,event:page,/plan`);
    const icon = `<!doctype html><link rel="icon" href="data:,"><title>Page</title>`;
    foreign.pages.set("/", { text: `${icon}<script>opener.postMessage(${JSON.stringify(outline("#foreign"))}, "*")</script>` });
    site.pages.set("/plan", { text: `${icon}<script>location.replace("${foreign.origin}/")</script>` });
    await page.evaluate(() => addEventListener("message", ({ data }) => (document.title = `told ${data.boxes[0].element}`)));
    await page.locator(".outline-form > button").click();
    await page.locator(".outline-form input").fill(`${site.origin}/plan`);
    const opened = visitor.context.waitForEvent("page");
    await page.locator(".outline-form form button").click();
    const popup = await opened;
    await page.waitForFunction(() => document.title === "told #foreign");
    await page.evaluate((own) => postMessage(own, "*"), outline("#own"));
    await page.waitForFunction(() => document.title === "told #own");
    assert.doesNotMatch(await page.evaluate(() => JSON.stringify(localStorage)), /#foreign|#own/);
    assert.match((await page.locator(".outline-form [role=status]").textContent()) ?? "", /being opened/);
    // The page at the address that was entered is believed.
    site.pages.set("/plan", { text: `${icon}<script>opener.postMessage(${JSON.stringify(outline("#true"))}, "*")</script>` });
    // The dashboard closes it as soon as it has the outline.
    await popup.goto(`${site.origin}/plan`).catch(() => undefined);
    await until("it is kept", () => page.evaluate(() => JSON.stringify(localStorage).includes("#true")));
    await foreign.stop();
  }),
);

test(
  "a page without a tracker is reported",
  world.test(async ({ server, site, visitor }) => {
    await server.store({ event_type: "page_view", page_url: "/about", visitor_id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301" });
    const page = await visitor.open();
    await page.clock.install();
    await page.goto(`${server.origin}/?f=is,event:page,/about`);
    site.pages.set("/about", { text: `<!doctype html><link rel="icon" href="data:,"><title>No tracker</title>` });
    await page.locator(".outline-form > button").click();
    await page.locator(".outline-form input").fill(`${site.origin}/about`);
    const opened = visitor.context.waitForEvent("page");
    await page.locator(".outline-form form button").click();
    await opened;
    await page.clock.fastForward(20_000);
    await until("it is said", async () => /No outline came/.test((await page.locator(".outline-form [role=status]").textContent()) ?? ""));
  }),
);
