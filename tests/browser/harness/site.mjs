// A site of another owner: static pages on an origin of their own.

import { createServer } from "node:http";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { extname } from "node:path";

const FIXTURES = new URL("../fixtures/", import.meta.url);

/** @type {Record<string, string>} */
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".pdf": "application/pdf",
};

/**
 * A page that a test makes up: its text, headers besides the type, and its status, 200 if not said.
 * @typedef {{text: string, headers?: Record<string, string>, status?: number}} Page
 */

/**
 * Serves the files of `fixtures/` and whatever pages a test adds. `{{analytics}}` in a text
 * becomes the origin of the server under test.
 */
export class FixtureSite {
  /** Pages by path, before files. @type {Map<string, Page>} */
  pages = new Map();
  #analytics;
  #server;

  /** @param {string} analytics */
  constructor(analytics) {
    this.#analytics = analytics;
    this.#server = createServer(async (request, response) => {
      const path = new URL(request.url ?? "/", "http://fixture").pathname;
      try {
        const page = this.pages.get(path) ?? (await this.#file(path));
        response.writeHead(page.status ?? 200, { "content-type": TYPES[extname(path)] ?? TYPES[".html"], ...page.headers });
        response.end(page.text.replaceAll("{{analytics}}", this.#analytics));
      } catch {
        response.writeHead(404, { "content-type": "text/plain" }).end("not found");
      }
    });
  }

  /**
   * @param {string} analytics the origin of the server under test
   */
  static async start(analytics) {
    const site = new FixtureSite(analytics);
    site.#server.listen(0, "127.0.0.1");
    await once(site.#server, "listening");
    return site;
  }

  /** @param {string} path @returns {Promise<Page>} */
  async #file(path) {
    const name = path === "/" ? "index.html" : path.slice(1).replace(/^[^.]*$/, "$&.html");
    if (!/^[\w-]+(\.\w+)?$/.test(name)) throw new Error("not a fixture");
    return { text: await readFile(new URL(name, FIXTURES), "utf8") };
  }

  /** Its origin. */
  get origin() {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  }

  /** Ends it. */
  async stop() {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
