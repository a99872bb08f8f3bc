// The documents: what they show is how it is, and what they offer to copy works.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { brotliCompressSync, constants } from "node:zlib";

import { API, setUp, until } from "./harness/index.mjs";

const world = setUp();

const BLANK = { text: `<!doctype html><link rel="icon" href="data:,"><title>Blank</title>` };

/** @param {string} name */
const read = (name) => readFile(new URL(`../../${name}`, import.meta.url), "utf8");

/** The code blocks of a language. @param {string} text @param {string} language */
const blocks = (text, language) =>
  [...text.matchAll(RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"))].map(([, code]) => String(code));

/** What a value looks like, without what it is. @param {any} value @returns {any} */
const shape = (value) =>
  value && typeof value === "object"
    ? Object.entries(value).map(([name, part]) => [name, name === "data" && "element" in part ? "…" : shape(part)])
    : typeof value;

test(
  "live.md: every message looks as it really does",
  world.test(async ({ server, site, visitor }) => {
    site.pages.set("/", BLANK);
    const page = await visitor.open(`${site.origin}/`);
    await page.evaluate(
      (origin) => {
        const got = /** @type {any[]} */ ([]);
        const socket = new WebSocket(`${origin}/ws/analytics`);
        socket.onmessage = ({ data }) => got.push(JSON.parse(data));
        Object.assign(window, { socket, got });
      },
      server.origin.replace("http", "ws"),
    );
    const got = () => page.evaluate(() => /** @type {any[]} */ (/** @type {any} */ (window).got));
    await until("connected", async () => (await got()).length > 0);
    await server.store({
      event_type: "button_click",
      event_data: { element: "#cta", x: 45, y: 20 },
      page_url: "/cv",
      visitor_id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    });
    await page.evaluate(() => {
      for (const message of [
        '{"type":"resume","after":"3f2504e0-4f89-41d3-9a0c-0305e82c3301"}',
        "hello",
        '{"type":"ping"}',
      ]) {
        /** @type {any} */ (window).socket.send(message);
      }
    });
    const text = await read("docs/live.md");
    const shown = [
      ...blocks(text, "json"),
      ...[...text.matchAll(/`(\{"type":"pong".*?\})`/g)].map(([, code]) => String(code)),
    ];
    assert.ok(shown.length >= 6);
    for (const message of shown.map((code) => JSON.parse(code))) {
      const real = await until(message.type, async () => (await got()).find(({ type }) => type === message.type));
      assert.deepEqual(shape(message), shape(real));
      if (message.error) assert.equal(message.error, real.error);
    }
  }),
);

test(
  "live.md: the browser's client misses nothing and shows nothing twice",
  world.test(async ({ server, site, visitor }) => {
    visitor.allow(/WebSocket connection/);
    site.pages.set("/", BLANK);
    const page = await visitor.open(`${site.origin}/`);
    const [code] = blocks(await read("docs/live.md"), "js");
    const run = String(code)
      .replace(/ws:\/\/127\.0\.0\.1:8080/, server.origin.replace("http", "ws"))
      .replace("console.log", "show");
    await page.evaluate((run) => {
      const shown = /** @type {any[]} */ ([]);
      Object.assign(window, { shown });
      new Function("show", run)((/** @type {any} */ message) => shown.push(message));
    }, run);
    const shown = () => page.evaluate(() => /** @type {any[]} */ (/** @type {any} */ (window).shown));
    const numbers = async () => (await shown()).filter((message) => message.id).map((message) => message.data.n);
    await until("connected", async () => (await shown()).length > 0);
    const visitor_id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    const store = (/** @type {number} */ n) => server.store({ event_type: "tick", event_data: { n }, visitor_id });
    await store(1);
    await until("one", async () => (await numbers()).length === 1);
    await server.stop();
    await server.start();
    await store(2);
    await store(3);
    await until("three", async () => (await numbers()).length >= 3);
    await store(4);
    await until("four", async () => (await numbers()).includes(4));
    assert.deepEqual(await numbers(), [1, 2, 3, 4]);
  }),
);

test(
  "tracker.md: the tag, the calls, the attributes, the size",
  world.test(async ({ server, site, visitor }) => {
    const text = await read("docs/tracker.md");
    const [tag, button] = blocks(text, "html");
    const [calls] = blocks(text, "js");
    const ours = (/** @type {string} */ code) => code.replaceAll("https://stats.example.com", server.origin);
    site.pages.set("/", {
      text: `<!doctype html><link rel="icon" href="data:,"><title>Copied</title>${ours(String(tag))}${button}`,
      headers: {
        "content-security-policy": `default-src 'none'; img-src data:; ${ours(text.match(/^script-src .*$/m)?.[0] ?? "")}`,
      },
    });
    const page = await visitor.open(`${site.origin}/`);
    await page.evaluate(String(calls));
    await page.click("button");
    const events = await server.eventsUntil("plan.chosen", { site: "cv.example.com" });
    assert.deepEqual(
      events.map(({ event_type, event_data }) => [event_type, event_type === "button_click" ? "…" : event_data]),
      [
        ["page_view", {}],
        ["video.played", { title: "Intro", seconds: 12.5 }],
        ["cv_theme_change", { theme: "backend" }],
        ["letter_generate", { letter_type: "motivation" }],
        ["page_view", {}],
        ["button_click", "…"],
        ["plan.chosen", { plan: "pro", seats: 3 }],
      ],
    );

    const sizes = [...text.matchAll(/([\d,]+) bytes with Brotli, ([\d,]+) with gzip/g)][0]
      ?.slice(1)
      .map((size) => Number(size.replace(",", "")));
    for (const [at, coding] of ["br", "gzip"].entries()) {
      const answer = await fetch(`${server.origin}/script.js`, { headers: { "accept-encoding": coding } });
      assert.equal(answer.headers.get("content-encoding"), coding);
      assert.equal(Number(answer.headers.get("content-length")), sizes?.[at], coding);
    }
    assert.ok(Number(sizes?.[0]) < 2_048);
    const plain = await (await fetch(`${server.origin}/script.js`)).text();
    // As the build compresses it.
    const params = { [constants.BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING]: 1 };
    assert.equal(brotliCompressSync(plain, { params }).length, sizes?.[0]);
    assert.match(text, RegExp(API));
  }),
);
