// The ways in which the script gets into a page, and what it says when that cannot work.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AnalyticsServer, setUp } from "./harness/index.mjs";

const world = setUp();

const HEAD = `<!doctype html><link rel="icon" href="data:,"><title>Tag</title><button id="cta">Call</button>`;

/** What the console says on a page. @param {import("playwright-core").Page} page */
const warnings = (page) => {
  const said = /** @type {string[]} */ ([]);
  page.on("console", (message) => {
    if (message.type() === "warning") said.push(message.text());
  });
  return said;
};

/** How sites and their tools insert it. @type {Record<string, string>} */
const TAGS = {
  "a deferred script": `<script defer src="{{analytics}}/mcv.js" data-site="tagged"></script>`,
  "the name of the contract": `<script defer src="{{analytics}}/script.js" data-site="tagged"></script>`,
  "an async script": `<script async src="{{analytics}}/mcv.js" data-site="tagged"></script>`,
  "a script that blocks": `<script src="{{analytics}}/mcv.js" data-site="tagged"></script>`,
  "a module": `<script type="module" crossorigin src="{{analytics}}/mcv.js" data-site="tagged"></script>`,
  "a module without attributes": `<script type="module" crossorigin src="{{analytics}}/mcv.js?site=tagged"></script>`,
  "an imported module": `<script type="module">import("{{analytics}}/mcv.js?site=tagged")</script>`,
  "no attributes": `<script defer src="{{analytics}}/mcv.js?site=tagged"></script>`,
  "attributes above the query": `<script defer src="{{analytics}}/mcv.js?site=other" data-site="tagged"></script>`,
  "a tag manager": `<script>
    const tag = document.createElement("script");
    tag.src = "{{analytics}}/mcv.js?site=tagged";
    document.head.append(tag);
    tag.remove();
  </script>`,
  "a tag manager that sets attributes": `<script>
    const tag = document.createElement("script");
    tag.src = "{{analytics}}/mcv.js";
    tag.dataset.site = "tagged";
    document.head.append(tag);
  </script>`,
};

for (const [what, tag] of Object.entries(TAGS)) {
  test(
    `${what}: the page is counted`,
    world.test(async ({ server, site, visitor }) => {
      site.pages.set("/", { text: HEAD + tag });
      const page = await visitor.context.newPage();
      const said = warnings(page);
      await page.goto(site.origin);
      await server.eventsUntil("page_view", { site: "tagged" });
      await page.click("#cta");
      const events = await server.eventsUntil("button_click", { site: "tagged" });
      assert.deepEqual(
        events.map((event) => event.event_type),
        ["page_view", "button_click"],
      );
      assert.deepEqual(said, []);
    }),
  );
}

test(
  "options in the query: manual, hash",
  world.test(async ({ server, site, visitor }) => {
    site.pages.set("/", { text: `${HEAD}<script defer src="{{analytics}}/mcv.js?site=tagged&manual=true&hash=1"></script>` });
    const page = await visitor.open(`${site.origin}/?site=elsewhere#/route`);
    await page.click("#cta");
    await page.evaluate(() => /** @type {any} */ (window).maicivy.track("end"));
    const events = await server.eventsUntil("end", { site: "tagged" });
    assert.deepEqual(
      events.map(({ event_type, page_url }) => [event_type, page_url]),
      [["end", "/route"]],
    );
  }),
);

/** What cannot work, and what is said of it. @type {Record<string, {tag: string, run?: string, says: RegExp}>} */
const MISTAKES = {
  "no site": { tag: `<script defer src="{{analytics}}/mcv.js"></script>`, says: /site/ },
  "an empty site": { tag: `<script defer src="{{analytics}}/mcv.js" data-site=""></script>`, says: /site/ },
  "a site that is an address": {
    tag: `<script defer src="{{analytics}}/mcv.js" data-site="https://cv.example/"></script>`,
    says: /https:\/\/cv\.example\//,
  },
  "a site in capitals": { tag: `<script defer src="{{analytics}}/mcv.js?site=CV"></script>`, says: /CV/ },
  "a second tag": {
    tag: `<script defer src="{{analytics}}/mcv.js" data-site="a"></script>`.repeat(3),
    says: /second tag/,
  },
  "no site, twice": { tag: `<script defer src="{{analytics}}/mcv.js"></script>`.repeat(2), says: /site/ },
  "names that no event may have": {
    tag: `<script defer src="{{analytics}}/mcv.js" data-site="a"></script>`,
    run: `maicivy.track("Sign up"); maicivy.track("Sign up"); maicivy.track()`,
    says: /Sign up/,
  },
};

for (const [what, { tag, run = "1", says }] of Object.entries(MISTAKES)) {
  test(
    `${what}: said once`,
    world.test(async ({ site, visitor }) => {
      site.pages.set("/", { text: HEAD + tag });
      const page = await visitor.context.newPage();
      const said = warnings(page);
      await page.goto(site.origin, { waitUntil: "load" });
      await page.evaluate(run);
      await page.click("#cta");
      await page.evaluate(() => 1);
      assert.equal(said.length, 1, said.join("\n"));
      assert.match(String(said[0]), /^maicivy: /);
      assert.match(String(said[0]), says);
    }),
  );
}

test(
  "behind a prefix, under names of the site's own",
  world.test(
    async ({ server, site, visitor }) => {
      // As a reverse proxy passes `/x/` on.
      await visitor.context.route("**/x/**", async (route) => {
        const { pathname } = new URL(route.request().url());
        const passed = await route.fetch({ url: server.origin + pathname.slice(2) });
        await route.fulfill({ response: passed });
      });
      site.pages.set("/", { text: `${HEAD}<script defer src="/x/hello.js" data-site="tagged"></script>` });
      const page = await visitor.open(`${site.origin}/`);
      await server.eventsUntil("page_view", { site: "tagged" });
      await page.click("#cta");
      await server.eventsUntil("button_click", { site: "tagged" });
    },
    { env: { ANALYTICS_COLLECT_PATH: "/notes", ANALYTICS_SCRIPT_NAME: "hello.js" } },
  ),
);

for (const env of /** @type {Record<string, string>[]} */ ([{}, { ANALYTICS_ALLOWED_ORIGINS: "any" }])) {
  test(
    `tools that add headers to every request, ${env.ANALYTICS_ALLOWED_ORIGINS ? "with" : "without"} credentials`,
    world.test(async ({ server: open, site, visitor }) => {
      let server = open;
      if (env.ANALYTICS_ALLOWED_ORIGINS) {
        server = await AnalyticsServer.start({ ANALYTICS_ALLOWED_ORIGINS: site.origin });
      }
      try {
        const added = { "sentry-trace": "1-2-1", baggage: "a=b", traceparent: "00-0-0-01", "x-datadog-origin": "rum" };
        await visitor.context.addInitScript(
          ([headers, credentials]) => {
            const { fetch } = window;
            window.fetch = (input, init) => fetch(input, { ...init, credentials, headers });
          },
          /** @type {const} */ ([added, server === open ? "same-origin" : "include"]),
        );
        site.pages.set("/", { text: `${HEAD}<script defer src="${server.origin}/mcv.js" data-site="tagged"></script>` });
        const page = await visitor.open(site.origin);
        await server.eventsUntil("page_view", { site: "tagged" });
        await page.click("#cta");
        await server.eventsUntil("button_click", { site: "tagged" });
        assert.equal(await server.metric("maicivy_ingest_outcomes_total", { outcome: "duplicate" }), 0);
      } finally {
        if (server !== open) await server.remove();
      }
    }),
  );
}

test(
  "a page that embeds only what allows it (COEP)",
  world.test(async ({ server, site, visitor }) => {
    site.pages.set("/", {
      text: `${HEAD}<script defer src="{{analytics}}/mcv.js" data-site="tagged"></script>`,
      headers: { "cross-origin-embedder-policy": "require-corp", "cross-origin-opener-policy": "same-origin" },
    });
    const page = await visitor.open(site.origin);
    assert.ok(await page.evaluate(() => crossOriginIsolated));
    await server.eventsUntil("page_view", { site: "tagged" });
  }),
);
