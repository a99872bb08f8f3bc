import { expect, test } from "vitest";
import { type Range, NAMED, bucket, dateIn, datesOf, isRunning, parseEnds, plusMonths, shifted, units } from "../src/view/range";

const TODAY = "2026-03-15";
const NOW = Date.parse("2026-03-15T12:00:00Z");

test("ranges by name are the server's", () => {
  expect(datesOf("day", TODAY)).toEqual([TODAY, TODAY]);
  expect(datesOf("1d", TODAY)).toEqual(["2026-03-14", "2026-03-14"]);
  expect(datesOf("7d", TODAY)).toEqual(["2026-03-08", "2026-03-14"]);
  expect(datesOf("month", TODAY)).toEqual(["2026-03-01", "2026-03-31"]);
  expect(datesOf("1mo", TODAY)).toEqual(["2026-02-01", "2026-02-28"]);
  expect(datesOf("12mo", TODAY)).toEqual(["2025-03-01", "2026-02-28"]);
  expect(datesOf("year", TODAY)).toEqual(["2026-01-01", "2026-12-31"]);
  expect([datesOf("all", TODAY), datesOf("30m", TODAY)]).toEqual([null, null]);
});

test("earlier and later ranges are as long, months stay months, and names are found again", () => {
  const step = (range: Range, by: -1 | 1): Range | null => shifted(range, by, TODAY, NOW);
  expect(step("day", -1)).toBe("1d");
  expect(step("1d", 1)).toBe("day");
  expect(step("day", 1)).toBeNull();
  expect(step("7d", -1)).toEqual(["2026-03-01", "2026-03-07"]);
  expect(step(["2026-03-01", "2026-03-07"], 1)).toBe("7d");
  expect(step("month", -1)).toBe("1mo");
  expect(step("1mo", -1)).toEqual(["2026-01-01", "2026-01-31"]);
  expect(step(["2026-01-01", "2026-01-31"], 1)).toBe("1mo");
  expect(step("year", -1)).toEqual(["2025-01-01", "2025-12-31"]);
  expect(step("all", -1)).toBeNull();
  for (const name of NAMED) {
    const earlier = step(name, -1);
    if (earlier !== null) expect(shifted(earlier, 1, TODAY, NOW), name).toBe(name);
  }
  expect(step(["2026-03-15T10:00:00Z", "2026-03-15T10:59:59Z"], -1)).toEqual(["2026-03-15T09:00:00.000Z", "2026-03-15T09:59:59.000Z"]);
  expect(step(["2026-03-15T12:00:00Z", "2026-03-15T12:59:59Z"], 1)).toBeNull();
});

test("what now belongs to", () => {
  expect((["day", "month", "year", "all", "30m", [TODAY, "2026-04-01"]] as Range[]).every((range) => isRunning(range, TODAY))).toBe(true);
  expect((["1d", "7d", "1mo", "12mo", ["2026-03-01", "2026-03-02"]] as Range[]).some((range) => isRunning(range, TODAY))).toBe(false);
});

test("ends from an address", () => {
  expect(parseEnds("2026-01-01", "2026-01-31")).toEqual(["2026-01-01", "2026-01-31"]);
  expect(parseEnds("2026-01-01T00:00:00+01:00", "2026-01-01T00:59:59+01:00")).not.toBeNull();
  for (const [from, to] of [["2026-02-01", "2026-01-31"], ["2026-13-01", "2026-13-02"], ["x", "y"], ["2026-01-01", null], ["2026-01-01", "2026-01-02T00:00:00Z"]] as const) {
    expect(parseEnds(from, to), `${from} ${to}`).toBeNull();
  }
});

test("a bucket is a range of its own", () => {
  const days = ["2026-03-01", "2026-03-02"];
  expect(bucket(days, 1, "day", null)).toEqual(["2026-03-02", "2026-03-02"]);
  expect(bucket(["2026-02-25", "2026-03-02"], 0, "week", "2026-03-04")).toEqual(["2026-02-25", "2026-03-01"]);
  expect(bucket(["2026-02-25", "2026-03-02"], 1, "week", "2026-03-04")).toEqual(["2026-03-02", "2026-03-04"]);
  expect(bucket(["2026-02-01"], 0, "month", null)).toEqual(["2026-02-01", "2026-02-28"]);
  expect(bucket(["2026-10-25T02:00:00+01:00"], 0, "hour", null)).toEqual(["2026-10-25T02:00:00+01:00", "2026-10-25T02:59:59+01:00"]);
  expect(bucket(["2026-10-25T02:00:00+01:00"], 0, "minute", null)).toBeNull();
});

test("units suit the range", () => {
  expect((["30m", "day", "7d", "28d", "91d", "12mo", "all"] as Range[]).map((range) => units(range, TODAY).best)).toEqual(
    ["minute", "hour", "day", "day", "day", "month", "time"],
  );
});

test("calendars", () => {
  expect([plusMonths("2026-01-31", 1), plusMonths("2024-01-31", 1), plusMonths("2026-01-31", -2)]).toEqual(["2026-02-28", "2024-02-29", "2025-11-30"]);
  expect(dateIn("Asia/Tokyo", Date.parse("2026-03-14T20:00:00Z"))).toBe(TODAY);
});
