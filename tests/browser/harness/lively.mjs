// A site with a past, for pictures: weeks of page views from a log, a day of events, and a crowd.

import { event, visitor } from "./dashboard.mjs";

const DAY_MS = 86_400_000;
const AGENTS = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
];
const REFERRERS = ["-", "-", "-", "https://www.google.com/", "https://www.google.com/", "https://www.linkedin.com/", "https://github.com/", "https://news.ycombinator.com/item"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const THEMES = ["backend", "backend", "backend", "fullstack", "fullstack", "devops", "devops", "frontend", "data", "security"];
const PAGES = ["/", "/projects", "/letters", "/contact"];
/** What is clicked, where, and how often compared to others. @type {[string, number, number, number][]} */
const CLICKS = [
  ["#generate-letter", 50, 22, 9],
  ["#theme-switch", 88, 6, 6],
  ["#download-pdf", 74, 14, 5],
  ["a.projects", 26, 48, 4],
  ["#skills", 40, 63, 3],
  ["#contact", 62, 90, 2],
  ["nav .menu", 6, 5, 4],
];

/** The same numbers every time. @param {number} seed */
function dice(seed) {
  let state = seed;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return {
    random,
    /** @template T @param {readonly T[]} list @returns {T} */
    pick: (list) => /** @type {T} */ (list[Math.floor(random() * list.length)]),
    /** Near the middle more often than far from it. @param {number} middle @param {number} width */
    near: (middle, width) => middle + (random() + random() + random() - 1.5) * width,
  };
}

/** @param {import("./server.mjs").AnalyticsServer} server */
export async function lively(server) {
  const now = Date.now();
  const { random, pick, near } = dice(7);
  const lines = [];
  for (let back = 62; back >= 1; back -= 1) {
    const day = new Date(now - back * DAY_MS);
    const weekend = [0, 6].includes(day.getUTCDay());
    const visitors = Math.round(near((weekend ? 70 : 130) + (62 - back) * (weekend ? 0.8 : 1.6), 40));
    for (let one = 0; one < visitors; one += 1) {
      const address = [0, 0, 0].map(() => Math.floor(random() * 250)).join(".");
      const [agent, referrer] = [pick(AGENTS), pick(REFERRERS)];
      const hour = near(12, 11);
      const date = `${String(day.getUTCDate()).padStart(2, "0")}/${MONTHS[day.getUTCMonth()]}/${day.getUTCFullYear()}`;
      for (let view = 0; view < 1 + Math.floor(random() * 4); view += 1) {
        const time = [hour, view * 4 + random() * 4, random() * 60].map((part) => String(Math.floor(part)).padStart(2, "0"));
        const path = random() < 0.65 ? `/cv?theme=${pick(THEMES)}` : pick(PAGES);
        lines.push(`10.${address} - - [${date}:${time.join(":")} +0000] "GET ${path} HTTP/1.1" 200 5120 "${view === 0 ? referrer : "-"}" "${agent}"`);
      }
    }
  }
  await server.import(lines.join("\n"));

  const weighted = CLICKS.flatMap((click) => Array.from({ length: click[3] }, () => click));
  const events = [];
  for (let one = 0; one < 300; one += 1) {
    const who = visitor();
    // The last five minutes are livelier than the rest of the day.
    let ago = one < 46 ? random() * 290_000 : 300_000 + random() ** 1.5 * (DAY_MS - 1_500_000);
    const tick = () => {
      ago = Math.max(500, ago - random() * 25_000);
      return ago;
    };
    events.push(event("page_view", { who, page: `/cv?theme=${pick(THEMES)}`, ago }));
    for (let click = 0; click < Math.floor(random() * 5); click += 1) {
      const [element, x, y] = pick(weighted);
      const place = { x: Math.min(100, Math.max(0, near(x, 5))), y: Math.min(100, Math.max(0, near(y, 4))) };
      events.push(event("button_click", { who, page: random() < 0.85 ? "/cv" : pick(PAGES), data: { element, ...place }, ago: tick() }));
    }
    if (random() < 0.25) events.push(event("cv_theme_change", { who, data: { theme: pick(THEMES) }, ago: tick() }));
    if (random() < 0.3) events.push(event("scroll", { who, data: { depth: pick([25, 50, 75, 100]) }, ago: tick() }));
    if (random() < 0.16) {
      const letter_type = pick(["motivation", "motivation", "motivation", "anti_motivation"]);
      events.push(event("letter_generate", { who, page: "/letters", data: { letter_type }, ago: tick() }));
      if (random() < 0.4) events.push(event("pdf_download", { who, page: "/letters", data: { letter_type }, ago: tick() }));
    }
  }
  for (let at = 0; at < events.length; at += 400) await server.store(...events.slice(at, at + 400));
}
