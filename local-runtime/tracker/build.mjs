// Builds dist/: `script.js` for the tag and `outline.js`, which it loads for the site's owner, with their
// compressed forms, and the module with its types.
//
// The two scripts are committed, so that building the server never needs Node; `npm test` fails when
// they are not what the sources build to.

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

import { build } from "esbuild";
import { minify } from "terser";

/** Optional chaining and all that is older: every browser since 2020. */
const TARGET = "es2020";

/**
 * What the server has configured, as its defaults are. The script ends with it, and with nothing
 * else like it, so that the server can replace it (`functions/pages`).
 */
export const CONFIGURED = '("mcv/notes",0)';

/** @param {string} entry */
async function bundle(entry, target = TARGET) {
  const { outputFiles } = await build({
    absWorkingDir: fileURLToPath(new URL(".", import.meta.url)),
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    target,
    write: false,
    define: { COLLECT_PATH: "$c", IGNORE_OPT_OUT: "$h" },
    // "use strict" is of no use to a script that swallows its own errors.
    tsconfigRaw: {},
  });
  return outputFiles[0].text;
}

/** What variables are called, the most frequent ones first: an order that compresses well, found by trying many. */
const NAMES = "tpcfm$noliedg_PzLbsryauwhRvxNAOCMSIkjqDTE";

/** The text of `script.js`: every byte of it is paid for by every visitor. */
export async function script() {
  const compress = {
    passes: 3,
    booleans_as_integers: true,
    keep_fargs: false,
    lhs_constants: false,
    pure_getters: true,
    unsafe: true,
    unsafe_arrows: true,
  };
  // What is constant has been checked; with one word for all declarations it compresses better.
  const text = (await bundle("src/script.ts")).replace(/\b(const|var)\b/g, "let");
  const { code } = await minify(text, {
    compress,
    mangle: { toplevel: true, nth_identifier: { get: (at) => NAMES[at] ?? `$${at}` } },
    toplevel: true,
    ecma: 2020,
  });
  return `(($c,$h)=>{${code.replace(/;$/, "")}})${CONFIGURED}`;
}

/** The text of `outline.js`, a module that only browsers of owners load. */
export async function outline() {
  const { code } = await minify(await bundle("src/outline.ts", "es2022"), { ecma: 2020, module: true });
  return code;
}

/** The text of `index.js`. */
export const module = () => bundle("src/index.ts");

/** Contexts cost more than they save in so little text. */
const BROTLI = { params: { [constants.BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING]: 1 } };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const dist = (/** @type {string} */ name) => new URL(`dist/${name}`, import.meta.url);
  mkdirSync(dist(""), { recursive: true });
  for (const [name, text] of [["script.js", await script()], ["outline.js", await outline()]]) {
    writeFileSync(dist(name), text);
    writeFileSync(dist(`${name}.br`), brotliCompressSync(text, BROTLI));
    writeFileSync(dist(`${name}.gz`), gzipSync(text, { level: 9 }));
  }
  writeFileSync(dist("index.js"), await module());
  execFileSync("npx", ["tsc", "--emitDeclarationOnly"], { cwd: new URL(".", import.meta.url), stdio: "inherit" });
}
