// The dashboard as a part of another page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { something } from "./harness/dashboard.mjs";
import { AnalyticsServer, setUp, until } from "./harness/index.mjs";

const world = setUp();

/** A page that shows the dashboard of this server. @param {string} origin */
const around = (origin) => `<!doctype html><title>A page</title><link rel="icon" href="data:,"><iframe src="${origin}/?embed=1"></iframe>`;

test(
  "listed pages show it in a frame, without what surrounds the figures; others do not",
  world.test(async ({ server: other, site, visitor }) => {
    visitor.allow(/frame-ancestors|ERR_BLOCKED_BY_RESPONSE/);
    const server = await AnalyticsServer.start({ ANALYTICS_FRAME_ANCESTORS: site.origin });
    try {
      await Promise.all([server, other].map((one) => one.store(...something())));
      site.pages.set("/shown", { text: around(server.origin) });
      const shown = await visitor.open(`${site.origin}/shown`);
      const frame = shown.frameLocator("iframe");
      await frame.locator('[data-figure="visitors"][data-value="3"]').waitFor();
      assert.equal(await frame.locator(".bar, .foot").count(), 0);
      await frame.locator('.pages [data-name="/projects"] button').click();
      await frame.locator('[data-figure="visitors"][data-value="1"]').waitFor();
      assert.equal(await frame.locator(".bar").count(), 0);
      await shown.close();

      site.pages.set("/hidden", { text: around(other.origin) });
      const hidden = await visitor.open(`${site.origin}/hidden`);
      await until("the frame is refused", async () => {
        const frame = hidden.frames()[1];
        return frame !== undefined && (await frame.locator("[data-figure]").count()) === 0 && frame.url().startsWith("chrome-error:");
      });
    } finally {
      await server.remove();
    }
  }),
);
