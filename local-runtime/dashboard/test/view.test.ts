import { beforeEach, expect, test, vi } from "vitest";
import { type Filter, added, condition, onlyPage, parsed, requires, written } from "../src/view/filter";

const is = (dimension: string, ...values: string[]): Filter => ({ operator: "is", dimension, values });

test("filters survive an address", () => {
  for (const filter of [is("event:page", "/a,b", "/c&d=e#f"), is("event:props:plan", "a b"), is("visit:source", "Direct / None"), is("visit:country", "")]) {
    expect(parsed(written(filter))).toEqual(filter);
  }
  expect(written(is("event:page", "/blog"))).toBe("is,event:page,/blog");
  for (const bad of ["", "is", "is,event:page", "was,event:page,/", "is,time:day,1", "is,event:page,%"]) expect(parsed(bad), bad).toBeNull();
});

test("a second value of a condition joins it, and another condition is added", () => {
  const one = added([], is("visit:country", "FR"));
  expect(added(one, is("visit:country", "BE"))).toEqual([is("visit:country", "FR", "BE")]);
  expect(added(one, is("visit:country", "FR"))).toEqual(one);
  expect(added(one, { ...is("visit:country", "BE"), operator: "is_not" })).toHaveLength(2);
});

test("what filters are about", () => {
  const not: Filter = { ...is("event:page", "/a"), operator: "is_not" };
  expect([onlyPage([is("event:page", "/a")]), onlyPage([is("event:page", "/a", "/b")]), onlyPage([not])]).toEqual(["/a", null, null]);
  expect([requires([is("event:goal", "x")], "event:goal"), requires([not], "event:page")]).toEqual([true, false]);
  expect(condition({ ...is("event:page", "A"), operator: "contains" })).toEqual(["contains", "event:page", ["A"], { case_sensitive: false }]);
});

beforeEach(() => {
  vi.resetModules();
  vi.stubGlobal("location", { search: "", pathname: "/" });
  vi.stubGlobal("document", { hidden: true });
  vi.stubGlobal("addEventListener", () => undefined);
});

test("the address has all of a view, and nothing that is usual", async () => {
  const { parse, search } = await import("../src/view/view");
  const usual = parse("");
  expect(search(usual, null)).toBe("");
  expect(search(usual, "a.b")).toBe("?site=a.b");
  const view = { ...usual, range: ["2026-01-01", "2026-01-31"] as const, filters: [is("event:page", "/ü,")], compare: "off" as const, unit: "week" as const, metric: "visits" as const };
  const address = search(view, null);
  expect(address).toBe("?from=2026-01-01&to=2026-01-31&compare=off&unit=week&metric=visits&f=is,event:page,/%C3%BC%2C");
  expect(parse(address)).toEqual(view);
  expect(parse("?period=century&metric=x&unit=y&f=no&from=2026-01-01")).toEqual(usual);
});
