// The dashboard of a server that shows its figures to some only.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { accessible } from "./harness/axe.mjs";
import { event, something, untilConnection, untilFigure } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();
const ADMIN = "a-token-of-the-administrator";
const READER = "mcv_of_a_reader_of_one_site";
const TOKENS = [{ name: "reader", scopes: ["read"], sites: ["a.example"], hash: createHash("sha256").update(READER).digest("hex") }];
const env = { ANALYTICS_READ_AUTH: "token", ANALYTICS_ADMIN_TOKEN: ADMIN, ANALYTICS_TOKENS: JSON.stringify(TOKENS) };
/** What the browser says on the console of answers and connections that were refused. */
const REFUSED = /40[13]|WebSocket connection/;

test(
  "it asks for a token, reads and follows with it, and forgets it with the tab",
  world.test(
    async ({ server, visitor }) => {
      visitor.allow(REFUSED);
      await server.store(...something());
      const page = await visitor.open(`${server.origin}/`);
      await page.locator(".sign-in").waitFor();
      await accessible(page, "the form");
      const field = page.getByLabel("Token");
      await field.fill("not-the-token");
      await page.locator(".sign-in button").click();
      await page.locator(".sign-in [role=alert]", { hasText: "does not accept" }).waitFor();
      assert.equal(await page.locator("[data-figure]").count(), 0);
      await page.locator(".language").click();
      await page.locator(".sign-in [role=alert]", { hasText: "n’accepte pas ce jeton" }).waitFor();
      await page.locator(".language").click();

      await field.fill(ADMIN);
      await page.keyboard.press("Enter");
      await untilFigure(page, "visitors", 3);
      await untilConnection(page, "live");
      await server.store(event("page_view"));
      await untilFigure(page, "visitors", 4);
      const [download] = await Promise.all([page.waitForEvent("download"), page.locator(".figures a[download='figures.csv']").click()]);
      assert.match(await readFile(await download.path(), "utf8"), /^visitors,[^]*\r\n4,/);

      await page.reload();
      await untilFigure(page, "visitors", 4);
      assert.ok(!JSON.stringify(await page.evaluate(() => ({ ...localStorage }))).includes(ADMIN));
      assert.ok(!page.url().includes(ADMIN));
      const other = await visitor.open(`${server.origin}/`);
      await other.locator(".sign-in").waitFor();
    },
    { env },
  ),
);

test(
  "a token of one site shows that site and its name alone",
  world.test(
    async ({ server, visitor }) => {
      visitor.allow(REFUSED);
      const site = "a.example";
      await server.store(...something().map((one) => ({ ...one, site })), ...something());
      const page = await visitor.open(`${server.origin}/?site=${site}`);
      await page.getByLabel("Token").fill(READER);
      await page.keyboard.press("Enter");
      await untilFigure(page, "visitors", 3);
      await page.locator(".menu.site summary").click();
      await until("the list", async () => (await page.locator(".sites-name").allTextContents()).join() === site);
      assert.equal(await page.locator(".sites .sparkline").count(), 1);
      await page.goto(`${server.origin}/`);
      await page.locator(".sign-in [role=alert]", { hasText: "may not read this site" }).waitFor();
    },
    { env },
  ),
);
