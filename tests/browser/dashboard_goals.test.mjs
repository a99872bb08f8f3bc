// Goals and funnels: made in the page, kept by the server; and visitors who return.

import assert from "node:assert/strict";
import { test } from "node:test";

import { accessible } from "./harness/axe.mjs";
import { AWAY, event, logLine, rows, untilFigure, visitor as someone } from "./harness/dashboard.mjs";
import { setUp, until } from "./harness/index.mjs";

const world = setUp();
const TOKEN = "a-token-of-the-administrator";
const env = { ANALYTICS_ADMIN_TOKEN: TOKEN };

/** Three read the prices, two of them sign up, one of those pays. */
function sales() {
  const [a, b, c] = [someone(), someone(), someone()];
  return [
    ...[a, b, c].map((who) => event("page_view", { who, page: "/prices", ago: 60_000 })),
    ...[a, b].map((who) => event("signup", { who, ago: 30_000 })),
    event("paid", { who: a }),
  ];
}

test(
  "goals are made in the page by an administrator, and all readers see them",
  world.test(
    async ({ server, visitor, browser }) => {
      visitor.allow(AWAY);
      await server.store(...sales());
      const page = await visitor.open(`${server.origin}/`);
      await page.locator(".events .tabs select").selectOption("goal");
      await page.locator(".events .funnel-actions button").click();
      const dialog = page.locator(".goals-dialog");
      await dialog.locator("button", { hasText: "Add a goal" }).click();
      await dialog.locator(".goals-list .goals-name").fill("Signed up");
      await dialog.getByLabel("Goal 1", { exact: true }).fill("signup");
      await dialog.locator("button", { hasText: "Add a goal" }).click();
      await dialog.locator(".goals-list .goals-name").nth(1).fill("Prices read");
      await dialog.getByLabel("Goal 2: What").selectOption("page");
      await dialog.getByLabel("Goal 2", { exact: true }).fill("/pri*");
      await dialog.locator("button", { hasText: "Save" }).click();
      await dialog.locator("[role=alert]", { hasText: "admin token" }).waitFor();
      await accessible(page, "the editor, which needs a token");
      await dialog.getByLabel("Admin token").fill(TOKEN);
      await dialog.locator("button", { hasText: "Save" }).click();
      await dialog.waitFor({ state: "hidden" });
      await until("the goals", async () => JSON.stringify(await rows(page, ".events")) === '[["Prices read",3],["Signed up",2]]');

      // A click shows only those who reached it, and how many of all that is.
      await page.locator('.events [data-name="Signed up"] button').click();
      await untilFigure(page, "visitors", 2);
      await untilFigure(page, "conversion_rate", 66.67);

      const other = await (await browser.newContext()).newPage();
      await other.goto(`${server.origin}/`);
      await other.locator(".events .tabs select").selectOption("goal");
      await until("others see them", async () => (await rows(other, ".events")).length === 2);

      // Renamed and removed; the token is asked for once a tab.
      await page.locator(".chips .chip").first().waitFor();
      await page.goto(`${server.origin}/`);
      await page.locator(".events .funnel-actions button").click();
      await dialog.locator(".goals-list .goals-name").first().fill("Registered");
      await dialog.locator('button[aria-label="Remove: Prices read"]').click();
      await dialog.locator("button", { hasText: "Save" }).click();
      await until("renamed", async () => JSON.stringify(await rows(page, ".events")) === '[["Registered",2]]');
      await server.stop();
      await server.start();
      const { version, ...kept } = await server.data("/goals");
      assert.match(version, /^[0-9a-f]{16}$/);
      assert.deepEqual(kept, { goals: [{ name: "Registered", event: "signup" }], funnels: [], configured: [] });
      await other.context().close();
    },
    { env },
  ),
);

test(
  "what the server refuses is said with its place, in French too",
  world.test(
    async ({ server, visitor }) => {
      visitor.allow(/400/);
      await server.store(...sales());
      const page = await visitor.open(`${server.origin}/`);
      await page.evaluate((token) => sessionStorage.setItem("maicivy.admin", token), TOKEN);
      await page.reload();
      await page.locator(".language").click();
      await page.locator(".events .tabs select").selectOption("goal");
      await page.locator(".events .funnel-actions button").click();
      const dialog = page.locator(".goals-dialog");
      for (const at of [0, 1]) {
        await dialog.locator("button", { hasText: "Ajouter un objectif" }).click();
        await dialog.locator(".goals-list .goals-name").nth(at).fill("Inscription");
        await dialog.getByLabel(`Objectif ${at + 1}`, { exact: true }).fill("signup");
      }
      await dialog.locator("button", { hasText: "Enregistrer" }).click();
      await dialog.locator("[role=alert]", { hasText: "Objectif 2 : Ce nom est déjà pris." }).waitFor();
      await accessible(page, "the editor, refused");
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
      assert.deepEqual((await server.data("/goals")).goals, []);
    },
    { env },
  ),
);

test(
  "what another administrator saved meanwhile is not overwritten",
  world.test(
    async ({ server, visitor }) => {
      visitor.allow(/409/);
      await server.store(...sales());
      const page = await visitor.open(`${server.origin}/`);
      await page.evaluate((token) => sessionStorage.setItem("maicivy.admin", token), TOKEN);
      await page.reload();
      await page.locator(".events .tabs select").selectOption("goal");
      await page.locator(".events .funnel-actions button").click();
      const dialog = page.locator(".goals-dialog");
      await dialog.locator("button", { hasText: "Add a goal" }).click();
      await dialog.locator(".goals-list .goals-name").fill("Mine");
      await dialog.getByLabel("Goal 1", { exact: true }).fill("paid");
      const goals = [{ name: "Theirs", event: "signup" }];
      const headers = { authorization: `Bearer ${TOKEN}` };
      const put = await fetch(`${server.origin}/api/v1/analytics/goals`, { method: "PUT", headers, body: JSON.stringify({ goals }) });
      assert.equal(put.status, 200);
      await dialog.locator("button", { hasText: "Save" }).click();
      await dialog.locator("[role=alert]", { hasText: "have been changed" }).waitFor();
      assert.deepEqual((await server.data("/goals")).goals, goals);

      // Opened again, the editor begins with theirs.
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
      await until("theirs", async () => JSON.stringify(await rows(page, ".events")) === '[["Theirs",2]]');
      await page.locator(".events .funnel-actions button").click();
      await until("their name", async () => (await dialog.locator(".goals-list .goals-name").first().inputValue()) === "Theirs");
      await dialog.locator("button", { hasText: "Add a goal" }).click();
      await dialog.locator(".goals-list .goals-name").nth(1).fill("Mine");
      await dialog.getByLabel("Goal 2", { exact: true }).fill("paid");
      await dialog.locator("button", { hasText: "Save" }).click();
      await dialog.waitFor({ state: "hidden" });
      assert.deepEqual((await server.data("/goals")).goals, [...goals, { name: "Mine", event: "paid" }]);
    },
    { env },
  ),
);

test(
  "return is offered only where visitors have ids",
  world.test(async ({ server, visitor }) => {
    const options = (/** @type {import("playwright-core").Page} */ page) => page.locator(".events .tabs option").evaluateAll((all) => all.map((one) => one.getAttribute("value")));
    await server.import([1, 2, 3].map((days) => logLine({ days, path: "/", host: days })).join("\n"));
    const page = await visitor.open();
    await page.goto(`${server.origin}/?period=28d`);
    const asked = page.waitForResponse("**/query/retention");
    await page.locator(".events .tabs").hover();
    assert.deepEqual((await (await asked).json()).data.results, []);
    assert.ok(!(await options(page)).includes("retention"));
    await server.store(event("page_view"));
    await page.reload();
    await page.locator(".events .tabs select").focus();
    await until("it is offered", async () => (await options(page)).includes("retention"));
    // Once it is known, it is not asked for again.
    let again = false;
    page.on("request", (request) => {
      again ||= request.url().endsWith("/query/retention");
    });
    await page.reload();
    await page.locator(".events .tabs").hover();
    await page.locator('.events .tabs option[value="retention"]').waitFor({ state: "attached" });
    await page.locator(".timeline [data-event]").first().waitFor();
    assert.equal(again, false);
  }),
);

test(
  "funnels are tried out by any reader, kept by the server, and show who leaves where",
  world.test(
    async ({ server, visitor }) => {
      visitor.allow(/401/);
      await server.store(...sales());
      const page = await visitor.open(`${server.origin}/`);
      await page.locator(".events .tabs select").selectOption("funnel");
      const steps = page.locator(".events .funnel-steps input");
      await steps.nth(0).fill("/pri*");
      await steps.nth(1).fill("signup");
      await page.locator(".events button", { hasText: "Add a step" }).click();
      await steps.nth(2).fill("paid");
      const results = () => page.locator(".funnel-results li").evaluateAll((all) => all.map((one) => one.getAttribute("data-value")).join());
      await until("the steps", async () => (await results()) === "3,2,1");
      assert.match((await page.locator(".funnel-results li").nth(1).textContent()) ?? "", /1 left \(33.3%\).*after 30s/);

      await page.locator(".events button", { hasText: "Keep this funnel" }).click();
      const dialog = page.locator(".goals-dialog");
      await dialog.getByLabel("Funnel 1: Name").fill("Sale");
      await dialog.locator("button", { hasText: "Save" }).click();
      await dialog.getByLabel("Admin token").fill(TOKEN);
      await dialog.locator("button", { hasText: "Save" }).click();
      await dialog.waitFor({ state: "hidden" });
      await page.reload();
      await until("it is kept", async () => (await results()) === "3,2,1");
      assert.equal(await page.locator(".funnel-saved select").inputValue(), "Sale");
      // Programs ask for it by its name.
      const body = JSON.stringify({ funnel: "Sale", date_range: "day" });
      const asked = await fetch(`${server.origin}/api/v1/analytics/query/funnel`, { method: "POST", body });
      const { data } = /** @type {any} */ (await asked.json());
      assert.deepEqual(data.results[0].steps.map((/** @type {any} */ step) => step.visitors), [3, 2, 1]);

      await page.locator(".events .funnel-actions button").click();
      await dialog.locator('button[aria-label="Remove: Sale"]').click();
      await dialog.locator("button", { hasText: "Save" }).click();
      await dialog.waitFor({ state: "hidden" });
      await page.locator(".events .funnel-steps input").first().waitFor();

      await page.locator(".events .tabs select").focus();
      await page.locator(".events .tabs select").selectOption("retention");
      await page.locator(".retention tbody tr").first().waitFor();
      assert.match((await page.locator(".retention tbody tr").last().textContent()) ?? "", /3100%$/);
    },
    { env },
  ),
);
