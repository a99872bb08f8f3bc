// How the dashboard looks, and to whom: all sizes, keyboards, screen readers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { accessible } from "./harness/axe.mjs";
import { ids, something, untilConnection, untilFigure, untilListed } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

/** @typedef {import("playwright-core").Page} Page */

const world = setUp();

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(
    `it is accessible, ${colorScheme}`,
    world.test(
      async ({ server, visitor }) => {
        const page = await visitor.open();
        await page.goto(`${server.origin}/`);
        await page.locator(".welcome").waitFor();
        await untilConnection(page, "live");
        await page.locator(".more-setup summary").click();
        await accessible(page, "empty");
        await server.store(...something());
        await page.locator(".chart-plot svg").waitFor();
        await untilListed(page, await ids(server));
        await accessible(page, "full");
        await page.locator(".chart-form").click();
        await page.locator("[data-event] summary").first().click();
        for (const name of ["range", "filter", "site"]) {
          await page.locator(`.menu.${name} summary`).click();
          await accessible(page, `menu ${name}`);
          await page.keyboard.press("Escape");
        }
        await page.locator(".pages .more").click();
        await page.locator("dialog tbody tr").first().waitFor();
        await accessible(page, "details");
        await page.keyboard.press("Escape");
        // Return is offered once it is known that visitors have ids.
        await page.locator(".events .tabs select").focus();
        for (const tab of ["funnel", "property", "retention"]) {
          await page.locator(".events .tabs select").selectOption(tab);
          await accessible(page, tab);
        }
        await page.goto(`${server.origin}/?f=is,event:page,/cv&f=contains,visit:source,d`);
        await page.locator(".sheet").waitFor();
        await page.locator(".outline-form > button").click();
        await page.locator(".outline-form input").waitFor();
        await accessible(page, "a page");
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
    await page.locator(".chart-plot svg").waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement?.id), "main");

    await page.locator(".chart-plot").focus();
    await page.keyboard.press("ArrowLeft");
    const [row] = (await server.query({ metrics: ["visitors"], date_range: "day" })).results;
    assert.equal(await page.locator('.chart-plot .tip [data-is="now"] dd').textContent(), String(row.metrics[0]));
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".chart-plot .tip").count(), 0);

    await page.locator(".menu.range summary").focus();
    await page.keyboard.press("Enter");
    await page.locator(".menu.range .menu-panel").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".menu.range .menu-panel").isVisible(), false);
    assert.equal(await page.evaluate(() => document.activeElement?.tagName), "SUMMARY");

    await page.locator('.pages [data-name="/projects"] button').focus();
    await page.keyboard.press("Enter");
    await untilFigure(page, "visitors", 1);
    await page.keyboard.press("Escape");
    await untilFigure(page, "visitors", 3);
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
  "it fits on any screen, and a phone shows figures at once",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/?f=is,event:page,/cv`);
    await page.locator(".chart-plot svg").waitFor();
    for (const width of [320, 375, 560, 768, 1040, 1280, 1500, 2000]) {
      await page.setViewportSize({ width, height: 900 });
      for (let language = 0; language < 2; language += 1) {
        await page.locator(".language").click();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${wide} at ${width}`);
      }
    }
    // Lines stay short on a wide screen: the page is in its middle.
    await page.setViewportSize({ width: 1600, height: 900 });
    for (const part of ["main", ".foot"]) {
      const [left, right] = await page.locator(part).evaluate((element) => [element.getBoundingClientRect().left, document.documentElement.clientWidth - element.getBoundingClientRect().right]);
      assert.ok(left && right && left > 0 && Math.abs(left - right) <= 1, `${part}: ${left} and ${right}`);
    }
    await page.setViewportSize({ width: 375, height: 812 });
    await page.goto(`${server.origin}/`);
    await untilFigure(page, "visit_duration", 0);
    const box = await page.locator("[data-figure=visit_duration]").boundingBox();
    assert.ok(box && box.y + box.height < 812, `${box?.y}`);
    // Sizes follow the reader's own.
    const width = () => page.locator(".tile-name").first().evaluate((name) => Number.parseFloat(getComputedStyle(name).fontSize));
    const usual = await width();
    await page.evaluate(() => document.documentElement.style.setProperty("font-size", "32px"));
    assert.ok((await width()) > usual * 1.9);
  }),
);

for (const reducedMotion of /** @type {const} */ (["no-preference", "reduce"])) {
  test(
    `what arrives moves only for readers who do not mind: ${reducedMotion}`,
    world.test(
      async ({ server, visitor }) => {
        await server.store(...something());
        const page = await visitor.open();
        await page.addInitScript(() => {
          /** @type {string[]} */
          const moved = [];
          Object.assign(window, { moved });
          for (const type of ["animationstart", "transitionrun"]) addEventListener(type, ({ type }) => moved.push(type), true);
        });
        await page.goto(`${server.origin}/`);
        await untilConnection(page, "live");
        await untilListed(page, await ids(server));
        await server.store(...something());
        await untilListed(page, await ids(server));
        await page.locator(".menu.range summary").click();
        await page.locator(".menu.range .menu-panel").waitFor();
        // Two pictures later everything that is to move does.
        await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
        const moved = await page.evaluate(() => /** @type {any} */ (window).moved);
        if (reducedMotion === "reduce") assert.deepEqual(moved, []);
        else assert.ok(moved.includes("animationstart"), `${moved}`);
      },
      { visitor: { reducedMotion } },
    ),
  );
}
