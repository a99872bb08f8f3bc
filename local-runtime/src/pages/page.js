// The page at `/`: asks the API, listens to the live feed, and shows both. Everything that
// comes from elsewhere is put in as text, never as markup.

const API = "/api/v1/analytics";
const SITE = new URLSearchParams(location.search).get("site") ?? "default";
const PAGE = 50;
const MOST_SHOWN = 500;
// Aggregates are asked for at most this often while events arrive.
const REFRESH_MS = 2_000;
const LONGEST_PAUSE_MS = 30_000;

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat();
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const relative = new Intl.RelativeTimeFormat(undefined, { style: "narrow" });
const dayName = new Intl.DateTimeFormat(undefined, { weekday: "short", timeZone: "UTC" });
const dayLong = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

let period = "day";
let cursor = null;
let newest = null;
const shown = new Set();
const pulse = [];

// --- asking -------------------------------------------------------------------------------------

async function ask(path, parameters = {}) {
  const query = new URLSearchParams({ site: SITE, ...parameters });
  const response = await fetch(`${API}${path}?${query}`).catch(() => {
    throw new Error("The server does not answer.");
  });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.error ?? `The server answered ${response.status}.`);
  return body;
}

function trouble(error) {
  $("problem").textContent = error ? `${error.message} Trying again.` : "";
  $("problem").hidden = !error;
}

// One round at a time, and a pause behind it; what is asked for meanwhile makes one more round.
// Another period is not kept waiting by the pause.
let busy = false;
let pausing = null;
let wanted = false;
let hasty = false;

function refresh() {
  if (busy || pausing) wanted = true;
  else round();
}

function refreshAtOnce() {
  if (busy) hasty = true;
  else round();
}

async function round() {
  clearTimeout(pausing);
  [busy, wanted, hasty] = [true, false, false];
  const asked = period;
  try {
    const [stats, themes, letters, days] = await Promise.all([
      ask("/stats", { period }),
      ask("/themes", { period, limit: 8 }),
      ask("/letters", { period }),
      // One day is no chart.
      period === "day" ? ask("/letters", { period: "week" }) : null,
    ]);
    if (asked === period) {
      showStats(stats.data);
      showThemes(themes.data, stats.data.period_key);
      showLetters(letters.data, (days ?? letters).data);
    }
    trouble(null);
  } catch (error) {
    trouble(error);
    wanted = true;
  }
  busy = false;
  if (hasty) {
    round();
    return;
  }
  pausing = setTimeout(() => {
    pausing = null;
    if (wanted) round();
  }, REFRESH_MS);
}

function askNow() {
  ask("/realtime").then(({ data }) => showNow(data), trouble);
}

async function loadTimeline() {
  try {
    const { data, meta } = await ask("/timeline", { limit: PAGE });
    shown.clear();
    $("timeline").replaceChildren();
    data.forEach((event) => addEvent(event, "last"));
    newest ??= data[0]?.id ?? null;
    setCursor(meta.next_cursor);
    showTimelineState();
  } catch (error) {
    trouble(error);
    setTimeout(loadTimeline, REFRESH_MS);
  }
}

async function loadOlder() {
  $("more").disabled = true;
  try {
    const { data, meta } = await ask("/timeline", { limit: PAGE, cursor });
    data.forEach((event) => addEvent(event, "last"));
    setCursor(meta.next_cursor);
  } catch (error) {
    trouble(error);
  }
  $("more").disabled = false;
}

function setCursor(next) {
  cursor = next;
  $("more").hidden = !next || shown.size >= MOST_SHOWN;
}

// --- showing ------------------------------------------------------------------------------------

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function showNow(data) {
  $("now").textContent = number.format(data.current_visitors);
  document.title = `${data.current_visitors} · maicivy analytics`;
  pulse.push(data.current_visitors);
  if (pulse.length > 60) pulse.shift();
  const [low, high] = [Math.min(...pulse), Math.max(...pulse)];
  const height = (value) => (high > low ? 26 - ((value - low) / (high - low)) * 24 : 14);
  const points = pulse.map((value, at) => `${(at * 120) / Math.max(1, pulse.length - 1)},${height(value)}`);
  $("pulse").firstElementChild.setAttribute("points", points.join(" "));
  // On the day itself that would say the same twice.
  const today = (count) => (period === "day" ? "today" : `${number.format(count)} today`);
  $("unique-note").textContent = today(data.unique_today);
  $("events-note").textContent = today(data.total_events);
  $("letters-note").textContent = today(data.letters_today);
}

function showStats(data) {
  $("unique").textContent = number.format(data.unique_visitors);
  $("views").textContent = number.format(data.page_views);
  $("events").textContent = number.format(data.total_events);
  $("letters").textContent = number.format(data.letters_generated);
  $("conversion").textContent = percent.format(data.conversion_rate);
  const each = data.unique_visitors ? data.page_views / data.unique_visitors : 0;
  $("views-note").textContent = each ? `${each.toFixed(1)} a visitor` : "";
}

function showThemes(themes, when) {
  $("themes-when").textContent = when;
  $("themes-empty").hidden = themes.length > 0;
  const most = Math.max(1, ...themes.map((theme) => theme.views));
  $("themes").replaceChildren(
    ...themes.map((theme) => {
      const row = element("li");
      row.style.setProperty("--share", `${(theme.views / most) * 100}%`);
      row.append(
        element("span", "name", theme.theme),
        element("span", "count", number.format(theme.views)),
        element("span", "percent", percent.format(theme.percentage / 100)),
      );
      return row;
    }),
  );
}

function showLetters(data, days) {
  $("letters-when").textContent = data.period_key;
  $("letters-empty").hidden = data.total > 0;
  $("kinds").hidden = $("split").hidden = data.total === 0;
  $("days").hidden = $("days-when").hidden = days.total === 0 || days.history.length < 2;
  $("days-when").textContent = `${days.period_key}, by day`;
  const unsaid = data.total - data.motivation - data.anti_motivation;
  const kinds = [
    ["", "motivation", data.motivation],
    ["anti", "anti-motivation", data.anti_motivation],
    ...(unsaid > 0 ? [["none", "neither", unsaid]] : []),
  ];
  $("kinds").replaceChildren(
    ...kinds.map(([className, name, count]) => {
      const row = element("li", className);
      row.append(element("strong", "", number.format(count)), name);
      return row;
    }),
  );
  $("split").replaceChildren(
    ...kinds.map(([className, , count]) => {
      const part = element("span", className);
      part.style.setProperty("flex-grow", count);
      return part;
    }),
  );
  const most = Math.max(1, ...days.history.map((day) => day.count));
  $("days").replaceChildren(
    ...days.history.map(({ date, count }) => {
      const day = new Date(`${date}T00:00:00Z`);
      const column = element("li");
      column.title = `${dayLong.format(day)}: ${number.format(count)}`;
      column.toggleAttribute("data-zero", count === 0);
      column.style.setProperty("--share", count / most);
      column.append(
        element("span", "value", count ? number.format(count) : ""),
        element("span", "column"),
        element("span", "label", days.period === "month" ? String(day.getUTCDate()) : dayName.format(day)),
      );
      return column;
    }),
  );
}

function addEvent(event, where) {
  if (shown.has(event.id)) return;
  shown.add(event.id);
  const row = element("li", where === "first" ? "fresh" : "");
  row.dataset.id = event.id;

  const kind = element("span", "kind", event.event_type.replaceAll("_", " "));
  if (event.event_type === "letter_generate") kind.dataset.of = "letter";
  const what = element("span", "what", event.page_url ?? "–");
  what.title = [event.page_url, event.referrer && `from ${event.referrer}`].filter(Boolean).join(" ");
  const detail = detailOf(event);
  if (detail) what.append(element("small", "", detail));
  const who = element("span", "who", event.visitor_id.slice(0, 8));
  who.style.setProperty("--hue", parseInt(event.visitor_id.slice(0, 4), 16) % 360);
  who.title = `visitor ${event.visitor_id}`;
  const time = element("time", "", ago(event.created_at));
  time.dateTime = event.created_at;
  time.title = new Date(event.created_at).toLocaleString();

  row.append(kind, what, who, time);
  // Late events go where their time belongs; nearly all go to the very top.
  const rows = $("timeline");
  let below = where === "first" ? rows.firstElementChild : null;
  while (below && below.lastElementChild.dateTime > event.created_at) below = below.nextElementSibling;
  rows.insertBefore(row, below);
  while (where === "first" && shown.size > MOST_SHOWN) {
    shown.delete(rows.lastElementChild.dataset.id);
    rows.lastElementChild.remove();
  }
}

function detailOf({ event_data: data, referrer }) {
  const said = ["theme", "letter_type", "button", "element", "depth"].map((name) => data?.[name]);
  if (typeof data?.x === "number" && typeof data?.y === "number") said.push(`at ${data.x} %, ${data.y} %`);
  if (referrer) said.push(`from ${referrer.replace(/^https?:\/\/(www\.)?/, "").replace(/\/$/, "")}`);
  const plain = said.filter((value) => typeof value === "string" || typeof value === "number");
  return plain.join(" · ").replaceAll("_", "-");
}

function ago(instant) {
  const seconds = Math.round((Date.parse(instant) - Date.now()) / 1000);
  if (Math.abs(seconds) < 5) return "now";
  if (Math.abs(seconds) < 60) return relative.format(seconds, "second");
  if (Math.abs(seconds) < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (Math.abs(seconds) < 86_400) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86_400), "day");
}

function showTimelineState() {
  const empty = shown.size === 0;
  $("timeline-empty").hidden = !empty;
  $("welcome").hidden = !empty;
}

// --- the live feed ------------------------------------------------------------------------------

let pause = 1_000;

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws/analytics?${new URLSearchParams({ site: SITE })}`);
  socket.onopen = () => {
    pause = 1_000;
    state("live", "live");
    // What was missed while there was no connection comes first, in order.
    if (newest) socket.send(JSON.stringify({ type: "resume", after: newest }));
    else loadTimeline();
    refresh();
  };
  socket.onmessage = ({ data }) => receive(JSON.parse(data));
  socket.onclose = () => {
    state("lost", "reconnecting");
    const wait = pause * (0.75 + Math.random() / 2);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    setTimeout(connect, wait);
  };
}

function receive(message) {
  switch (message.type) {
    case "initial_stats":
    case "heartbeat":
      showNow(message.data);
      break;
    case "gap":
      newest = null;
      loadTimeline();
      refresh();
      break;
    case "pong":
    case "error":
      break;
    default:
      newest = message.id;
      addEvent(
        {
          id: message.id,
          visitor_id: message.visitor_id,
          event_type: message.type,
          event_data: message.data,
          page_url: message.page_url,
          created_at: message.timestamp,
        },
        "first",
      );
      showTimelineState();
      refresh();
  }
}

function state(name, text) {
  $("connection").dataset.state = name;
  $("connection").textContent = text;
}

// --- starting -----------------------------------------------------------------------------------

$("site").textContent = SITE;
const first = { event_type: "page_view", page_url: "/cv?theme=backend", visitor_id: crypto.randomUUID?.() ?? "3f2504e0-4f89-41d3-9a0c-0305e82c3301", site: SITE };
$("try").textContent = `curl ${location.origin}${API}/event -d '${JSON.stringify(first)}'`;
$("embed").textContent = `<script defer src="${location.origin}/script.js" data-site="${SITE}"></script>\nlocal-runtime demo --url ${location.origin} --site ${SITE}`;
for (const input of document.querySelectorAll("input[name=period]")) {
  // A reload may keep what was chosen before.
  if (input.checked) period = input.value;
  input.addEventListener("change", () => {
    period = input.value;
    refreshAtOnce();
    askNow();
  });
}
$("more").addEventListener("click", loadOlder);
setInterval(() => {
  for (const time of document.querySelectorAll("#timeline time")) time.textContent = ago(time.dateTime);
}, 10_000);
loadTimeline();
refresh();
askNow();
connect();
