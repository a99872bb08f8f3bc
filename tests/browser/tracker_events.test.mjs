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
    assert.deepEqual(events.map((event) => event.origin).filter((origin) => origin !== site.origin), []);
    assert.equal((await server.data(`/realtime?site=${SITE}`)).unique_today, 1, "one visitor");
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
  "where: the page's host; with what: time zone and width of the screen",
  world.test(
    async ({ server, site, visitor }) => {
      const page = await visitor.open(`${site.origin}/`);
      await page.evaluate(() => /** @type {any} */ (window).maicivy.track("elsewhere", {}, "/checkout/2"));
      const events = await server.eventsUntil("elsewhere", { site: SITE });
      assert.deepEqual(events.map(({ origin, page_url }) => origin + page_url), [`${site.origin}/`, "/checkout/2"]);
      /** @param {string} dimension */
      const rows = async (dimension) => {
        const query = { site: SITE, metrics: ["events"], date_range: "day", dimensions: [dimension] };
        const { results } = await server.data(`/query?q=${encodeURIComponent(JSON.stringify(query))}`);
        return results.map((/** @type {any} */ row) => [...row.dimensions, ...row.metrics]);
      };
      assert.deepEqual(await rows("event:hostname"), [["127.0.0.1", 2]]);
      assert.deepEqual(await rows("visit:country"), [["NZ", 2]]);
      assert.deepEqual(await rows("visit:screen"), [["XL", 2]]);
    },
    { visitor: { timezoneId: "Pacific/Auckland", screen: { width: 2_000, height: 1_000 } } },
  ),
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
  "a link is reported although the page is left at once",
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
    assert.deepEqual(submit?.event_data, { element: "#contact" }, "a field named `id` is not the form's");
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
      ["scroll", "/long", { depth: 50, visible_seconds: events[1]?.event_data.visible_seconds }],
      ["page_view", "/", {}],
    ]);
    assert.ok(events[1]?.event_data.visible_seconds < 60);
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
      maicivy.track("hash_route", {}, "/virtual?theme=dark&token=secret");
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
        ["hash_route", "/virtual?theme=dark", {}],
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

test(
  "clicks and links within shadow roots and drawings",
  world.test(async ({ server, site, visitor }) => {
    site.pages.set("/parts", {
      text: `<!doctype html><link rel="icon" href="data:,"><title>Parts</title>
        <script defer src="{{analytics}}/mcv.js" data-site="${SITE}"></script>
        <x-card id="card"></x-card>
        <p><a id="around" href="https://elsewhere.example/around"><x-label></x-label></a></p>
        <p id="tracked" data-track="card.opened"><x-label></x-label></p>
        <svg width="300" height="40">
          <a id="drawn" href="https://elsewhere.example/drawn?token=secret"><rect width="50" height="40" /></a>
          <a id="here" href="/parts#x"><rect x="60" width="50" height="40" /></a>
          <a id="file" href="/cv.pdf?for=joe"><rect x="120" width="50" height="40" /></a>
        </svg>
        <script>
          const define = (name, html) => customElements.define(name, class extends HTMLElement {
            connectedCallback() { this.attachShadow({ mode: "open" }).innerHTML = html; }
          });
          define("x-card", '<p><b>Ada</b></p><p><a class="out" href="https://elsewhere.example/in?token=secret"><i>Out</i></a></p>');
          define("x-label", "<span>Label</span>");
        </script>`,
    });
    const page = await visitor.open(`${site.origin}/parts`);
    await page.evaluate(() => addEventListener("click", (event) => event.preventDefault()));
    for (const name of ["#card b", "#card i", "#around span", "#drawn rect", "#here rect", "#file rect", "#tracked span"]) {
      await page.click(name);
    }
    const events = await server.eventsUntil("card.opened", { site: SITE });
    assert.deepEqual(
      events.filter(({ event_type }) => /click/.test(event_type)).map(({ event_type, event_data: { x, y, ...data } }) => {
        assert.ok(x >= 0 && x <= 100 && y >= 0 && y <= 100);
        return [event_type, data];
      }),
      [
        ["button_click", { element: "#card>p:nth-child(1)>b:nth-child(1)" }],
        ["link_click", { element: "#card>p:nth-child(2)>a:nth-child(1)", download: false, url: "https://elsewhere.example/in" }],
        ["link_click", { element: "#around", download: false, url: "https://elsewhere.example/around" }],
        ["link_click", { element: "#drawn", download: false, url: "https://elsewhere.example/drawn" }],
        ["button_click", { element: "#here" }],
        ["link_click", { element: "#file", download: true, url: `${site.origin}/cv.pdf` }],
        ["button_click", { element: "#tracked>x-label:nth-child(1)>span:nth-child(1)" }],
      ],
    );
    assert.doesNotMatch(JSON.stringify(events), /secret|joe|Ada/);
  }),
);

test(
  "forms whose fields are named like properties of forms",
  world.test(async ({ server, site, visitor }) => {
    const fields = ["id", "name", "action", "children", "host", "pathname", "dataset", "tagName", "href", "className"];
    site.pages.set("/forms", {
      text: `<!doctype html><link rel="icon" href="data:,"><title>Forms</title>
        <script defer src="{{analytics}}/mcv.js" data-site="${SITE}"></script>
        <form id="named" style="padding: 30px" onsubmit="return false">
          ${fields.map((field) => `<input name="${field}">`).join("")}<button>Send</button>
        </form>
        <form style="padding: 30px" onsubmit="return false">
          ${fields.map((field) => `<input name="${field}">`).join("")}<button class="send">Send</button>
        </form>`,
    });
    const page = await visitor.open(`${site.origin}/forms`);
    await page.click("#named", { position: { x: 5, y: 5 } });
    await page.click("#named button");
    await page.click(".send");
    const events = await server.eventsUntil("form_submit", { site: SITE, count: 2 });
    assert.deepEqual(
      events.slice(1).map(({ event_type, event_data: { element } }) => [event_type, element]),
      [
        ["button_click", "#named"],
        ["button_click", `#named>button:nth-child(${fields.length + 1})`],
        ["form_submit", "#named"],
        ["button_click", `html>body:nth-child(2)>form:nth-child(2)>button:nth-child(${fields.length + 1})`],
        ["form_submit", "html>body:nth-child(2)>form:nth-child(2)"],
      ],
    );
  }),
);

/** Pages whose content scrolls in an element of its own. @type {Record<string, string>} */
const INNER = {
  "a column": `<style>html, body { height: 100%; margin: 0 }</style>
    <div style="height: 100%; display: flex"><nav style="width: 100px"></nav>
      <main style="flex: 1; overflow: auto"><div style="height: 4000px"></div></main></div>`,
  "the body": `<style>html { height: 100%; overflow: hidden } body { height: 100vh; margin: 0; overflow: auto }</style>
    <div style="height: 4000px"></div>`,
  "below a dialog": `<style>html, body { height: 100%; margin: 0; overflow: hidden }</style>
    <main style="height: 100vh; overflow-y: scroll"><div style="height: 4000px"></div></main>
    <div style="position: fixed; inset: 100px; overflow: auto"><p style="height: 900px"></p></div>`,
  "without a doctype": `<style>body { margin: 0 } main { height: 100vh; overflow: auto }</style>
    <main><div style="height: 4000px"></div></main>`,
};

for (const [what, content] of Object.entries(INNER)) {
  test(
    `scroll depth of an inner container: ${what}`,
    world.test(async ({ server, site, visitor }) => {
      const doctype = what === "without a doctype" ? "" : "<!doctype html>";
      const tag = `<script defer src="{{analytics}}/mcv.js" data-site="${SITE}"></script>`;
      site.pages.set("/inner", { text: `${doctype}<link rel="icon" href="data:,"><title>Inner</title>${tag}${content}` });
      site.pages.set("/blank", { text: `<!doctype html><link rel="icon" href="data:,"><title>Blank</title>` });
      const page = await visitor.open(`${site.origin}/inner`);
      const depth = async (/** @type {number} */ count) => {
        await page.goto(`${site.origin}/blank`);
        const events = await server.eventsUntil("scroll", { site: SITE, count });
        return events.filter((event) => event.event_type === "scroll")[count - 1]?.event_data.depth;
      };
      const seen = await page.evaluate(() => Math.round((innerHeight / 4000) * 100));
      assert.equal(await depth(1), seen, "without scrolling");
      await page.goto(`${site.origin}/inner`);
      await page.evaluate(() => {
        const inner = document.querySelector("main") ?? document.body;
        inner.scrollTop = 2000 - inner.clientHeight;
      });
      assert.equal(await depth(2), 50);
    }),
  );
}

test(
  "how long a page was visible, in parts that add up",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.context.newPage();
    await page.clock.install({ time: Date.now() });
    await page.addInitScript(() => {
      // Browsers never change it; Playwright's clock does, once it is set.
      Object.defineProperty(performance, "timeOrigin", { value: 0 });
      let hidden = false;
      Object.defineProperty(document, "hidden", { get: () => hidden });
      Object.assign(window, {
        /** @param {boolean} away */
        look(away) {
          hidden = away;
          document.dispatchEvent(new Event("visibilitychange"));
        },
      });
    });
    const look = (/** @type {boolean} */ away) => page.evaluate((away) => /** @type {any} */ (window).look(away), away);
    await page.goto(`${site.origin}/long`);
    await page.clock.fastForward(10_000);
    await look(true);
    await page.clock.fastForward(100_000);
    await look(false);
    await page.clock.fastForward(5_000);
    await page.evaluate(() => history.pushState({}, "", "/next"));
    await page.clock.fastForward(1_000);
    await look(true);
    const events = await server.eventsUntil("scroll", { site: SITE, count: 3 });
    const reports = events.filter((event) => event.event_type === "scroll");
    const seconds = reports.map(({ page_url, event_data }) => [page_url, Math.round(event_data.visible_seconds)]);
    assert.deepEqual(
      seconds.map(([path, seconds]) => [path, Math.floor(Number(seconds) / 5) * 5]).sort(),
      [["/long", 10], ["/long", 5], ["/next", 0]].sort(),
    );
  }),
);
