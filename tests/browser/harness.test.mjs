// The harness itself: it sees what it promises to see.

import assert from "node:assert/strict";
import { test } from "node:test";

import { setUp, until } from "./harness/index.mjs";

const world = setUp();

test(
  "a page's events arrive, and outlive the server",
  world.test(async ({ server, site, visitor }) => {
    await visitor.open(`${site.origin}/`);
    const [event] = await server.eventsUntil("page_view", { site: "fixture" });
    assert.equal(event?.page_url, "/");
    const { origin } = server;
    await server.kill();
    await assert.rejects(fetch(`${origin}/health`));
    await server.start();
    assert.equal(server.origin, origin);
    assert.deepEqual(await server.events("fixture"), [event]);
    assert.equal(await server.metric("maicivy_ingest_outcomes_total", { outcome: "stored" }), 0);
  }),
);

test(
  "what goes wrong in the browser is seen",
  world.test(async ({ site, visitor }) => {
    site.pages.set("/bad", {
      text: `<!doctype html><link rel="icon" href="data:,"><script src="/bad.js"></script><p style="color:red">`,
      headers: { "content-security-policy": "default-src 'self'; img-src data:" },
    });
    site.pages.set("/bad.js", {
      text: `console.error("bad words"); setTimeout(() => { throw new Error("bad deed") });
             fetch("http://elsewhere.example/").catch(() => {}); fetch("/nowhere");`,
    });
    await visitor.open(`${site.origin}/bad`);
    for (const part of ["bad words", "bad deed", "404"]) {
      await until(part, () => visitor.errors.some((error) => error.includes(part)));
    }
    await until("violations", () => visitor.violations.length >= 2);
    assert.match(visitor.violations.join(), /style-src-attr inline/);
    assert.match(visitor.violations.join(), /connect-src http:\/\/elsewhere\.example/);
    await assert.rejects(visitor.end(), /errors in the browser/);
    visitor.errors.length = visitor.violations.length = 0;
  }),
);

test(
  "no other machine can be reached",
  world.test(async ({ site, visitor }) => {
    visitor.allow(/Failed to load resource/);
    const page = await visitor.open(`${site.origin}/`);
    const reached = page.evaluate(() =>
      fetch("http://elsewhere.example/", { mode: "no-cors" }).then(
        () => true,
        () => false,
      ),
    );
    assert.equal(await reached, false);
    assert.deepEqual(visitor.strayed, ["http://elsewhere.example/"]);
    await assert.rejects(visitor.end(), /other machines/);
    visitor.strayed.length = 0;
  }),
);
