import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Backoff } from "../src/live/backoff";
import { Feed } from "../src/live/feed";
import { Seen } from "../src/live/seen";

class Socket {
  static all: Socket[] = [];
  sent: unknown[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  closed = false;

  constructor() {
    Socket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.closed = true;
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  event(id: string): void {
    this.say({ type: "page_view", id, visitor_id: "v", timestamp: "2026-01-01T00:00:00Z", page_url: "/", data: {} });
  }
}

const figures = { current_visitors: 3, unique_today: 4, total_events: 5, letters_today: 6, timestamp: 7 };

function start({ answers = false } = {}) {
  Socket.all = [];
  const told: string[] = [];
  const feed = new Feed(
    () => new Socket() as unknown as WebSocket,
    {
      event: ({ id }) => told.push(id),
      figures: ({ visitors }) => told.push(`figures ${visitors}`),
      gap: () => told.push("gap"),
      open: () => told.push("open"),
      answers: () => answers,
    },
    () => 1,
  );
  feed.start();
  return { feed, told, socket: () => Socket.all.at(-1) as Socket };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("what is delivered, and only that", () => {
  const { feed, told, socket } = start();
  expect(feed.state.value).toBe("connecting");
  socket().onopen?.();
  expect(feed.state.value).toBe("live");
  socket().say({ type: "initial_stats", data: figures });
  socket().event("a");
  socket().event("a");
  socket().say({ type: "heartbeat", data: figures });
  // An event whose name is a message's is an event: it has an id.
  socket().say({ type: "gap", id: "b", visitor_id: "v", timestamp: "2026-01-01T00:00:00Z", page_url: null, data: {} });
  for (const odd of ["x", "null", "[]", "{}", '{"type":"heartbeat"}', '{"type":"x","id":"c"}']) {
    socket().onmessage?.({ data: odd });
  }
  expect(told).toEqual(["open", "figures 3", "a", "figures 3", "b"]);
  expect(socket().sent).toEqual([]);
});

test("after a break it asks for what came after the last event, and tells none twice", () => {
  const { feed, told, socket } = start();
  socket().onopen?.();
  socket().event("a");
  socket().event("b");
  socket().onclose?.();
  expect(feed.state.value).toBe("waiting");
  vi.advanceTimersByTime(499);
  expect(Socket.all).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(Socket.all).toHaveLength(2);
  socket().onopen?.();
  expect(socket().sent).toEqual([{ type: "resume", after: "b" }]);
  for (const id of ["b", "c", "d", "c"]) socket().event(id);
  expect(told).toEqual(["open", "a", "b", "open", "c", "d"]);
});

test("what is known from the timeline is where the feed goes on", () => {
  const { feed, socket } = start();
  socket().onopen?.();
  feed.known("n");
  expect(socket().sent).toEqual([{ type: "resume", after: "n" }]);
  feed.known("older");
  expect(socket().sent).toHaveLength(1);

  const early = start();
  early.feed.known("n");
  early.socket().onopen?.();
  expect(early.socket().sent).toEqual([{ type: "resume", after: "n" }]);
});

test("after a gap it goes on from what is read next", () => {
  const { feed, told, socket } = start();
  socket().onopen?.();
  socket().event("a");
  socket().say({ type: "gap" });
  feed.known("z");
  expect(told.at(-1)).toBe("gap");
  expect(socket().sent).toEqual([{ type: "resume", after: "z" }]);
});

test("what is refused counts as missed, and is asked for again by the next connection", () => {
  const { told, socket } = start();
  socket().onopen?.();
  socket().event("a");
  socket().say({ type: "error", error: "missed events cannot be had now; try again later" });
  expect(told.at(-1)).toBe("gap");
  socket().onclose?.();
  vi.advanceTimersByTime(500);
  socket().onopen?.();
  expect(socket().sent).toEqual([{ type: "resume", after: "a" }]);
});

test("pauses grow, and shrink again when something is heard", () => {
  const { feed, socket } = start();
  const pauses: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    const before = Date.now();
    socket().onclose?.();
    vi.advanceTimersToNextTimer();
    pauses.push(Date.now() - before);
  }
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  socket().onopen?.();
  socket().say({ type: "heartbeat", data: figures });
  socket().onclose?.();
  vi.advanceTimersByTime(500);
  expect(Socket.all).toHaveLength(10);
  expect(feed.state.value).toBe("waiting");
});

test("a server that answers and refuses the feed has none, and is asked for it seldom", () => {
  const { feed, socket } = start({ answers: true });
  socket().onclose?.();
  expect(feed.state.value).toBe("waiting");
  vi.advanceTimersByTime(500);
  socket().onclose?.();
  expect(feed.state.value).toBe("absent");
  vi.advanceTimersByTime(119_999);
  expect(Socket.all).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(Socket.all).toHaveLength(3);
  expect(feed.state.value).toBe("absent");
  socket().onopen?.();
  expect(feed.state.value).toBe("live");
  socket().onclose?.();
  expect(feed.state.value).toBe("waiting");
});

test("a connection that is silent is given up, and what it says late is not heard", () => {
  const { feed, told, socket } = start();
  socket().onopen?.();
  vi.advanceTimersByTime(12_000);
  socket().say({ type: "heartbeat", data: figures });
  vi.advanceTimersByTime(12_000);
  expect(feed.state.value).toBe("live");
  const silent = socket();
  vi.advanceTimersByTime(600);
  expect(silent.closed).toBe(true);
  expect(feed.state.value).toBe("waiting");
  silent.event("late");
  silent.onclose?.();
  expect(told).not.toContain("late");
});

test("to start again is to connect at once, and only once", () => {
  const { feed, socket } = start();
  feed.start();
  expect(Socket.all).toHaveLength(1);
  socket().onclose?.();
  feed.start();
  expect(Socket.all).toHaveLength(2);
  vi.advanceTimersByTime(5_000);
  expect(Socket.all).toHaveLength(2);
});

test("ids are remembered, the oldest not for ever", () => {
  const seen = new Seen(2);
  expect(["a", "b", "a", "c", "a"].map((id) => seen.add(id))).toEqual([true, true, false, true, true]);
});

test("pauses are never all the same", () => {
  const pauses = [0, 0.5, 1].map((random) => new Backoff(1_000, 8_000, () => random).next());
  expect(pauses).toEqual([500, 750, 1_000]);
});
