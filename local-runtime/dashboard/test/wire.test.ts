import { expect, test } from "vitest";
import { spread } from "../src/parts/heat";
import { byElement } from "../src/parts/elements";
import { Malformed, answer, message, places, realtime, rows, sites, timeline } from "../src/wire";

const event = { id: "i", visitor_id: "v", event_type: "scroll", event_data: { depth: 5 }, page_url: null,
  referrer: "https://a.example/", created_at: "2026-01-02T03:04:05.678Z" };

test("answers are read", () => {
  const body = { success: true, data: [event], meta: { next_cursor: "c", degraded: true } };
  expect(answer(body, timeline)).toEqual({
    degraded: true,
    data: {
      events: [{ id: "i", visitor: "v", type: "scroll", data: { depth: 5 }, page: null,
        referrer: "https://a.example/", at: Date.parse("2026-01-02T03:04:05.678Z") }],
      next: "c",
    },
  });
  expect(answer({ success: true, data: [] }, sites)).toEqual({ data: [], degraded: false });
  const data = { results: [{ dimensions: ["/"], metrics: [1, null], comparison: { dimensions: null, metrics: [0, null], change: [100, null] } }], total_rows: 1 };
  const meta = { query: { timezone: "UTC", dimensions: ["event:page"] }, range: ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"] };
  expect(rows(data, meta)).toMatchObject({ rows: [{ dimensions: ["/"], metrics: [1, null], before: [0, null], change: [100, null] }], zone: "UTC", before: null, labels: [] });
});

test("what is not as agreed is no answer", () => {
  for (const body of [null, [], "x", {}, { success: false, data: [] }, { success: true, data: {} }]) {
    expect(() => answer(body, sites)).toThrow(Malformed);
  }
  for (const bad of [null, {}, { results: [{ dimensions: [1], metrics: [] }], total_rows: 0 }, { results: [{ dimensions: [], metrics: ["1"] }], total_rows: 0 }]) {
    expect(() => rows(bad, { query: { timezone: "UTC", dimensions: [] }, range: [] })).toThrow(Malformed);
  }
  expect(() => realtime({ current_visitors: Number.NaN })).toThrow(Malformed);
  expect(() => places([{ x: 1, y: 2, count: 3 }])).toThrow(Malformed);
  expect(() => timeline([{ ...event, created_at: "soon" }], {})).toThrow(Malformed);
  expect(() => timeline([{ ...event, event_data: [] }], {})).toThrow(Malformed);
});

test("messages of a kind that is not known are passed over", () => {
  expect(message('{"type":"pong","time":5}').kind).toBe("other");
  expect(message('{"type":"gap"}').kind).toBe("gap");
});

test("elements are where most of their clicks are", () => {
  const place = (x: number, count: number, element: string | null, page = "/"): Parameters<typeof byElement>[0][0] =>
    ({ x, y: 10, count, element, page });
  const found = byElement([place(10, 3, "#a"), place(20, 1, "#a"), place(50, 2, null), place(51, 2, null), place(10, 9, "#a", "/b")], 3);
  expect(found.map(({ x, count, page }) => [x, count, page])).toEqual([[10, 9, "/b"], [13, 4, "/"], [50, 2, "/"]]);
});

test("heat is highest where it was clicked, and adds up", () => {
  const [once, twice] = [1, 2].map((count) => spread([{ x: 50, y: 50, count }], 101, 101));
  expect(once?.indexOf(Math.max(...(once ?? [])))).toBe(50 * 101 + 50);
  expect(twice?.[50 * 101 + 52]).toBeCloseTo(2 * (once?.[50 * 101 + 52] ?? 0), 5);
  expect(once?.[0]).toBe(0);
  expect(spread([{ x: 0, y: 100, count: 1 }], 10, 10)[90]).toBe(1);
});
