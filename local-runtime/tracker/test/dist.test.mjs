// What is shipped: the script that is committed, and the module.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";

import { CONFIGURED, outline, script } from "../build.mjs";

const dist = (/** @type {string} */ name) => readFileSync(new URL(`../dist/${name}`, import.meta.url));

for (const [name, build] of /** @type {const} */ ([["script.js", script], ["outline.js", outline]])) {
  test(`dist/${name} is what the sources build to`, async () => {
    const built = await build();
    const how = "npm run build, and commit dist/";
    assert.equal(dist(name).toString(), built, how);
    assert.equal(brotliDecompressSync(dist(`${name}.br`)).toString(), built, how);
    assert.equal(gunzipSync(dist(`${name}.gz`)).toString(), built, how);
  });
}

test("it ends with what the server configures", () => {
  const text = dist("script.js").toString();
  assert.ok(text.endsWith(`)${CONFIGURED}`));
  assert.equal(text.split(CONFIGURED).length, 2);
});

test("it is small", () => {
  assert.ok(dist("script.js.br").length < 2_048, `${dist("script.js.br").length} bytes of Brotli`);
  assert.ok(dist("script.js.gz").length < 2_350, `${dist("script.js.gz").length} bytes of gzip`);
});

test("it needs no right that a strict policy withholds", () => {
  const text = dist("script.js").toString();
  assert.doesNotMatch(text, /\beval\b|Function\(|innerHTML|\.style|createElement|document\.cookie/);
});
