// Pictures of the dashboard when there is nothing, and when something is wrong.

import { test } from "node:test";

import { AWAY, figure, untilConnection, untilFigure } from "./harness/dashboard.mjs";
import { setUp } from "./harness/index.mjs";
import { lively } from "./harness/lively.mjs";
import { picture } from "./harness/picture.mjs";

const world = setUp();
const DESKTOP = { width: 1280, height: 960 };

test(
  "a site whose server goes away",
  world.test(
    async ({ server, visitor }) => {
      visitor.allow(AWAY);
      await lively(server);
      const page = await visitor.open(`${server.origin}/`);
      await page.locator(".chart-plot svg").waitFor();
      await untilConnection(page, "live");
      await untilFigure(page, "now", (await server.data("/realtime")).current_visitors);
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
    await page.route("**/api/v1/analytics/timeline?**", async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...(await answer.json()), meta: { degraded: true } } });
    });
    await page.goto(`${server.origin}/`);
    await page.locator('.banner[data-kind="degraded"]').waitFor();
    await page.locator(".chart-plot svg").waitFor();
    await picture(page, "degraded");
  }),
);
