// Whose visits are not counted: the owner's, a developer's, and those of visitors who ask for it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { COLLECT, setUp, until } from "./harness/index.mjs";

const SITE = "fixture";

const world = setUp();

/** @param {import("./harness/index.mjs").Visitor} visitor */
const watch = (visitor) => {
  const seen = { requests: /** @type {string[]} */ ([]), said: /** @type {string[]} */ ([]) };
  visitor.context.on("request", (request) => {
    if (request.url().includes(COLLECT)) seen.requests.push(request.url());
  });
  visitor.context.on("console", (message) => {
    if (message.text().startsWith("maicivy: ")) seen.said.push(message.text());
  });
  return seen;
};

for (const fragment of ["#maicivy-off", "#/maicivy-off"]) {
  test(
    `${fragment}: this browser is not counted on this site, until #maicivy-on`,
    world.test(async ({ server, site, visitor }) => {
      const seen = watch(visitor);
      const page = await visitor.open(`${site.origin}/${fragment}`);
      await page.click("#cta");
      await until("it is said", () => seen.said.length === 1);
      assert.match(String(seen.said[0]), /maicivy-on/);
      await page.goto(`${site.origin}/about`);
      await page.evaluate(() => /** @type {any} */ (window).maicivy.track("called"));
      assert.equal(await page.evaluate(() => localStorage.length), 1);
      await page.goto(`${site.origin}/#maicivy-on`);
      await server.eventsUntil("page_view", { site: SITE });
      assert.deepEqual(
        (await server.events(SITE)).map(({ event_type, page_url }) => `${event_type} ${page_url}`),
        ["page_view /"],
      );
      await until("nothing is kept", () => page.evaluate(() => localStorage.length === 0));
    }),
  );
}

test(
  "#maicivy-off on a page that is open",
  world.test(async ({ server, site, visitor }) => {
    const seen = watch(visitor);
    const page = await visitor.open(`${site.origin}/`);
    await server.eventsUntil("page_view", { site: SITE });
    await page.evaluate(() => (location.hash = "maicivy-off"));
    await until("it is said", () => seen.said.length === 1);
    const { length } = seen.requests;
    await page.click("#cta");
    await page.goto(`${site.origin}/about`);
    await page.evaluate(() => 1);
    assert.equal(seen.requests.length, length);
  }),
);

/** A page of localhost whose script and server are elsewhere. @param {import("./harness/index.mjs").Scene} scene @param {string} tag */
async function development({ server, site, visitor }, tag) {
  const seen = watch(visitor);
  site.pages.set("/", { text: `<!doctype html><link rel="icon" href="data:,"><title>Page</title>${tag}` });
  await visitor.context.route("https://stats.example/**", async (route) => {
    const { pathname } = new URL(route.request().url());
    await route.fulfill({ response: await route.fetch({ url: server.origin + pathname }) });
  });
  // They stray no further than to the route above.
  Object.defineProperty(visitor.strayed, "push", { value: () => 0 });
  const page = await visitor.open(site.origin);
  await page.evaluate(() => /** @type {any} */ (window).maicivy.track("called"));
  return { seen, page };
}

test(
  "a page on localhost is not counted by a server elsewhere",
  world.test(async (scene) => {
    const { seen } = await development(scene, `<script defer src="https://stats.example/mcv.js?site=fixture"></script>`);
    await until("it is said", () => seen.said.length === 1);
    assert.match(String(seen.said[0]), /no data-local/);
    assert.deepEqual(seen.requests, []);
  }),
);

test(
  "a page on localhost is counted when the tag says so",
  world.test(async (scene) => {
    await development(scene, `<script defer src="https://stats.example/mcv.js?site=fixture" data-local></script>`);
    await scene.server.eventsUntil("page_view", { site: SITE });
    // A later request finds no route and no such host.
    scene.visitor.allow(/stats\.example/);
    await scene.visitor.context.unrouteAll({ behavior: "ignoreErrors" });
  }),
);

for (const asked of /** @type {const} */ (["gpc", "dnt"])) {
  test(
    `a server that does not honour ${asked}: the tracker does not either`,
    world.test(
      async ({ server, site, visitor }) => {
        await visitor.open(`${site.origin}/`);
        await server.eventsUntil("page_view", { site: SITE });
      },
      { env: { ANALYTICS_HONOR_OPT_OUT: "false" }, visitor: { [asked]: true } },
    ),
  );
}
