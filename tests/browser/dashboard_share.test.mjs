// Share links: made by an administrator, open to all who have them, also within another page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { accessible } from "./harness/axe.mjs";
import { event, something, untilConnection, untilFigure } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();
const ADMIN = "a-token-of-the-administrator";
const closed = { ANALYTICS_READ_AUTH: "token", ANALYTICS_ADMIN_TOKEN: ADMIN };
/** What the browser says on the console of answers and connections that were refused. */
const REFUSED = /40[13]|WebSocket connection/;
const SITE = "a.example";

/** @param {import("playwright-core").Page} page @param {string} title */
const snippet = async (page, title) => (await page.locator(".share-dialog .snippet", { hasText: title }).locator("pre").textContent()) ?? "";

test(
  "a link is made, shows one site to those who have it, and is revoked",
  world.test(
    async ({ server, visitor, browser }) => {
      visitor.allow(REFUSED);
      await server.store(...something().map((one) => ({ ...one, site: SITE })), ...something());
      const page = await visitor.open(`${server.origin}/?site=${SITE}`);
      await page.getByLabel("Token").fill(ADMIN);
      await page.keyboard.press("Enter");
      await untilFigure(page, "visitors", 3);
      await page.locator(".bar .share").click();
      const dialog = page.locator(".share-dialog");
      await dialog.locator(".empty").waitFor();
      await dialog.getByLabel("The link lasts").selectOption("7d");
      await dialog.locator("button", { hasText: "Make a link" }).click();
      await until("the link is listed", async () => (await dialog.locator(".share-links li").count()) === 1);
      await accessible(page, "the links");
      const link = await snippet(page, "The new link");
      assert.ok(link.startsWith(`${server.origin}/?site=${SITE}#share=mcs_`), link);

      assert.ok((await snippet(page, "within another page")).startsWith(`<iframe src="${link.replace("#", "&amp;embed=1#")}"`));

      const guest = await (await browser.newContext()).newPage();
      /** @type {string[]} */
      const asked = [];
      guest.on("request", (request) => asked.push(request.url()));
      await guest.goto(link);
      await untilFigure(guest, "visitors", 3);
      await untilConnection(guest, "live");
      await server.store(event("page_view", { site: SITE }));
      await untilFigure(guest, "visitors", 4);
      assert.equal(await guest.locator(".bar .share, .menu.site").count(), 0);
      await guest.locator(".skip").focus();
      await guest.keyboard.press("Enter");
      assert.equal(await guest.evaluate(() => document.activeElement?.id), "main");
      // The link stays in the address whatever is looked at.
      await guest.locator('.pages [data-name="/projects"] button').click();
      await until("the filter", () => new URL(guest.url()).searchParams.has("f"));
      assert.equal(new URL(guest.url()).hash, new URL(link).hash);
      // Proxies keep addresses in their logs.
      assert.ok(asked.length > 0 && asked.every((url) => !url.slice(0, `${url}#`.indexOf("#")).includes("mcs_")));
      await guest.goto(link.replace(`site=${SITE}`, "site=default"));
      await guest.locator(".sign-in").waitFor();
      // Another link in the same tab differs behind the # alone.
      await guest.goto(link.replace(/mcs_.*/, "mcs_none"));
      await guest.locator(".sign-in").waitFor();
      await guest.goto(link);
      await untilFigure(guest, "visitors", 4);

      await dialog.locator("button", { hasText: "Revoke" }).click();
      await dialog.locator(".empty").waitFor();
      await guest.goto(link);
      await guest.locator(".sign-in").waitFor();
      await guest.context().close();
    },
    { env: closed },
  ),
);

test(
  "where reads are open a link needs the admin token, in French too",
  world.test(
    async ({ server, visitor }) => {
      visitor.allow(REFUSED);
      await server.store(...something());
      const page = await visitor.open(`${server.origin}/`);
      await untilFigure(page, "visitors", 3);
      await page.locator(".language").click();
      await page.locator(".bar .share").click();
      const dialog = page.locator(".share-dialog");
      await dialog.getByLabel("Jeton d’administration").fill(ADMIN);
      await accessible(page, "the token is asked for");
      await dialog.locator("button", { hasText: "Continuer" }).click();
      await dialog.locator(".empty", { hasText: "pas encore de lien" }).waitFor();
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
    },
    { env: { ANALYTICS_ADMIN_TOKEN: ADMIN } },
  ),
);
