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

/**
 * Gives the page's code a script of its own, behind that of the first questions, which does not wait for it. A
 * dynamic import would bring code of Vite's that looks for styles.
 */
function second(): Plugin {
  let builds = false;
  return {
    name: "second",
    configResolved({ command }) {
      builds = command === "build";
    },
    buildStart() {
      if (builds) this.emitFile({ type: "chunk", id: "src/page.tsx", name: "page" });
    },
    transformIndexHtml: {
      order: "post",
      handler(_, { bundle }) {
        const built = Object.values(bundle ?? {}).find((file) => file.type === "chunk" && file.name === "page");
        const src = built ? `./${built.fileName}` : "/src/page.tsx";
        return [{ tag: "script", attrs: { type: "module", crossorigin: true, src }, injectTo: "head" }];
      },
    },
  };
}

const server = process.env.ANALYTICS_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [second(), compressed()],
  // Relative addresses work below any prefix.
  base: "./",
  build: {
    target: "es2022",
    assetsDir: "assets/maicivy",
    // The content security policy has no place for data: addresses but those of pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/api": server, "/mcv.js": server, "/ws": { target: server, ws: true }, "/metrics": server },
  },
  test: { include: ["test/**/*.test.ts"] },
});
