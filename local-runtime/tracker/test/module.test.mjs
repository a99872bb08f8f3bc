// The module where there is no browser: servers import what they also render.

import assert from "node:assert/strict";
import { test } from "node:test";

import { module } from "../build.mjs";

test("it does nothing, and does not fail, outside browsers", async () => {
  const { createTracker } = await import(`data:text/javascript,${encodeURIComponent(await module())}`);
  const tracker = createTracker({ endpoint: "https://stats.example.com/api/v1/analytics" });
  assert.deepEqual(Object.keys(tracker).sort(), ["letter", "theme", "track"]);
  tracker.track("called", { n: 1 });
  tracker.theme("backend");
  tracker.letter("motivation");
});
