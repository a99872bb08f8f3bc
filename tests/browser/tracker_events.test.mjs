// What the tracker tells: every kind of event, in every field, as the server has stored it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { setUp, until } from "./harness/index.mjs";

const SITE = "fixture";
const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const world = setUp();

/** @param {import("./harness/server.mjs").Entry[]} events */
const brief = (events) => events.map((event) => [event.event_type, event.page_url, event.event_data]);

test(
  "page views: address, referrer, time, id, one visitor",
  world.test(async ({ server, site, visitor }) => {
    const before = Date.now();
    const page = await visitor.open(`${site.origin}/?utm_source=news&token=secret#part`);
    await server.eventsUntil("page_view", { site: SITE });
    await page.click("#to-about");
    const events = await server.eventsUntil("page_view", { site: SITE, count: 2 });
    const views = events.filter((event) => event.event_type === "page_view");
    assert.deepEqual(
      views.map(({ page_url, referrer, event_data }) => ({ page_url, referrer, event_data })),
      [
        { page_url: "/?utm_source=news", referrer: null, event_data: {} },
        { page_url: "/about?theme=backend", referrer: `${site.origin}/?utm_source=news`, event_data: {} },
      ],
    );
    assert.equal(new Set(events.map((event) => event.visitor_id)).size, 1);
    for (const { id, created_at } of events) {
      assert.match(id, V7);
      const made = parseInt(id.replace("-", "").slice(0, 12), 16);
      assert.ok(made >= before && made <= Date.now(), id);
      assert.ok(Math.abs(Date.parse(created_at) - made) < 5_000, created_at);
    }
    const [theme] = await server.data(`/themes?site=${SITE}`);
    assert.deepEqual([theme.theme, theme.views], ["backend", 1]);
  }),
);

test(
  "clicks: place in percent of the page, and a name without any text",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${site.origin}/clicks`);
    /** Where the middle of an element is, in whole percent of the page. @param {string} name */
    const middle = (name) =>
      page.$eval(name, (element) => {
        const { left, top, width, height } = element.getBoundingClientRect();
        const { scrollWidth, scrollHeight } = document.documentElement;
        return [
          Math.round(((left + scrollX + width / 2) / scrollWidth) * 100),
          Math.round(((top + scrollY + height / 2) / scrollHeight) * 100),
        ];
      });
    await page.click("#cta");
    await page.click(".deep em");
    await page.click("#user-18230", { position: { x: 2, y: 2 } });
    await page.click("#label", { position: { x: 40, y: 8 } });
    await page.focus("#stay");
    await page.evaluate(() => document.addEventListener("submit", (event) => event.preventDefault()));
    await page.keyboard.press("Enter");
    const events = await server.eventsUntil("form_submit", { site: SITE });
    const clicks = events.filter((event) => event.event_type === "button_click");
    assert.deepEqual(
      clicks.map((click) => click.event_data.element),
      [
        "#cta",
        "div>ul:nth-child(1)>li:nth-child(2)>em:nth-child(1)",
        "html>body:nth-child(2)>p:nth-child(3)",
        "#label>input:nth-child(1)",
        "#stay",
      ],
    );
    const [cta, deep] = clicks;
    assert.deepEqual([cta?.event_data.x, cta?.event_data.y], await middle("#cta"));
    assert.deepEqual([deep?.event_data.x, deep?.event_data.y], await middle(".deep em"));
    assert.ok(deep?.event_data.y > 70, "the page's height counts, not the window's");
    assert.deepEqual(clicks.at(-1)?.event_data, { element: "#stay" }, "a key press has no place");
    assert.doesNotMatch(JSON.stringify(events), /Ada|Lovelace|Two|Somebody|18230/);

    const places = await server.data(`/heatmap?page_url=/clicks&site=${SITE}`);
    assert.equal(places.length, 4);
    const place = places.find((/** @type {any} */ place) => place.element === "#cta");
    assert.deepEqual(place, {
      x: cta?.event_data.x,
      y: cta?.event_data.y,
      count: 1,
      page_url: "/clicks",
      element: "#cta",
    });
  }),
);

test(
  "links: outbound and downloads, never queries or mail addresses",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${site.origin}/clicks`);
    await page.evaluate(() => addEventListener("click", (event) => event.preventDefault()));
    await page.evaluate(() => addEventListener("auxclick", (event) => event.preventDefault()));
    await page.click("#out");
    await page.click("#out", { button: "middle" });
    await page.click("#out", { button: "right" });
    await page.click("#file");
    await page.click("#saved");
    await page.click("#mail");
    const events = await server.eventsUntil("button_click", { site: SITE });
    const links = events.filter((event) => event.event_type === "link_click").map((event) => event.event_data);
    const out = { element: "#out", download: false, url: "https://elsewhere.example/path/page" };
    assert.deepEqual(
      links.map(({ x, y, ...rest }) => {
        assert.ok(x > 0 && x < 100 && y > 0 && y < 100, `${x}, ${y}`);
        return rest;
      }),
      [
        out,
        out,
        { element: "#file", download: true, url: `${site.origin}/cv.pdf` },
        { element: "#saved", download: true, url: `${site.origin}/report` },
      ],
    );
    assert.equal(events.at(-1)?.event_data.element, "#mail");
    assert.doesNotMatch(JSON.stringify(events), /secret|joe/);
    assert.equal((await server.data(`/heatmap?site=${SITE}`)).length, 4, "links are on the heatmap too");
  }),
);

test(
  "a link is told although the page is left at once",
  world.test(async ({ server, site, visitor }) => {
    site.pages.set("/cv.pdf", {
      text: `<!doctype html><link rel="icon" href="data:,"><title>No tracker here</title>`,
      headers: { "content-type": "text/html" },
    });
    const page = await visitor.open(`${site.origin}/clicks`);
    await page.click("#file");
    const events = await server.eventsUntil("scroll", { site: SITE });
    assert.deepEqual(events.map((event) => event.event_type).sort(), ["link_click", "page_view", "scroll"]);
  }),
);

test(
  "forms: which one, never what was written",
  world.test(async ({ server, site, visitor }) => {
    site.pages.set("/sent", { text: `<!doctype html><link rel="icon" href="data:,"><title>Sent</title>` });
    const page = await visitor.open(`${site.origin}/clicks`);
    await page.fill("[name=id]", "Ada Lovelace");
    await page.click("#go");
    const events = await server.eventsUntil("form_submit", { site: SITE });
    const [submit] = events.filter((event) => event.event_type === "form_submit");
    // Its field named `id` hides the form's own: the name is then a path.
    assert.deepEqual(submit?.event_data, { element: "html>body:nth-child(2)>form:nth-child(11)" });
    assert.doesNotMatch(JSON.stringify(events), /joe|Ada/);
  }),
);

test(
  "scroll depth, once a view, when it is left",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${site.origin}/long`);
    await page.evaluate(() => scrollTo(0, 2000 - innerHeight));
    await until("the page has scrolled", () => page.evaluate(() => scrollY > 0));
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.evaluate(() => scrollTo(0, 0));
    // Leaving twice, as a visitor does who looks at another tab first.
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { get: () => true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await server.eventsUntil("scroll", { site: SITE });
    await page.goto(`${site.origin}/`);
    const events = await server.eventsUntil("page_view", { site: SITE, count: 2 });
    assert.deepEqual(brief(events), [
      ["page_view", "/long", {}],
      ["scroll", "/long", { depth: 50 }],
      ["page_view", "/", {}],
    ]);
  }),
);

test(
  "calls: own events, themes, letters, data-track",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${site.origin}/clicks`);
    await page.evaluate(() => {
      const { maicivy } = /** @type {any} */ (window);
      maicivy.track("video.played", { title: "Intro", seconds: 12.5, tags: ["a"] });
      maicivy.track("plain");
      maicivy.theme("backend");
      maicivy.letter("motivation");
      maicivy.letter("anti_motivation");
      maicivy.track("hash_route", {}, false, "/virtual");
    });
    await page.click("#broken");
    await page.click("#plan");
    const events = await server.eventsUntil("plan.chosen", { site: SITE });
    assert.deepEqual(
      brief(events).filter(([type]) => type !== "button_click"),
      [
        ["page_view", "/clicks", {}],
        ["video.played", "/clicks", { title: "Intro", seconds: 12.5, tags: ["a"] }],
        ["plain", "/clicks", {}],
        ["cv_theme_change", "/clicks", { theme: "backend" }],
        ["letter_generate", "/clicks", { letter_type: "motivation" }],
        ["letter_generate", "/clicks", { letter_type: "anti_motivation" }],
        ["hash_route", "/virtual", {}],
        ["plan.chosen", "/clicks", { plan: "pro", seats: 3 }],
      ],
    );
    const [theme] = await server.data(`/themes?site=${SITE}`);
    assert.deepEqual([theme.theme, theme.views], ["backend", 1]);
    const letters = await server.data(`/letters?site=${SITE}`);
    assert.deepEqual([letters.total, letters.motivation, letters.anti_motivation], [2, 1, 1]);
    const stats = await server.data(`/stats?site=${SITE}`);
    assert.deepEqual([stats.page_views, stats.letters_generated, stats.unique_visitors], [1, 2, 1]);
    assert.equal(stats.total_events, events.length);
  }),
);
