// The real server: a process of its own with an embedded store in a folder of its own.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { until } from "./wait.mjs";

const BINARY =
  process.env.ANALYTICS_BINARY || fileURLToPath(new URL("../../../target/debug/local-runtime", import.meta.url));

/** Where the API is. */
export const API = "/api/v1/analytics";

/** Where the tracker sends. */
export const COLLECT = "/mcv/notes";

/**
 * An event as `/timeline` shows it, but that the page's origin stands apart.
 * @typedef {{id: string, visitor_id: string, event_type: string, event_data: Record<string, any>, origin: string,
 *   page_url: string | null, referrer: string | null, created_at: string}} Entry
 */

/** A server that can be stopped, killed and started again on the same port with the same store. */
export class AnalyticsServer {
  #home;
  #environment;
  #folder;
  #port = 0;
  /** @type {import("node:child_process").ChildProcess | undefined} */
  #child;
  #output = "";

  /**
   * @param {string} home
   * @param {Record<string, string>} environment
   * @param {string} [folder]
   */
  constructor(home, environment, folder) {
    this.#home = home;
    this.#environment = environment;
    this.#folder = folder;
  }

  /**
   * Starts one with an empty store, and without limits that tests could hit by chance.
   * @param {Record<string, string>} [environment] `ANALYTICS_*` variables besides
   * @param {string} [folder] a site that it serves itself
   */
  static async start(environment = {}, folder) {
    if (!existsSync(BINARY)) {
      throw new Error(`${BINARY} is missing: cargo build -p local-runtime, or name one in ANALYTICS_BINARY`);
    }
    const home = await mkdtemp(join(tmpdir(), "analytics-browser-"));
    const server = new AnalyticsServer(home, environment, folder);
    try {
      await server.start();
    } catch (error) {
      await server.remove();
      throw error;
    }
    return server;
  }

  /** Starts it, again on the port that it had before, and waits until it is ready. */
  async start() {
    const child = spawn(BINARY, ["serve", ...(this.#folder ? ["--static-dir", this.#folder] : [])], {
      cwd: this.#home,
      env: {
        PATH: process.env.PATH,
        HOME: this.#home,
        ANALYTICS_STORE: `sqlite:${join(this.#home, "analytics.db")}`,
        ANALYTICS_RATE_LIMIT: "1000000",
        ANALYTICS_READ_LIMIT: "1000000",
        ANALYTICS_WS_MAX_PER_ADDRESS: "50",
        ...this.#environment,
        ANALYTICS_ADDR: `127.0.0.1:${this.#port}`,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    let announced = "";
    const read = (/** @type {Buffer} */ text) => {
      announced += text;
      this.#output += text;
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    const port = await until("the server listens", () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${this.#output}`);
      return announced.match(/listening on http:\/\/127\.0\.0\.1:(\d+)\s/)?.[1];
    });
    this.#port = Number(port);
    await until("the server is ready", async () => (await fetch(`${this.origin}/health/ready`)).ok);
  }

  /**
   * Has an access log imported into its store, beside it.
   * @param {string} log lines in the Combined Log Format
   */
  async import(log) {
    const path = join(this.#home, `access-${randomUUID()}.log`);
    await writeFile(path, log);
    const child = spawn(BINARY, ["import", "--finished", path], {
      cwd: this.#home,
      env: { PATH: process.env.PATH, HOME: this.#home, ANALYTICS_STORE: `sqlite:${join(this.#home, "analytics.db")}` },
      stdio: "ignore",
    });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`the import ended with ${code}`);
  }

  /** Its origin; stays the same when it is started again. */
  get origin() {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** What it has written to both outputs. */
  get output() {
    return this.#output;
  }

  /** Ends it in good order (SIGTERM), and waits for the end. */
  stop() {
    return this.#end("SIGTERM");
  }

  /** Kills it at once, as a power cut would, and waits for the end. */
  kill() {
    return this.#end("SIGKILL");
  }

  /** @param {NodeJS.Signals} signal */
  async #end(signal) {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  /** Kills it and removes its folder. */
  async remove() {
    await this.kill();
    await rm(this.#home, { recursive: true, force: true });
  }

  /**
   * Asks a question that must be answered; the whole body.
   * @param {string} question path and query below the API, such as `/stats?period=day`
   * @returns {Promise<{success: true, data: any, meta?: any}>}
   */
  async ask(question) {
    const answer = await fetch(`${this.origin}${API}${question}`);
    if (!answer.ok) throw new Error(`${question}: ${answer.status} ${await answer.text()}`);
    return /** @type {any} */ (await answer.json());
  }

  /**
   * Asks a question that must be answered; its `data`.
   * @param {string} question
   * @returns {Promise<any>}
   */
  async data(question) {
    return (await this.ask(question)).data;
  }

  /**
   * Asks a query that must be answered; its `data`.
   * @param {object} query
   * @returns {Promise<{results: any[], total_rows: number}>}
   */
  query(query) {
    return this.data(`/query?q=${encodeURIComponent(JSON.stringify(query))}`);
  }

  /**
   * Sends events that must all be taken.
   * @param {...object} events as in the body of POST `/events`
   * @returns {Promise<{stored: number, duplicate: number, filtered: number, rejected: object[]}>}
   */
  async store(...events) {
    const answer = await fetch(`${this.origin}${API}/events`, { method: "POST", body: JSON.stringify(events) });
    const body = /** @type {any} */ (await answer.json());
    if (!answer.ok || body.data.rejected.length > 0) throw new Error(JSON.stringify(body));
    return body.data;
  }

  /**
   * All events of a site, oldest first.
   * @param {string} [site]
   * @returns {Promise<Entry[]>}
   */
  async events(site = "default") {
    const events = [];
    let cursor = "";
    do {
      const page = await this.ask(`/timeline?limit=100&site=${site}${cursor && `&cursor=${cursor}`}`);
      for (const event of page.data) {
        const [, origin = "", rest = null] = /^(\w+:\/\/[^/]*)?(.*)$/.exec(event.page_url ?? "") ?? [];
        events.push({ ...event, origin, page_url: event.page_url && rest });
      }
      cursor = page.meta.next_cursor ?? "";
    } while (cursor);
    return events.reverse();
  }

  /**
   * Waits until an event of this type is there and answers all events of the site, oldest first.
   * A tracker delivers in order: what happened before the awaited event is there as well.
   * @param {string} type
   * @param {{site?: string, count?: number}} [options] `count`: how many of this type are awaited
   */
  async eventsUntil(type, { site = "default", count = 1 } = {}) {
    return until(`${count} ${type}`, async () => {
      const events = await this.events(site);
      return events.filter((event) => event.event_type === type).length >= count && events;
    });
  }

  /**
   * The value of a metric's only series, or the sum of those whose labels are as given.
   * @param {string} name
   * @param {Record<string, string>} [labels]
   */
  async metric(name, labels = {}) {
    const text = await (await fetch(`${this.origin}/metrics`)).text();
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return text
      .split("\n")
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      .filter((line) => wanted.every((pair) => line.includes(pair)))
      .reduce((sum, line) => sum + Number(line.split(" ").pop()), 0);
  }
}
