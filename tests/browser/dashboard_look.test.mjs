// How the dashboard looks, and to whom: all sizes, keyboards, screen readers; and its weight.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";

import { ids, something, untilConnection, untilFigure, untilListed } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

/** @typedef {import("playwright-core").Page} Page */

const world = setUp();
/** What all that the page loads may weigh, in bytes on the wire. */
const BUDGET = 120 * 1024;
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails on whatever axe finds. @param {Page} page @param {string} what */
async function accessible(page, what) {
  // Colours on their way from one to another are neither.
  await until("nothing moves", () =>
    page.evaluate(() => document.getAnimations().every((animation) => animation.effect?.getTiming().iterations === Number.POSITIVE_INFINITY)),
  );
  const found = await page.evaluate(async () => {
    // @ts-expect-error axe is put into the page by the test
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.map((/** @type {any} */ { id, nodes }) => `${id}: ${nodes.map((/** @type {any} */ node) => node.html).join(" ")}`);
  });
  assert.deepEqual(found, [], what);
}

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(
    `everybody can use it, ${colorScheme}`,
    world.test(
      async ({ server, visitor }) => {
        const page = await visitor.open();
        await page.addInitScript(AXE);
        await page.goto(`${server.origin}/`);
        await page.locator(".welcome").waitFor();
        await untilConnection(page, "live");
        await accessible(page, "empty");
        await server.store(...something());
        await page.locator(".bars canvas").waitFor();
        await untilListed(page, await ids(server));
        await accessible(page, "full");
        for (const toggle of await page.locator("button.quiet").all()) await toggle.click();
        await page.locator("[data-event] summary").first().click();
        await page.locator(".menu summary").click();
        await accessible(page, "tables, details and menu");
        await page.keyboard.press("Escape");
        await page.setViewportSize({ width: 375, height: 812 });
        await accessible(page, "phone");
      },
      { visitor: { colorScheme, reducedMotion: "reduce" } },
    ),
  );
}

test(
  "the keyboard is enough",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    await page.locator(".bars canvas").waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "main");

    await page.locator("input[name=period]:checked").focus();
    await page.keyboard.press("ArrowRight");
    await page.locator('.period[data-chosen=true] button[aria-pressed=true]', { hasText: "This week" }).waitFor();
    await page.locator(".period button", { hasText: "This month" }).focus();
    await page.keyboard.press("Enter");
    assert.match(page.url(), /period=month/);

    await page.locator(".bars").focus();
    await page.keyboard.press("ArrowLeft");
    const stats = await server.data("/stats");
    assert.equal(await page.locator(".bars .tip [data-picked=true] dd").textContent(), String(stats.unique_visitors));
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".bars .tip").count(), 0);

    await page.locator(".most button").first().focus();
    const tip = page.locator(".sheet .tip");
    assert.match((await tip.textContent()) ?? "", /#letter.*2 clicks/);

    await page.locator(".menu summary").focus();
    await page.keyboard.press("Enter");
    await page.locator(".menu-panel").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".menu-panel").isVisible(), false);
  }),
);

test(
  "only the count of visitors is read out, and not at every change",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    const spoken = page.locator("[aria-live]");
    await until("it is said", async () => (await spoken.textContent()) === "3 visitors now");
    assert.equal(await spoken.count(), 1);
  }),
);

test(
  "where the pointer is, the heatmap says what was clicked how often",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    const sheet = page.locator(".sheet");
    await until("a page is chosen", async () => (await page.locator(".choosers select").first().inputValue()) === "/cv");
    const box = await sheet.boundingBox();
    assert.ok(box);
    await sheet.hover({ position: { x: box.width * 0.06, y: box.height * 0.05 } });
    assert.match((await page.locator(".sheet .tip").textContent()) ?? "", /#menu.*1 click.*\/cv.*6% × 5%/);
    await sheet.hover({ position: { x: box.width * 0.9, y: box.height * 0.9 } });
    assert.equal(await page.locator(".sheet .tip").count(), 0);
  }),
);

test(
  "it fits on any screen",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    await page.locator(".bars canvas").waitFor();
    for (const width of [320, 375, 560, 768, 1040, 1280, 1500, 2000]) {
      await page.setViewportSize({ width, height: 900 });
      for (const language of ["en", "fr"]) {
        await page.locator(`input[name=language][value=${language}]`).check();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} at ${width}, ${language}`);
      }
    }
  }),
);

test(
  "it is light and quick, and what is kept is not sent again",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open();
    /** @type {import("playwright-core").Response[]} */
    let answers = [];
    page.on("response", (response) => answers.push(response));
    await page.addInitScript(() => {
      const seen = new MutationObserver(() => {
        if (!document.querySelector("[data-figure=now]")) return;
        performance.mark("first-number");
        seen.disconnect();
      });
      seen.observe(document, { childList: true, subtree: true });
    });
    await page.goto(`${server.origin}/`);
    await page.locator("[data-figure=now]").waitFor();
    const first = await page.evaluate(() => Math.round(performance.getEntriesByName("first-number")[0]?.startTime ?? Number.NaN));
    await untilConnection(page, "live");
    await page.evaluate(() => document.fonts.ready);

    const own = answers.filter((answer) => !answer.url().includes("/api/"));
    let weight = 0;
    for (const answer of own) {
      const { responseBodySize } = await answer.request().sizes();
      weight += responseBodySize;
      const path = new URL(answer.url()).pathname;
      const headers = await answer.allHeaders();
      assert.match(headers["cache-control"] ?? "", path === "/" ? /^no-cache$/ : /immutable/, path);
      if (!/woff2$/.test(path)) assert.ok(["br", "gzip"].includes(headers["content-encoding"] ?? ""), path);
    }
    assert.ok(own.length >= 4 && weight > 10_000, `${own.length} files, ${weight} bytes`);
    assert.ok(weight <= BUDGET, `${weight} bytes`);
    console.log(`# first numbers after ${first} ms, ${own.length} files of ${weight} bytes`);

    answers = [];
    await page.reload();
    await page.locator("[data-figure=now]").waitFor();
    const again = answers.filter((answer) => !answer.url().includes("/api/") && !answer.fromServiceWorker());
    const sent = await Promise.all(again.map(async (answer) => (await answer.request().sizes()).responseBodySize));
    assert.ok(sent.reduce((sum, size) => sum + size, 0) < 2_000, `sent again: ${again.map((answer) => answer.url())}`);
  }),
);
