// A real browser that can reach nothing but this machine, and that forgives nothing.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

const EXECUTABLE = process.env.CHROMIUM || "/usr/bin/chromium";

/** Headless Chromium says that it is headless, and the server then takes it for a bot. */
const USER_AGENT =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/**
 * Starts Chromium. Only literal loopback addresses can be reached; what asks for anything else
 * fails, and fails the test besides ([`Visitor`]).
 */
export function launch() {
  return chromium.launch({
    executablePath: EXECUTABLE,
    // Playwright turns the back/forward cache off; visitors have it.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // For every request: what a page sends as it goes away is not sent by the page's own process.
      `--user-agent=${USER_AGENT}`,
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
}

/**
 * A visitor: a browser context of its own, and a record of everything that went wrong in it.
 * `end` fails the test when anything did that was not `allow`ed.
 */
export class Visitor {
  /** Errors on the console and exceptions. @type {string[]} */
  errors = [];
  /** What the Content-Security-Policy of a page forbade. @type {string[]} */
  violations = [];
  /** Requests to other machines. @type {string[]} */
  strayed = [];
  /** @type {RegExp[]} */
  #allowed = [];

  /** @param {import("playwright-core").BrowserContext} context */
  constructor(context) {
    this.context = context;
    context.on("request", (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (/^(https?|wss?):$/.test(protocol) && hostname !== "127.0.0.1") this.strayed.push(request.url());
    });
    context.on("console", (message) => {
      const text = message.text();
      if (text.startsWith("[csp] ")) this.violations.push(text.slice(6));
      else if (message.type() === "error") this.errors.push(`${text} (${message.location().url})`);
    });
    context.on("weberror", (error) => this.errors.push(error.error().stack || String(error.error())));
  }

  /**
   * @param {import("playwright-core").Browser} browser
   * @param {import("playwright-core").BrowserContextOptions & {gpc?: boolean, dnt?: boolean}} [options]
   *   `gpc`, `dnt`: asks not to be tracked, as browsers do, in script and in headers
   */
  static async visit(browser, { gpc, dnt, ...options } = {}) {
    const headers = { ...(gpc && { "sec-gpc": "1" }), ...(dnt && { dnt: "1" }) };
    const context = await browser.newContext({ userAgent: USER_AGENT, extraHTTPHeaders: headers, ...options });
    const visitor = new Visitor(context);
    await context.addInitScript(
      ({ gpc, dnt }) => {
        addEventListener("securitypolicyviolation", (event) =>
          console.error(`[csp] ${event.effectiveDirective} ${event.blockedURI}`),
        );
        /** @param {string} name @param {unknown} value */
        const say = (name, value) => Object.defineProperty(Navigator.prototype, name, { get: () => value });
        if (gpc) say("globalPrivacyControl", true);
        if (dnt) say("doNotTrack", "1");
      },
      { gpc, dnt },
    );
    return visitor;
  }

  /** Opens a page, a tab of its own. @param {string} [url] */
  async open(url) {
    const page = await this.context.newPage();
    if (url) await page.goto(url);
    return page;
  }

  /** Errors that match are part of the test. @param {RegExp} pattern */
  allow(pattern) {
    this.#allowed.push(pattern);
  }

  /** Closes all pages; fails when anything went wrong that was not allowed. */
  async end() {
    // A request may be on its way through a test's route.
    await Promise.all(this.context.pages().map((page) => page.unrouteAll({ behavior: "ignoreErrors" })));
    await this.context.close();
    const wrong = [...this.errors, ...this.violations.map((violation) => `[csp] ${violation}`)];
    assert.deepEqual(
      wrong.filter((error) => !this.#allowed.some((pattern) => pattern.test(error))),
      [],
      "errors in the browser",
    );
    assert.deepEqual(this.strayed, [], "requests to other machines");
  }
}
