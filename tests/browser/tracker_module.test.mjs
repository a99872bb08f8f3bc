// The tracker as a module, for sites that build their own scripts.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { API, setUp } from "./harness/index.mjs";

const MODULE = new URL("../../local-runtime/tracker/dist/index.js", import.meta.url);

const world = setUp();

test(
  "two trackers of one page, each with a site of its own",
  world.test(async ({ server, site, visitor }) => {
    site.pages.set("/tracker.mjs", { text: await readFile(MODULE, "utf8") });
    site.pages.set("/main.mjs", {
      text: `import { createTracker } from "./tracker.mjs";
             const endpoint = "{{analytics}}${API}";
             const one = createTracker({ endpoint, site: "one" });
             const two = createTracker({ endpoint, site: "two", manual: true });
             one.theme("backend");
             two.letter("motivation");
             two.track("end");`,
    });
    site.pages.set("/", {
      text: `<!doctype html><link rel="icon" href="data:,"><title>Module</title><script type="module" src="/main.mjs"></script>`,
    });
    const page = await visitor.open(`${site.origin}/`);
    assert.equal(await page.evaluate(() => "maicivy" in window), false);
    await page.goto("about:blank");
    const two = await server.eventsUntil("end", { site: "two" });
    assert.deepEqual(
      two.map((event) => event.event_type),
      ["letter_generate", "end"],
    );
    const one = await server.eventsUntil("scroll", { site: "one" });
    // Both trackers send what waits, so the first two may come in two requests at the same time:
    // each has the server's time of the one that was first.
    assert.deepEqual(one.map((event) => event.event_type).sort(), ["cv_theme_change", "page_view", "scroll"]);
  }),
);
