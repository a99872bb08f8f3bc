// What axe finds wrong with a page for people who use a keyboard, a screen reader, or little contrast.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { until } from "./wait.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails on whatever axe finds. @param {import("playwright-core").Page} page @param {string} what */
export async function accessible(page, what) {
  // Colours on their way from one to another are neither.
  await until("nothing moves", () =>
    page.evaluate(() => document.getAnimations().every((animation) => animation.effect?.getTiming().iterations === Number.POSITIVE_INFINITY)),
  );
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    // @ts-expect-error axe is put into the page above
    const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
    return violations.map((/** @type {any} */ { id, nodes }) => `${id}: ${nodes.map((/** @type {any} */ node) => node.html).join(" ")}`);
  });
  assert.deepEqual(found, [], what);
}
