// What the dashboard costs: its first load, and silence.

import assert from "node:assert/strict";
import { test } from "node:test";

import { event, something, untilConnection, untilFigure } from "./harness/dashboard.mjs";
import { setUp } from "./harness/index.mjs";

const world = setUp();
/** What a cold load may weigh, in bytes on the wire, answers included, and how many requests it may take. */
const MOST_BYTES = 110_000;
const MOST_REQUESTS = 12;
/** How much of a processor a page may take that shows nothing new. */
const MOST_IDLE = 0.01;

for (const locale of ["en-GB", "fr-FR"]) {
  test(
    `it is light and quick, and what is kept is not sent again: ${locale}`,
    world.test(async ({ server, visitor }) => {
      // More than the timeline lists, in the minutes of the strip.
      const some = something();
      const who = some[0]?.visitor_id;
      await server.store(...some, ...Array.from({ length: 80 }, (_, at) => event("hover", { who, ago: at * 1_000 })));
      const page = await visitor.open();
      /** @type {import("playwright-core").Response[]} */
      let answers = [];
      page.on("response", (response) => answers.push(response));
      await page.addInitScript(() => {
        const seen = new MutationObserver(() => {
          if (!document.querySelector("[data-figure=visitors]")) return;
          performance.mark("first-number");
          seen.disconnect();
        });
        seen.observe(document, { childList: true, subtree: true });
      });
      await page.goto(`${server.origin}/`);
      await untilFigure(page, "visitors", 3);
      const first = await page.evaluate(() => Math.round(performance.getEntriesByName("first-number")[0]?.startTime ?? Number.NaN));
      await untilConnection(page, "live");
      await page.locator(".line-before").waitFor({ state: "attached" });
      await page.locator('.cv [data-name]').first().waitFor();
      await page.evaluate(() => document.fonts.ready);

      let weight = 0;
      for (const answer of answers) {
        const { responseBodySize, responseHeadersSize } = await answer.request().sizes();
        weight += responseBodySize + responseHeadersSize;
        const path = new URL(answer.url()).pathname;
        if (path.startsWith("/api/")) continue;
        const headers = await answer.allHeaders();
        assert.match(headers["cache-control"] ?? "", path === "/" ? /^no-cache$/ : /immutable/, path);
        if (!/woff2$/.test(path)) assert.ok(["br", "gzip"].includes(headers["content-encoding"] ?? ""), path);
      }
      // The feed is one more.
      const requests = answers.length + 1;
      const words = answers.some((answer) => /\/fr-[^/]*\.js$/.test(answer.url()));
      assert.equal(words, locale === "fr-FR", "only French readers load French");
      console.log(`# ${locale}: first number after ${first} ms, ${requests} requests, ${weight} bytes`);
      assert.ok(answers.length >= 6 && weight > 10_000, `${answers.length} answers, ${weight} bytes`);
      assert.ok(weight <= MOST_BYTES, `${weight} bytes`);
      assert.ok(requests <= MOST_REQUESTS, `${requests} requests: ${answers.map((answer) => answer.url())}`);

      answers = [];
      await page.reload();
      await untilFigure(page, "visitors", 3);
      const again = answers.filter((answer) => !answer.url().includes("/api/") && !answer.fromServiceWorker());
      const sent = await Promise.all(again.map(async (answer) => (await answer.request().sizes()).responseBodySize));
      assert.ok(sent.reduce((sum, size) => sum + size, 0) < 2_000, `sent again: ${again.map((answer) => answer.url())}`);
    }, { visitor: { locale } }),
  );
}

test(
  "silence costs almost nothing",
  world.test(async ({ server, visitor }) => {
    await server.store(event("page_view", { ago: 600_000 }));
    const page = await visitor.open(`${server.origin}/`);
    await untilConnection(page, "live");
    await page.locator('.live[data-quiet="true"]').waitFor();
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Performance.enable");
    const busy = async () => {
      const { metrics } = await devtools.send("Performance.getMetrics");
      return metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN;
    };
    const [before, start] = [await busy(), performance.now()];
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    const share = (await busy() - before) / ((performance.now() - start) / 1_000);
    console.log(`# ${(share * 100).toFixed(2)}% of a processor while nothing happens`);
    assert.ok(share < MOST_IDLE, `${share}`);
  }),
);
