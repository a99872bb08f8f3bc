// The dashboard when there is nothing, when something is wrong, and in every language and light.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AWAY, event, figure, ids, something, untilConnection, untilFigure, untilListed } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();

test(
  "an empty site says how to begin, and begins by itself",
  world.test(async ({ server, visitor }) => {
    const page = await visitor.open(`${server.origin}/?site=cv.example`);
    const [tag, curl] = await page.locator(".welcome pre").allTextContents();
    assert.equal(tag, `<script defer src="${server.origin}/mcv.js" data-site="cv.example"></script>`);
    assert.match(curl ?? "", new RegExp(`^curl ${server.origin}/api/v1/analytics/event -d '`));
    assert.equal(await page.locator(".figures").count(), 0);
    // What it says to send works as it stands.
    const [, body = ""] = curl?.match(/-d '(.*)'$/) ?? [];
    const answer = await fetch(`${server.origin}/api/v1/analytics/event`, { method: "POST", body });
    assert.equal(answer.status, 201);
    await untilFigure(page, "now", 1);
    await untilFigure(page, "views", 1);
    assert.equal(await page.locator(".welcome").count(), 0);
    await page.locator('[data-theme-name="backend"]').waitFor();
  }),
);

test(
  "a server that lacks a part says so, and the page does too until it is whole again",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open();
    let degraded = true;
    await page.route("**/api/v1/analytics/stats?**", async (route) => {
      const answer = await route.fetch();
      const body = await answer.json();
      await route.fulfill({ response: answer, json: degraded ? { ...body, meta: { degraded: true } } : body });
    });
    await page.goto(`${server.origin}/`);
    await page.locator('.banner[data-kind="degraded"]').waitFor();
    assert.equal(await figure(page, "visitors-day"), 3, "figures are shown nevertheless");
    degraded = false;
    await page.locator(".banner").waitFor({ state: "detached" });
    assert.equal(await figure(page, "visitors-day"), 3);
  }),
);

test(
  "a server that is away leaves what was shown, and is found again",
  world.test(async ({ server, visitor }) => {
    visitor.allow(AWAY);
    await server.store(...something());
    const page = await visitor.open(`${server.origin}/`);
    await untilListed(page, await ids(server));
    await untilConnection(page, "live");
    await server.stop();
    await untilConnection(page, "waiting");
    // Whoever does not wait asks for something that is not there.
    await page.locator("input[name=period][value=month]").check();
    await page.locator(".banner").waitFor();
    assert.equal(await figure(page, "visitors-day"), 3);
    await server.start();
    await untilConnection(page, "live");
    await until("all is well", async () => (await page.locator(".warning, .banner").count()) === 0);
    await server.store(event("page_view"));
    await untilListed(page, await ids(server));
  }),
);

test(
  "what fails is one panel's matter, and can be tried again",
  world.test(async ({ server, visitor }) => {
    visitor.allow(AWAY);
    await server.store(...something());
    const page = await visitor.open();
    let broken = true;
    await page.route("**/api/v1/analytics/themes?**", (route) =>
      broken ? route.fulfill({ status: 500, json: { success: false, error: "something broke", code: "INTERNAL" } }) : route.continue(),
    );
    await page.goto(`${server.origin}/`);
    const themes = page.locator(".themes");
    await themes.locator(".failed").waitFor();
    assert.match((await themes.textContent()) ?? "", /The server refused: something broke/);
    await untilFigure(page, "visitors-day", 3);
    broken = false;
    await themes.locator(".failed .button").click();
    await themes.locator("[data-theme-name]").first().waitFor();
  }),
);

test(
  "a site that cannot be is refused in one sentence",
  world.test(async ({ server, visitor }) => {
    visitor.allow(AWAY);
    const page = await visitor.open(`${server.origin}/?site=Not%20A%20Site`);
    await page.locator(".welcome h2").waitFor();
    assert.match((await page.locator("main").textContent()) ?? "", /site must be 1 to 63/);
    assert.equal(await page.locator("main section").count(), 1);
  }),
);

test(
  "bones are shown until there are figures",
  world.test(async ({ server, visitor }) => {
    await server.store(...something());
    const page = await visitor.open();
    let go = () => {};
    /** @type {Promise<void>} */
    const held = new Promise((resolve) => {
      go = resolve;
    });
    await page.route("**/api/v1/analytics/**", async (route) => {
      await held;
      await route.continue();
    });
    await page.goto(`${server.origin}/`);
    await page.locator(".bone").first().waitFor();
    assert.equal(await page.locator("[data-figure=visitors]").count(), 0);
    go();
    await untilFigure(page, "visitors", 3);
    await until("no bone is left", async () => (await page.locator(".bone, .skeleton").count()) === 0);
  }),
);

test(
  "speaks the reader's language, and remembers another choice",
  world.test(
    async ({ server, visitor }) => {
      await server.store(...something());
      const page = await visitor.open(`${server.origin}/`);
      await page.locator("h2", { hasText: "Visiteurs en ce moment" }).waitFor();
      assert.equal(await page.getAttribute("html", "lang"), "fr");
      await untilFigure(page, "conversion", 1);
      assert.equal((await page.locator("[data-figure=conversion]").textContent())?.replace(/\s/g, " "), "100 %");
      await page.locator("input[name=language][value=en]").check();
      await page.locator("h2", { hasText: "Visitors now" }).waitFor();
      await page.reload();
      await page.locator("h2", { hasText: "Visitors now" }).waitFor();
      assert.equal(await page.getAttribute("html", "lang"), "en");
    },
    { visitor: { locale: "fr-CA" } },
  ),
);

test(
  "times are in the viewer's zone",
  world.test(
    async ({ server, visitor }) => {
      await server.store(event("page_view"));
      const page = await visitor.open(`${server.origin}/`);
      const row = page.locator("[data-event]").first();
      await row.waitFor();
      const [stored] = await server.events();
      const wanted = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: "Asia/Kathmandu" }).format(new Date(stored?.created_at ?? 0));
      assert.equal(await row.locator("summary time").textContent(), wanted);
      assert.match((await page.locator(".foot").textContent()) ?? "", /in UTC.*Kat[h]?mandu/);
    },
    { visitor: { locale: "en-GB", timezoneId: "Asia/Kathmandu" } },
  ),
);

test(
  "is light or dark as the system, or as chosen",
  world.test(
    async ({ server, visitor }) => {
      await server.store(...something());
      const page = await visitor.open(`${server.origin}/`);
      const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      await page.locator("html[data-theme=dark]").waitFor();
      const dark = await background();
      await page.emulateMedia({ colorScheme: "light" });
      await page.locator("html[data-theme=light]").waitFor();
      assert.notEqual(await background(), dark);
      const choose = page.locator(".icon-button");
      await choose.click();
      await choose.click();
      await page.locator("html[data-theme=dark]").waitFor();
      await page.reload();
      await page.locator("html[data-theme=dark]").waitFor();
      assert.equal(await background(), dark);
    },
    { visitor: { colorScheme: "dark" } },
  ),
);
