// When the tracker tries again, and when it gives up. The answers are made up, and the page's
// clock is the test's.

import assert from "node:assert/strict";
import { test } from "node:test";

import { setUp } from "./harness/index.mjs";

const world = setUp();

/**
 * A page whose requests are answered as `answer` says, and whose clock moves when told to.
 * @param {import("./harness/index.mjs").Scene} scene
 * @param {{status?: number, retryAfter?: string}} answer without a status there is no network
 */
async function answered({ site, visitor }, answer) {
  const page = await visitor.context.newPage();
  await page.clock.install({ time: Date.now() });
  await page.addInitScript((answer) => {
    const attempts = /** @type {number[]} */ ([]);
    Object.assign(window, { attempts, answer });
    window.fetch = async () => {
      attempts.push(Date.now());
      const { status, retryAfter } = /** @type {any} */ (window).answer;
      if (!status) throw new TypeError("no network");
      return new Response(null, { status, headers: retryAfter ? { "retry-after": retryAfter } : {} });
    };
    navigator.sendBeacon = () => Boolean(attempts.push(Date.now()));
  }, answer);
  await page.clock.pauseAt(Date.now() + 1_000);
  await page.goto(`${site.origin}/app`);
  return {
    page,
    attempts: () => page.evaluate(() => /** @type {number[]} */ (/** @type {any} */ (window).attempts)),
    pass: (/** @type {number} */ seconds) => page.clock.runFor(seconds * 1_000),
    track: () => page.evaluate(() => /** @type {any} */ (window).maicivy.track("tick")),
    waiting: () => page.evaluate(() => Object.keys(localStorage).length),
  };
}

for (const status of [429, 503]) {
  test(
    `${status} with Retry-After: not before, and soon after`,
    world.test(async (scene) => {
      const { attempts, pass, track, waiting, page } = await answered(scene, { status, retryAfter: "40" });
      assert.equal((await attempts()).length, 1);
      await track();
      await pass(40);
      assert.equal((await attempts()).length, 1, "new events wait as well");
      await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide")));
      assert.equal((await attempts()).length, 2, "but for a page that is left, which may be the last");
      await page.evaluate(() => Object.assign(window, { answer: { status: 200 } }));
      await pass(25);
      assert.equal((await attempts()).length, 3);
      assert.equal(await waiting(), 0);
    }),
  );
}

for (const answer of [{}, { status: 500 }, { status: 503, retryAfter: "soon" }]) {
  test(
    `${answer.status ?? "no network"}: ever longer, never all at once`,
    world.test(async (scene) => {
      const { attempts, pass, waiting } = await answered(scene, answer);
      await pass(1_500);
      const times = await attempts();
      assert.ok(times.length >= 9, `${times.length} attempts`);
      times.slice(1).forEach((time, at) => {
        const expected = Math.min(2 ** at, 300);
        const waited = (time - Number(times[at])) / 1_000;
        assert.ok(waited >= expected && waited <= expected * 1.5 + 0.01, `${waited} s for ${expected} s`);
      });
      assert.equal(await waiting(), 1);
    }),
  );
}

for (const status of [400, 401, 403, 404, 413]) {
  test(
    `${status}: it will never be taken, and is dropped`,
    world.test(async (scene) => {
      const { attempts, pass, track, waiting } = await answered(scene, { status });
      assert.equal(await waiting(), 0);
      await pass(600);
      assert.equal((await attempts()).length, 1);
      await track();
      assert.equal((await attempts()).length, 2, "and what is next is sent");
    }),
  );
}
