// What the tracker does not do.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { COLLECT, setUp, until } from "./harness/index.mjs";

const SITE = "fixture";

const world = setUp();

for (const asked of /** @type {const} */ (["gpc", "dnt"])) {
  test(
    `who asks not to be tracked (${asked}) is not: nothing is sent, nothing stored`,
    world.test(
      async ({ server, site, visitor }) => {
        const sent = /** @type {string[]} */ ([]);
        visitor.context.on("request", (request) => {
          if (request.url().includes(COLLECT)) sent.push(request.url());
        });
        const page = await visitor.open(`${site.origin}/clicks`);
        await page.evaluate((key) => {
          // Left from before the visitor asked.
          localStorage[key] = "{}";
          const { maicivy } = /** @type {any} */ (window);
          maicivy.track("called", {});
          maicivy.theme("backend");
          maicivy.letter("motivation");
          history.pushState({}, "", "/elsewhere");
        }, `${server.origin}${COLLECT}0`);
        await page.click("#cta");
        await page.evaluate(() => scrollTo(0, 1000));
        assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
        await page.goto(`${site.origin}/about`);
        await page.goto(`${site.origin}/nothing-more`).catch(() => {});
        assert.deepEqual(sent, []);
        assert.deepEqual(await server.events(SITE), []);
        assert.equal(await server.metric("maicivy_ingest_outcomes_total"), 0, "not even as filtered");
        visitor.allow(/404/);
      },
      { visitor: { [asked]: true } },
    ),
  );
}

test(
  "no cookie, no identifier, nothing stored once all is delivered",
  world.test(async ({ server, site, visitor }) => {
    const bodies = /** @type {any[]} */ ([]);
    visitor.context.on("request", (request) => {
      if (request.url().includes(COLLECT)) bodies.push({ headers: request.headers(), events: request.postDataJSON() });
    });
    const page = await visitor.open(`${site.origin}/clicks`);
    await page.click("#cta");
    await server.eventsUntil("button_click", { site: SITE });
    await until("nothing waits", () => page.evaluate(() => localStorage.length === 0));
    assert.deepEqual(
      await page.evaluate(async () => [sessionStorage.length, document.cookie, (await indexedDB.databases()).length]),
      [0, "", 0],
    );
    assert.deepEqual(await visitor.context.cookies(), []);
    assert.ok(bodies.length > 0);
    for (const { headers, events } of bodies) {
      assert.equal(headers.cookie, undefined);
      assert.match(headers["content-type"], /^text\/plain/);
      for (const event of events) {
        const fields = ["event_id", "age_ms", "context", "event_type", "event_data", "page_url", "referrer", "site"];
        assert.deepEqual(
          Object.keys(event).filter((field) => !fields.includes(field)),
          [],
        );
        assert.equal(event.age_ms, null, "the server's clock counts");
        assert.deepEqual(Object.keys(event.context), ["timezone", "screen_width"]);
      }
    }
  }),
);

test(
  "a page on a disk: whose disk is not told",
  world.test(async ({ server, visitor }) => {
    const folder = await mkdtemp(join(tmpdir(), "joe-smith-"));
    try {
      const file = join(folder, "page.html");
      const tag = `<script defer src="${server.origin}/mcv.js" data-site="${SITE}"></script>`;
      await writeFile(file, `<!doctype html><title>Page</title><button id="cta">Call</button>${tag}`);
      const page = await visitor.open(pathToFileURL(file).href);
      await page.click("#cta");
      await page.goto("about:blank");
      const events = await server.eventsUntil("scroll", { site: SITE });
      assert.deepEqual(
        events.map(({ event_type, page_url }) => `${event_type} ${page_url}`),
        ["page_view /page.html", "button_click /page.html", "scroll /page.html"],
      );
      assert.doesNotMatch(JSON.stringify(events), /joe|smith/);
    } finally {
      await rm(folder, { recursive: true });
    }
  }),
);

test(
  "a strict Content-Security-Policy needs two entries",
  world.test(async ({ server, site, visitor }) => {
    site.pages.set("/strict", {
      text: `<!doctype html><title>Strict</title><link rel="icon" href="data:,">
             <script defer src="{{analytics}}/mcv.js" data-site="${SITE}"></script><button id="cta">Call</button>`,
      headers: {
        "content-security-policy":
          `default-src 'none'; img-src data:; script-src ${server.origin}; connect-src ${server.origin}; ` +
          "require-trusted-types-for 'script'; base-uri 'none'; form-action 'none'",
      },
    });
    const page = await visitor.open(`${site.origin}/strict`);
    await page.click("#cta");
    await page.goto(`${site.origin}/`);
    const events = await server.eventsUntil("scroll", { site: SITE });
    const types = events.filter((event) => event.page_url === "/strict").map((event) => event.event_type);
    assert.deepEqual(types.sort(), ["button_click", "page_view", "scroll"]);
  }),
);

test(
  "origins that the server lists, and those that it does not",
  world.test(
    async ({ server, site, visitor }) => {
      visitor.allow(/CORS|ERR_FAILED/);
      const page = await visitor.open(`${site.origin}/`);
      // The event is filtered, but the page may not read that it was: so it is sent again.
      await until(
        "sent again",
        async () => (await server.metric("maicivy_ingest_outcomes_total", { reason: "origin" })) > 1,
      );
      assert.deepEqual(await server.events(SITE), []);
      assert.equal(await page.evaluate(() => localStorage.length), 1);
    },
    { env: { ANALYTICS_ALLOWED_ORIGINS: "https://cv.example" } },
  ),
);
