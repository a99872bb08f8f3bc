// Pictures of the dashboard, to be looked at, and for the documentation.

import { test } from "node:test";

import { untilConnection, untilFigure } from "./harness/dashboard.mjs";
import { Visitor, setUp, until } from "./harness/index.mjs";
import { lively } from "./harness/lively.mjs";
import { picture } from "./harness/picture.mjs";

const world = setUp();
const DESKTOP = { width: 1280, height: 960 };
const PHONE = { width: 375, height: 812 };

/** With a second picture of the whole page, or without. @type {[string, import("playwright-core").BrowserContextOptions, boolean][]} */
const PICTURES = [
  ["light", { viewport: DESKTOP }, true],
  ["dark", { viewport: DESKTOP, colorScheme: "dark" }, true],
  ["wide", { viewport: { width: 2000, height: 1150 } }, false],
  ["phone", { viewport: PHONE, deviceScaleFactor: 2 }, false],
  ["phone-dark", { viewport: PHONE, deviceScaleFactor: 2, colorScheme: "dark" }, false],
  ["french", { viewport: DESKTOP, locale: "fr-FR" }, false],
];

test(
  "a lively site",
  world.test(async ({ server, browser }) => {
    await lively(server);
    const [row] = (await server.query({ metrics: ["visitors"], date_range: "28d" })).results;
    for (const [name, options, whole] of PICTURES) {
      const visitor = await Visitor.visit(browser, { locale: "en-GB", timezoneId: "Europe/Paris", ...options });
      const page = await visitor.open(`${server.origin}/?period=28d`);
      await page.locator(".line-before").waitFor({ state: "attached" });
      await untilConnection(page, "live");
      await untilFigure(page, "visitors", row.metrics[0]);
      await until("the cards", async () => (await page.locator(".ranking").count()) > 5);
      await picture(page, name);
      if (whole) await picture(page, `${name}-full`, true);
      await visitor.end();
    }
  }),
);
