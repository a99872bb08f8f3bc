import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Fonts are compressed by themselves; everything else is text. */
const TEXT = /\.(html|css|js|svg)$/;

/** Writes beside each text its Brotli and gzip forms, which the server embeds and sends. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    writeBundle({ dir = "dist" }, bundle) {
      for (const name of Object.keys(bundle).filter((name) => TEXT.test(name))) {
        const path = join(dir, name);
        const text = readFileSync(path);
        const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY } };
        writeFileSync(`${path}.br`, brotliCompressSync(text, brotli));
        writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }));
      }
    },
  };
}

/** Has the browser fetch the code of the page beside that of the first questions, which asks for it. */
function preloaded(): Plugin {
  return {
    name: "preloaded",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler(_, { bundle }) {
        const chunks = Object.values(bundle ?? {}).filter((file) => file.type === "chunk" && file.isDynamicEntry);
        return chunks.map(({ fileName }) => ({ tag: "link", attrs: { rel: "modulepreload", href: `./${fileName}` }, injectTo: "head" }));
      },
    },
  };
}

const server = process.env.ANALYTICS_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [preloaded(), compressed()],
  // Relative addresses work below any prefix.
  base: "./",
  build: {
    target: "es2022",
    assetsDir: "assets/maicivy",
    // The content security policy has no place for data: addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/api": server, "/mcv.js": server, "/ws": { target: server, ws: true }, "/metrics": server },
  },
  test: { include: ["test/**/*.test.ts"] },
});
