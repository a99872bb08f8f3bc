// The dashboard as its tests see it: what is sent to it, and what it shows.

import { randomUUID } from "node:crypto";

import { until } from "./wait.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("./server.mjs").AnalyticsServer} AnalyticsServer */

/** What the browser says on the console when the server is away, or says no. */
export const AWAY = /ERR_|WebSocket connection|Failed to load resource/;

/** An id that no visitor has. */
export const visitor = () => randomUUID();

/**
 * An event as senders send it.
 * @param {string} type
 * @param {{who?: string, page?: string, data?: object, ago?: number, site?: string}} [more]
 *   `ago`: how long ago it was, in milliseconds
 */
export function event(type, { who = visitor(), page = "/cv", data = {}, ago = 0, site } = {}) {
  return {
    event_type: type,
    event_id: randomUUID(),
    visitor_id: who,
    page_url: page,
    event_data: data,
    timestamp: new Date(Date.now() - ago).toISOString(),
    ...(site && { site }),
  };
}

/** A little of everything, by a few visitors. */
export function something() {
  const [a, b, c] = [visitor(), visitor(), visitor()];
  return [
    event("page_view", { who: a, page: "/cv?theme=backend" }),
    event("page_view", { who: b, page: "/cv?theme=backend" }),
    event("page_view", { who: c, page: "/projects" }),
    event("cv_theme_change", { who: a, data: { theme: "devops" } }),
    event("button_click", { who: a, data: { element: "#letter", x: 50, y: 22 } }),
    event("button_click", { who: b, data: { element: "#letter", x: 50, y: 22 } }),
    event("button_click", { who: b, data: { element: "#menu", x: 6, y: 5 } }),
    event("letter_generate", { who: a, page: "/letters", data: { letter_type: "motivation" } }),
    event("letter_generate", { who: b, page: "/letters", data: { letter_type: "anti_motivation" } }),
    event("letter_generate", { who: a, page: "/letters", data: { letter_type: "motivation" } }),
    event("shape_drawn", { who: c, data: { name: "circle" } }),
  ];
}

/**
 * A number on the page, as the machine reads it.
 * @param {Page} page
 * @param {string} name
 */
export async function figure(page, name) {
  return Number(await page.locator(`[data-figure="${name}"]`).first().getAttribute("data-value"));
}

/**
 * The ids of the events that are listed, in their order.
 * @param {Page} page
 * @returns {Promise<string[]>}
 */
export function listed(page) {
  return page.locator("[data-event]").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-event") ?? ""));
}

/**
 * Waits until the page lists just these events, in this order.
 * @param {Page} page
 * @param {string[]} ids
 */
export async function untilListed(page, ids) {
  await until(`${ids.length} events in their order`, async () => {
    const shown = await listed(page);
    if (shown.join() !== ids.join()) throw new Error(`shown are ${shown.length}`);
    return true;
  });
}

/**
 * Waits until a number has come to its value.
 * @param {Page} page
 * @param {string} name
 * @param {number} value
 */
export async function untilFigure(page, name, value) {
  await until(`${name} is ${value}`, async () => {
    const shown = await figure(page, name);
    if (shown !== value) throw new Error(String(shown));
    return true;
  });
}

/**
 * Waits until the connection is in this state.
 * @param {Page} page
 * @param {"live" | "waiting" | "absent"} state
 */
export async function untilConnection(page, state) {
  await page.locator(`.connection[data-state="${state}"]`).waitFor();
}

/** The ids of all events as the API has them, newest first. @param {AnalyticsServer} server */
export async function ids(server) {
  return (await server.events()).map(({ id }) => id).reverse();
}

/**
 * What a card lists: values and their visitors.
 * @param {Page} page
 * @param {string} card
 * @returns {Promise<[string, number][]>}
 */
export function rows(page, card) {
  return page.locator(`${card} .ranking [data-name]`).evaluateAll((all) =>
    all.map((row) => /** @type {[string, number]} */ ([row.getAttribute("data-name") ?? "", Number(row.getAttribute("data-value"))])),
  );
}

const AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * A line of an access log, so many days ago at noon.
 * @param {{days: number, path: string, host?: number}} line `host`: visitors of other hosts are others
 */
export function logLine({ days, path, host = 1 }) {
  const day = new Date(Date.now() - days * 86_400_000);
  const date = `${String(day.getUTCDate()).padStart(2, "0")}/${MONTHS[day.getUTCMonth()]}/${day.getUTCFullYear()}`;
  return `198.18.0.${host} - - [${date}:12:00:00 +0000] "GET ${path} HTTP/1.1" 200 5120 "-" "${AGENT}"`;
}
