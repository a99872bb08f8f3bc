// Pictures of the dashboard, to be looked at, and for the documentation.

import { mkdir } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { AWAY, figure, untilConnection, untilFigure } from "./harness/dashboard.mjs";
import { Visitor, setUp, until } from "./harness/index.mjs";
import { lively } from "./harness/lively.mjs";

/** @typedef {import("playwright-core").Page} Page */

const world = setUp();
const ARTEFACTS = fileURLToPath(new URL("artefacts/", import.meta.url));
const DESKTOP = { width: 1280, height: 960 };
const PHONE = { width: 375, height: 812 };

/** @param {Page} page @param {string} name */
async function picture(page, name, fullPage = false) {
  await mkdir(ARTEFACTS, { recursive: true });
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: `${ARTEFACTS}${name}.png`, fullPage, animations: "disabled" });
}

/** @type {[string, import("playwright-core").BrowserContextOptions, boolean][]} */
const PICTURES = [
  ["light", { viewport: DESKTOP }, false],
  ["dark", { viewport: DESKTOP, colorScheme: "dark" }, false],
  ["light-full", { viewport: DESKTOP }, true],
  ["dark-full", { viewport: DESKTOP, colorScheme: "dark" }, true],
  ["wide", { viewport: { width: 2000, height: 1150 } }, false],
  ["phone", { viewport: PHONE, deviceScaleFactor: 2 }, false],
  ["phone-dark", { viewport: PHONE, deviceScaleFactor: 2, colorScheme: "dark" }, false],
  ["french", { viewport: DESKTOP, locale: "fr-FR" }, false],
];

test(
  "a lively site",
  world.test(async ({ server, browser }) => {
    await lively(server);
    const stats = await server.data("/stats?period=week");
    for (const [name, options, fullPage] of PICTURES) {
      const visitor = await Visitor.visit(browser, { locale: "en-GB", timezoneId: "Europe/Paris", ...options });
      const page = await visitor.open(`${server.origin}/?period=week`);
      await page.locator(".bars canvas").waitFor();
      await untilConnection(page, "live");
      await untilFigure(page, "visitors", stats.unique_visitors);
      await until("the map", async () => (await page.locator(".most-count").count()) > 0);
      await picture(page, name, fullPage);
      await visitor.end();
    }
  }),
);

test(
  "a site whose server goes away",
  world.test(
    async ({ server, visitor }) => {
      visitor.allow(AWAY);
      await lively(server);
      const page = await visitor.open(`${server.origin}/`);
      await page.locator(".bars canvas").waitFor();
      await untilConnection(page, "live");
      const shown = await figure(page, "visitors");
      await server.stop();
      await page.locator(".banner").waitFor();
      await untilFigure(page, "visitors", shown);
      await picture(page, "disconnected");
    },
    { visitor: { viewport: DESKTOP } },
  ),
);

test(
  "an empty site, light and dark",
  world.test(async ({ server, visitor }) => {
    for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
      const page = await visitor.open();
      await page.emulateMedia({ colorScheme });
      await page.goto(`${server.origin}/`);
      await page.locator(".welcome").waitFor();
      await untilConnection(page, "live");
      await picture(page, `empty-${colorScheme}`);
    }
  }),
);

test(
  "a server that lacks a part",
  world.test(async ({ server, visitor }) => {
    await lively(server);
    const page = await visitor.open();
    await page.route("**/api/v1/analytics/stats?**", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), meta: { degraded: true } } });
    });
    await page.goto(`${server.origin}/`);
    await page.locator('.banner[data-kind="degraded"]').waitFor();
    await page.locator(".bars canvas").waitFor();
    await picture(page, "degraded");
  }),
);
