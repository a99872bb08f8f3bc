import { expect, test } from "vitest";
import { pace } from "../src/time/pace";
import { dayBefore, dayOf, daysOf, elapsed, firstDay, lastDays, midnight, plusDays } from "../src/time/periods";

test("days are days in UTC, whatever the viewer's zone", () => {
  expect(dayOf(Date.parse("2025-12-31T23:59:59.999Z"))).toBe("2025-12-31");
  expect(dayOf(midnight("2026-01-01"))).toBe("2026-01-01");
  expect(plusDays("2024-02-28", 1)).toBe("2024-02-29");
  expect(plusDays("2026-03-29", 1)).toBe("2026-03-30");
  expect(plusDays("2026-01-01", -1)).toBe("2025-12-31");
});

test("weeks begin on Mondays, also around New Year", () => {
  expect(firstDay("week", "2026-01-01")).toBe("2025-12-29");
  expect(firstDay("week", "2025-12-29")).toBe("2025-12-29");
  expect(firstDay("week", "2025-12-28")).toBe("2025-12-22");
  expect(daysOf("week", "2026-01-01")).toEqual(lastDays("2026-01-04", 7));
});

test("months have their own lengths", () => {
  expect([1, 2, 4, 12].map((month) => daysOf("month", `2024-${String(month).padStart(2, "0")}-15`).length)).toEqual([31, 29, 30, 31]);
  expect(daysOf("month", "2026-02-28").length).toBe(28);
  expect(daysOf("day", "2026-02-28")).toEqual(["2026-02-28"]);
});

test("the period before ends where this one begins", () => {
  expect(dayBefore("day", "2026-03-01")).toBe("2026-02-28");
  expect(dayBefore("week", "2026-01-01")).toBe("2025-12-28");
  expect(dayBefore("month", "2026-03-31")).toBe("2026-02-28");
  expect(dayBefore("month", "2026-01-15")).toBe("2025-12-31");
});

test("how much has passed", () => {
  expect(elapsed("day", Date.parse("2026-06-01T06:00:00Z"))).toBe(0.25);
  expect(elapsed("week", Date.parse("2026-06-01T00:00:00Z"))).toBe(0);
  expect(elapsed("week", Date.parse("2026-06-07T23:59:59.999Z"))).toBeCloseTo(1, 6);
  expect(elapsed("month", Date.parse("2026-06-16T00:00:00Z"))).toBe(0.5);
});

test("the last days end with this one", () => {
  expect(lastDays("2026-03-02", 4)).toEqual(["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"]);
  expect(lastDays("2026-03-02", 30)).toHaveLength(30);
});

test("the pace of a period against the whole one before", () => {
  expect(pace(30, 100, 0.25)).toEqual({ share: 0.3, ahead: true });
  expect(pace(20, 100, 0.25)).toEqual({ share: 0.2, ahead: false });
  expect(pace(5, 0, 0.5)).toBeNull();
});
