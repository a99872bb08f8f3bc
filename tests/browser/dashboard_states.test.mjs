// The dashboard when there is nothing, and in every language and light.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AWAY, event, figure, something, untilFigure } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();

test(
  "an empty site says how to begin, and begins by itself",
  world.test(async ({ server, visitor }) => {
    const page = await visitor.open(`${server.origin}/?site=cv.example`);
    const snippets = page.locator(".welcome pre");
    await snippets.first().waitFor();
    const [tag, curl, demo] = await snippets.allTextContents();
    assert.equal(tag, `<script defer src="${server.origin}/mcv.js" data-site="cv.example"></script>`);
    assert.match(curl ?? "", new RegExp(`^curl ${server.origin}/api/v1/analytics/event -d '`));
    assert.equal(demo, "local-runtime demo --days 30 --site cv.example");
    assert.equal(await page.locator(".figures").count(), 0);
    // What it says to send works as it stands.
    const [, body = ""] = curl?.match(/-d '(.*)'$/) ?? [];
    const answer = await fetch(`${server.origin}/api/v1/analytics/event`, { method: "POST", body });
    assert.equal(answer.status, 201);
    await untilFigure(page, "now", 1);
    await untilFigure(page, "pageviews", 1);
    assert.equal(await page.locator(".welcome").count(), 0);
  }),
);

test(
  "the list of the first run says why nothing was counted",
  world.test(
    async ({ server, visitor }) => {
      const page = await visitor.open(`${server.origin}/`);
      const checks = page.locator(".checks");
      await until("connected", async () => (await checks.locator('[data-is="done"]').count()) === 1);
      await until("what is known", async () => /The script was not loaded/.test((await checks.textContent()) ?? ""));
      assert.match((await checks.textContent()) ?? "", /This browser asks not to be tracked/);
      const send = (/** @type {object} */ headers, /** @type {object} */ more = {}) =>
        fetch(`${server.origin}/mcv/notes`, { method: "POST", headers: { "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0", ...headers }, body: JSON.stringify([{ event_type: "page_view", ...more }]) });
      await until("the first look", async () => /No event has arrived/.test((await checks.textContent()) ?? ""));
      await send({ "user-agent": "curl/8.0" });
      await send({ "sec-gpc": "1" });
      await send({}, { site: "No Site" });
      await send({}, { site: "other" });
      await until("the reasons", async () => {
        const text = (await checks.textContent()) ?? "";
        for (const reason of [/calls itself a bot/, /asks not to be tracked/, /a name that the server does not know/, /counted for another site/]) assert.match(text, reason);
        return true;
      });
    },
    { visitor: { gpc: true } },
  ),
);

test(
  "the list of the first run knows that the script was loaded, also where it may not send",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${server.origin}/?site=fixture`);
    const checks = page.locator(".checks");
    const says = (/** @type {RegExp} */ text) => until(String(text), async () => text.test((await checks.textContent()) ?? ""));
    await says(/The script was not loaded/);
    visitor.allow(/\[csp\]|Content.Security.Policy|violates|ERR_/i);
    const tag = `<!doctype html><link rel="icon" href="data:,"><title>Page</title><script defer src="{{analytics}}/mcv.js" data-site="fixture"></script>`;
    site.pages.set("/strict", { text: tag, headers: { "content-security-policy": "script-src 'self'" } });
    site.pages.set("/half", { text: tag, headers: { "content-security-policy": "connect-src 'self'" } });
    // Kept away by the policy: the server is not asked.
    const strict = await visitor.open(`${site.origin}/strict`);
    await strict.close();
    const half = await visitor.open(`${site.origin}/half`);
    await says(/The script was loaded 1 time since/);
    assert.match((await checks.textContent()) ?? "", /No event has arrived.*connect-src/);
    await half.close();
    assert.match((await page.locator(".welcome").textContent()) ?? "", new RegExp(`script-src ${server.origin}; connect-src ${server.origin}`));
  }),
);

test(
  "the list of the first run says what it cannot know",
  world.test(async ({ server, visitor }) => {
    visitor.allow(/404/);
    const page = await visitor.open();
    // As in the cloud.
    await page.route("**/metrics", (route) => route.fulfill({ status: 404, body: "" }));
    await page.goto(`${server.origin}/`);
    await page.locator(".checks", { hasText: "CloudWatch" }).waitFor();
  }),
);

test(
  "the owner's own browser is taken out by a button, and put back",
  world.test(async ({ server, site, visitor }) => {
    const page = await visitor.open(`${server.origin}/?site=fixture`);
    await page.locator(".more-setup summary").click();
    const form = page.locator(".own-visits");
    await form.locator("input").fill(site.origin);
    /** @param {string} button */
    const opened = async (button) => {
      const [popup] = await Promise.all([visitor.context.waitForEvent("page"), form.locator("button", { hasText: button }).click()]);
      await popup.waitForURL(new RegExp(`^${site.origin}/`));
      return popup;
    };
    const off = await opened("Do not count this browser");
    await until("it is remembered", () => off.evaluate(() => localStorage.getItem("maicivy") === "1"));
    assert.deepEqual(await server.events("fixture"), []);
    const on = await opened("Count it again");
    await server.eventsUntil("page_view", { site: "fixture" });
    assert.equal(await on.evaluate(() => localStorage.getItem("maicivy")), null);
    // Where something is counted already, the form is with what is not.
    await page.locator(".counted summary").click();
    await until("the address is remembered", async () => (await form.locator("input").inputValue()) === site.origin);
  }),
);

test(
  "a site that cannot be is refused in one sentence",
  world.test(async ({ server, visitor }) => {
    visitor.allow(AWAY);
    const page = await visitor.open(`${server.origin}/?site=Not%20A%20Site`);
    await page.locator(".welcome h2").waitFor();
    assert.match((await page.locator("main").textContent()) ?? "", /does not measure a site named “Not A Site”.*1 to 63/);
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
    await page.route("**/api/v1/analytics/query", async (route) => {
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
  "speaks the reader's language, names of countries included, and remembers another choice",
  world.test(
    async ({ server, visitor }) => {
      visitor.allow(AWAY);
      await server.store({ ...event("page_view"), context: { timezone: "Europe/Berlin", language: "de" } });
      const page = await visitor.open(`${server.origin}/`);
      await page.locator("h2", { hasText: "visiteur en ce moment" }).waitFor();
      assert.equal(await page.getAttribute("html", "lang"), "fr");
      await untilFigure(page, "visitors", 1);
      assert.equal((await page.locator("[data-figure=bounce_rate]").textContent())?.replace(/\s/g, " "), "100 %");
      assert.equal(await page.locator('.locations [data-name="DE"] .ranking-name').textContent(), "Allemagne");
      await page.locator(".locations .tabs select").selectOption("language");
      await page.locator('.locations [data-name="de"]', { hasText: "Allemand" }).waitFor();
      await server.stop();
      await page.locator(".banner", { hasText: "Le serveur est injoignable." }).waitFor();
      await server.start();
      await page.locator(".language").click();
      await page.locator("h2", { hasText: "visitor now" }).waitFor();
      await page.reload();
      await page.locator('.locations [data-name="de"]', { hasText: "German" }).waitFor();
      assert.equal(await page.getAttribute("html", "lang"), "en");
    },
    { visitor: { locale: "fr-CA" } },
  ),
);

test(
  "the timeline's times are in the viewer's zone",
  world.test(
    async ({ server, visitor }) => {
      await server.store(event("page_view"));
      const page = await visitor.open(`${server.origin}/`);
      const row = page.locator("[data-event]").first();
      await row.waitFor();
      const [stored] = await server.events();
      const wanted = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: "Asia/Kathmandu" }).format(new Date(stored?.created_at ?? 0));
      assert.equal(await row.locator("summary time").textContent(), wanted);
      assert.match((await page.locator(".foot").textContent()) ?? "", /UTC.*Kat[h]?mandu/);
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
      const choose = page.locator(".colours");
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
