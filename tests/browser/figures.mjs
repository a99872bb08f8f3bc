// Measures what the dashboard costs, as docs/figures.md has it: `ANALYTICS_BINARY=… node figures.mjs [ROUNDS]`,
// with a release build. The network and the processor are slowed down by the browser (Chrome DevTools Protocol).

import { event, untilConnection } from "./harness/dashboard.mjs";
import { AnalyticsServer } from "./harness/index.mjs";
import { Visitor, launch } from "./harness/browser.mjs";
import { lively } from "./harness/lively.mjs";

const ROUNDS = Number(process.argv[2] ?? 5);
/** 1.6 Mb/s, 150 ms to the answer's head, a processor four times slower. */
const NETWORK = { offline: false, latency: 150, downloadThroughput: 1_600_000 / 8, uploadThroughput: 750_000 / 8 };
const SLOWER = 4;
const FLOOD_MS = 62_000;
const IDLE_MS = 20_000;

/** @param {number[]} values */
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** @param {import("playwright-core").Page} page */
async function slowed(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Network.enable");
  await devtools.send("Network.emulateNetworkConditions", NETWORK);
  await devtools.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
}

/** One cold load. @param {import("playwright-core").Browser} browser @param {string} address @param {string} locale */
async function load(browser, address, locale) {
  const visitor = await Visitor.visit(browser, { locale });
  const page = await visitor.open();
  await slowed(page);
  /** @type {import("playwright-core").Response[]} */
  const answers = [];
  page.on("response", (answer) => answers.push(answer));
  await page.addInitScript(() => {
    const wanted = Object.entries({ number: "[data-figure=visitors][data-value]", chart: ".chart-plot svg path" });
    const look = () => {
      for (const [name, selector] of wanted) {
        if (performance.getEntriesByName(name).length === 0 && document.querySelector(selector)) performance.mark(name);
      }
      requestAnimationFrame(look);
    };
    look();
  });
  await page.goto(address);
  await page.locator(".line-before").waitFor({ state: "attached" });
  await untilConnection(page, "live");
  await page.locator(".timeline [data-event]").first().waitFor();
  await page.evaluate(() => document.fonts.ready);
  // The icon and the strip's further events come last.
  await page.waitForTimeout(1_000);
  const [number, chart] = await page.evaluate(() => ["number", "chart"].map((name) => performance.getEntriesByName(name)[0]?.startTime ?? Number.NaN));
  let bytes = 0;
  for (const answer of answers) {
    const sizes = await answer.request().sizes();
    bytes += sizes.responseBodySize + sizes.responseHeadersSize;
  }
  const timing = process.env.TIMING ? await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => `${Math.round(entry.startTime)}-${Math.round(/** @type {any} */ (entry).responseEnd)} ${entry.name.replace(/.*\//, "").slice(0, 40)}`)) : [];
  await visitor.end();
  // The feed is one more.
  return { number, chart, requests: answers.length + 1, bytes, timing };
}

/** How many queries a tab asks in a minute while 2,000 events a second come. @param {import("playwright-core").Browser} browser @param {AnalyticsServer} server */
async function flood(browser, server) {
  const visitor = await Visitor.visit(browser);
  const page = await visitor.open(`${server.origin}/`);
  await untilConnection(page, "live");
  await page.waitForTimeout(5_000);
  /** @type {number[]} */
  const asked = [];
  page.on("request", (request) => {
    const body = request.postData();
    const queries = body?.startsWith("[") ? JSON.parse(body).length : 1;
    if (request.url().includes("/api/")) for (let query = 0; query < queries; query += 1) asked.push(Date.now());
  });
  const end = Date.now() + FLOOD_MS;
  while (Date.now() < end) {
    await server.store(...Array.from({ length: 20 }, () => event("page_view")));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await visitor.end();
  return Math.max(...asked.map((start) => asked.filter((at) => at >= start && at < start + 60_000).length));
}

/** What share of a processor a tab takes that shows nothing new. @param {import("playwright-core").Browser} browser @param {AnalyticsServer} server */
async function idle(browser, server) {
  const visitor = await Visitor.visit(browser);
  const page = await visitor.open(`${server.origin}/`);
  await untilConnection(page, "live");
  await page.waitForTimeout(5_000);
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Performance.enable");
  const busy = async () => (await devtools.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN;
  const before = await busy();
  await page.waitForTimeout(IDLE_MS);
  const share = (await busy() - before) / (IDLE_MS / 1_000);
  await visitor.end();
  return share;
}

const browser = await launch();
/** @type {AnalyticsServer[]} */
const servers = [];
try {
  const server = await AnalyticsServer.start();
  servers.push(server);
  await lively(server);
  // The newest event is also the last that was stored: nothing is news to a page that is opened now.
  await server.store(event("page_view"));
  for (const locale of ["en-GB", "fr-FR"]) {
    const loads = [];
    for (let round = 0; round < ROUNDS; round += 1) loads.push(await load(browser, `${server.origin}/`, locale));
    for (const line of loads.at(-1)?.timing ?? []) console.log(line);
    console.log(`${locale}: first number ${median(loads.map(({ number }) => number)).toFixed(0)} ms, chart ${median(loads.map(({ chart }) => chart)).toFixed(0)} ms (median of ${ROUNDS}; all: ${loads.map(({ number, chart }) => `${number.toFixed(0)}/${chart.toFixed(0)}`).join(" ")}), ${Math.max(...loads.map(({ requests }) => requests))} requests, ${Math.max(...loads.map(({ bytes }) => bytes))} bytes`);
  }
  if (!process.env.LOADS_ONLY) {
    console.log(`a flood: ${await flood(browser, server)} queries in a minute`);
    const quiet = await AnalyticsServer.start();
    servers.push(quiet);
    await quiet.store(event("page_view", { ago: 600_000 }));
    console.log(`idle: ${(100 * await idle(browser, quiet)).toFixed(2)}% of a processor`);
  }
} finally {
  await browser.close();
  for (const server of servers) await server.remove();
}
