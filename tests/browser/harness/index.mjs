// All that a test file needs:
//
//     const world = setUp();                       // one browser for the file
//     test("…", world.test(async ({ server, site, visitor }) => { … }));
//
// `server` is the real program (stop, kill, start; ask, data, events, store), `site` a foreign
// origin with the pages of `fixtures/`, `visitor` a fresh browser context. A test fails on any
// console error, exception, CSP violation or request to another machine that it did not allow.

import { after, before } from "node:test";

import { Visitor, launch } from "./browser.mjs";
import { AnalyticsServer } from "./server.mjs";
import { FixtureSite } from "./site.mjs";

export { Visitor } from "./browser.mjs";
export { API, AnalyticsServer, COLLECT } from "./server.mjs";
export { FixtureSite } from "./site.mjs";
export { PATIENCE, until } from "./wait.mjs";

/**
 * What a test is given.
 * @typedef {object} Scene
 * @property {AnalyticsServer} server with an empty store
 * @property {FixtureSite} site
 * @property {import("playwright-core").Browser} browser
 * @property {Visitor} visitor
 */

/** One browser for all tests of a file; a server, a site and a visitor for each test. */
export function setUp() {
  /** @type {import("playwright-core").Browser} */
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());
  return {
    /**
     * @param {(scene: Scene) => Promise<void>} run
     * @param {{env?: Record<string, string>, folder?: string, visitor?: Parameters<typeof Visitor.visit>[1]}} [options]
     *   `env`: the server's variables; `folder`: a site that it serves itself; `visitor`: options of
     *   the visitor's browser context
     */
    test(run, { env, folder, visitor: options } = {}) {
      return async () => {
        const server = await AnalyticsServer.start(env, folder);
        const site = await FixtureSite.start(server.origin);
        const visitor = await Visitor.visit(browser, options);
        let ended = false;
        try {
          await run({ server, site, browser, visitor });
          ended = true;
        } finally {
          // The first failure is the one to tell; the browser's errors often say why.
          await visitor
            .end()
            .catch((error) => {
              if (ended) throw error;
              console.error(String(error));
            })
            .finally(() => site.stop())
            .finally(() => server.remove());
        }
      };
    },
  };
}
