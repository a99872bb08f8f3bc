// What happens to events when the network or the server does not take them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { COLLECT, setUp, until } from "./harness/index.mjs";

const SITE = "fixture";

const world = setUp();

/** Tracks `count` events with numbers from `first`. @param {import("playwright-core").Page} page @param {number} count */
const many = (page, count, first = 1) =>
  page.evaluate(([count, first]) => {
    for (let n = 0; n < count; n++) /** @type {any} */ (window).maicivy.track("tick", { n: first + n });
  }, /** @type {const} */ ([count, first]));

/** What waits in the browser. @param {import("playwright-core").Page} page @returns {Promise<[string, any][]>} */
const waiting = (page) =>
  page.evaluate(() =>
    Object.entries(localStorage).map(([key, text]) => /** @type {[string, any]} */ ([key, JSON.parse(text)])),
  );

/** @param {import("playwright-core").Page} page */
const nothingWaits = (page) => until("nothing waits", async () => (await waiting(page)).length === 0);

/** The numbers of the ticks. @param {import("./harness/server.mjs").Entry[]} events */
const numbers = (events) => events.filter((event) => event.event_type === "tick").map((event) => event.event_data.n);

/** @param {number} count */
const upTo = (count, first = 1) => Array.from({ length: count }, (_, at) => first + at);

test(
  "the server dies and comes back: nothing is lost, nothing doubled",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/Failed to load resource/);
    const page = await visitor.open(`${site.origin}/`);
    await many(page, 3);
    await server.eventsUntil("tick", { site: SITE, count: 3 });
    await nothingWaits(page);
    await server.kill();
    await many(page, 20, 4);
    assert.equal((await waiting(page)).length, 20);
    await server.start();
    assert.deepEqual(numbers(await server.eventsUntil("tick", { site: SITE, count: 23 })), upTo(23));
    await nothingWaits(page);
    const stats = await server.data(`/stats?site=${SITE}`);
    assert.deepEqual([stats.total_events, stats.page_views, stats.unique_visitors], [24, 1, 1]);
  }),
);

test(
  "what waits outlives the page, and only what waits is stored",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/Failed to load resource/);
    const page = await visitor.open(`${site.origin}/`);
    await server.eventsUntil("page_view", { site: SITE });
    await nothingWaits(page);
    await server.kill();
    await many(page, 5);
    for (const [key, event] of await waiting(page)) {
      assert.equal(key, `${server.origin}${COLLECT}${event.event_id}`);
      assert.deepEqual(Object.keys(event).sort(), ["event_data", "event_id", "event_type", "page_url", "site", "time"]);
    }
    // The script is in the browser's cache.
    await page.reload();
    const types = (await waiting(page)).map(([, event]) => event.event_type).sort();
    assert.deepEqual(types, ["page_view", "scroll", ...Array(5).fill("tick")]);
    await page.close();
    await server.start();
    const next = await visitor.open(`${site.origin}/about`);
    const events = await server.eventsUntil("page_view", { site: SITE, count: 3 });
    assert.deepEqual(numbers(events), upTo(5));
    assert.deepEqual(
      events.map((event) => event.event_type),
      ["page_view", ...Array(5).fill("tick"), "scroll", "page_view", "scroll", "page_view"],
    );
    await nothingWaits(next);
    assert.deepEqual(await visitor.context.cookies(), []);
  }),
);

test(
  "a browser that is offline sends when it is online again",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/Failed to load resource/);
    const page = await visitor.open(`${site.origin}/`);
    await server.eventsUntil("page_view", { site: SITE });
    // With all clocks of the page at rest only the browser's word can be the reason.
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 60_000);
    await visitor.context.setOffline(true);
    await many(page, 5);
    assert.equal((await waiting(page)).length, 5);
    await visitor.context.setOffline(false);
    assert.deepEqual(numbers(await server.eventsUntil("tick", { site: SITE, count: 5 })), upTo(5));
  }),
);

test(
  "an answer that is lost on its way counts nothing twice",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/Failed to load resource/);
    const page = await visitor.open(`${site.origin}/`);
    await server.eventsUntil("page_view", { site: SITE });
    let lost = 0;
    await page.route(
      `**${COLLECT}`,
      async (route) => {
        await route.fetch();
        lost++;
        await route.abort();
      },
      { times: 2 },
    );
    await many(page, 5);
    assert.deepEqual(numbers(await server.eventsUntil("tick", { site: SITE, count: 5 })), upTo(5));
    await nothingWaits(page);
    assert.equal(lost, 2);
    assert.equal((await server.data(`/stats?site=${SITE}`)).total_events, 6);
    assert.ok((await server.metric("maicivy_ingest_outcomes_total", { outcome: "duplicate" })) > 0);
  }),
);

test(
  "late events keep their own time",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/Failed to load resource/);
    const page = await visitor.open(`${site.origin}/`);
    await server.eventsUntil("page_view", { site: SITE });
    await server.kill();
    const happened = Date.now();
    await many(page, 1);
    await page.close();
    await server.start();
    const next = await visitor.context.newPage();
    // Some minutes later, as seen by the page: its clock tells how late the event is.
    await next.clock.install({ time: Date.now() + 240_000 });
    await next.goto(`${site.origin}/`);
    const events = await server.eventsUntil("tick", { site: SITE });
    const [tick] = events.filter((event) => event.event_type === "tick");
    const early = happened - Date.parse(tick?.created_at ?? "");
    assert.ok(early > 200_000 && early <= 240_000, `${early} ms before it happened, which is what the page believes`);
    const view = events.filter((event) => event.event_type === "page_view").at(-1);
    assert.ok(Math.abs(Date.parse(view?.created_at ?? "") - Date.now()) < 60_000, "a wrong clock is not believed");
    await nothingWaits(next);
  }),
);

const YEAR = 366 * 86_400_000;

for (const [what, offset, set] of /** @type {const} */ ([
  ["a year ahead", YEAR, 0],
  ["years behind", -20 * YEAR, 0],
  ["set a year ahead meanwhile", 0, YEAR],
  ["set back by a year meanwhile", 0, -YEAR],
  ["corrected by a year meanwhile", -YEAR, YEAR],
])) {
  test(
    `a visitor's clock ${what}, and no network: the event is stored, in its own time`,
    world.test(async ({ server, site, visitor }) => {
      visitor.allow(/Failed to load resource/);
      await visitor.context.addInitScript((offset) => {
        const { now } = Date;
        const state = { offset };
        Object.assign(window, { setClock: (/** @type {number} */ by) => (state.offset += by) });
        const Real = Date;
        // The clock of the machine; `performance.now` goes on evenly whatever it is set to.
        window.Date = /** @type {any} */ (
          class extends Real {
            /** @param {...any} values */
            constructor(...values) {
              super(.../** @type {[any]} */ (values.length ? values : [now() + state.offset]));
            }
            static now() {
              return now() + state.offset;
            }
          }
        );
        Object.defineProperty(performance, "timeOrigin", { value: performance.timeOrigin + offset });
      }, offset);
      const page = await visitor.open(`${site.origin}/`);
      await server.eventsUntil("page_view", { site: SITE });
      await server.kill();
      const happened = Date.now();
      await many(page, 2);
      await page.evaluate((by) => /** @type {any} */ (window).setClock(by), set);
      await server.start();
      const events = await server.eventsUntil("tick", { site: SITE, count: 2 });
      for (const { event_type, created_at } of events) {
        const off = Date.parse(created_at) - happened;
        if (event_type === "tick") assert.ok(Math.abs(off) < 5_000, `${off} ms off`);
      }
      await nothingWaits(page);
      assert.equal(await server.metric("maicivy_ingest_outcomes_total", { outcome: "rejected" }), 0);
    }),
  );
}

test(
  "a clock that was set between two pages deletes nothing",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${site.origin}/nothing`);
    visitor.allow(/404/);
    await page.evaluate((key) => {
      for (const [at, time] of [Date.now() + 1e10, Date.now() - 1e10, 0].entries()) {
        const event_id = `00000000-0000-7000-8000-00000000000${at}`;
        localStorage[key + event_id] = JSON.stringify({ event_id, time, event_type: "tick", site: "fixture" });
      }
      localStorage[`${key}broken`] = "{";
      localStorage[`${key}empty`] = "{}";
    }, server.origin + COLLECT);
    const next = await visitor.open(`${site.origin}/`);
    const ticks = (await server.eventsUntil("tick", { site: SITE, count: 3 })).filter(
      (event) => event.event_type === "tick",
    );
    const ages = ticks.map(({ created_at }) => Math.round((Date.now() - Date.parse(created_at)) / 3_600_000));
    assert.deepEqual(ages, [24, 24, 0], "hours");
    await nothingWaits(next);
  }),
);

test(
  "the queue is bounded: the oldest go",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/Failed to load resource/);
    const page = await visitor.open(`${site.origin}/`);
    await server.eventsUntil("page_view", { site: SITE });
    await nothingWaits(page);
    await server.kill();
    await many(page, 130);
    assert.deepEqual(
      (await waiting(page)).map(([, event]) => event.event_data.n).sort((a, b) => a - b),
      upTo(100, 31),
    );
    await server.start();
    assert.deepEqual(numbers(await server.eventsUntil("tick", { site: SITE, count: 100 })), upTo(100, 31));
  }),
);

test(
  "large events, also more of them than a request may have that outlives its page",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/Failed to load resource/);
    const page = await visitor.open(`${site.origin}/`);
    await server.eventsUntil("page_view", { site: SITE });
    await server.kill();
    await page.evaluate(() => {
      for (let n = 1; n <= 20; n++) {
        /** @type {any} */ (window).maicivy.track("tick", { n, text: "é".repeat(3_500) });
        /** @type {any} */ (window).maicivy.track("too_large", { n, text: "x".repeat(10_000) });
      }
    });
    await server.start();
    assert.deepEqual(numbers(await server.eventsUntil("tick", { site: SITE, count: 20 })), upTo(20));
    assert.equal((await server.events(SITE)).filter((event) => event.event_type === "too_large").length, 0);
    await nothingWaits(page);
  }),
);

test(
  "two tabs and one queue",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/Failed to load resource/);
    const [one, two] = [await visitor.open(`${site.origin}/`), await visitor.open(`${site.origin}/about`)];
    await server.eventsUntil("page_view", { site: SITE, count: 2 });
    for (const page of [one, two]) await nothingWaits(page);
    await server.kill();
    await Promise.all([many(one, 20), many(two, 20, 21)]);
    // Tabs may be processes of their own, and hear of each other's items a moment later.
    for (const page of [one, two]) {
      await until("both tabs know what waits", async () => (await waiting(page)).length === 40);
    }
    await one.close();
    await server.start();
    // The tab that is left sends for both.
    const events = await server.eventsUntil("tick", { site: SITE, count: 40 });
    assert.deepEqual(
      numbers(events).sort((a, b) => a - b),
      upTo(40),
    );
    await nothingWaits(two);
    assert.equal(new Set(events.map((event) => event.id)).size, events.length);
  }),
);

test(
  "more than the rate limit takes: all of it, later",
  world.test(
    async ({ server, site, visitor }) => {
      visitor.allow(/429/);
      let refused = 0;
      visitor.context.on("response", (response) => (refused += Number(response.status() === 429)));
      const page = await visitor.open(`${site.origin}/`);
      await server.eventsUntil("page_view", { site: SITE });
      await many(page, 90);
      await server.eventsUntil("tick", { site: SITE, count: 90 });
      await many(page, 45, 91);
      const events = await server.eventsUntil("tick", { site: SITE, count: 135 });
      assert.deepEqual(
        numbers(events).sort((a, b) => a - b),
        upTo(135),
      );
      assert.ok(refused >= 1 && refused <= 3, `${refused} times refused`);
    },
    { env: { ANALYTICS_RATE_LIMIT: "120" } },
  ),
);
