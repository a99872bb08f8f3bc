import { expect, test } from "vitest";
import { type Listed, NOTHING, afresh, caughtUp, withNews, withOlder } from "../src/state/list";
import type { Happening } from "../src/wire";

const event = (at: number, id = `id-${at}`): Happening => ({
  id, at, visitor: "v", type: "page_view", data: {}, page: null, referrer: null,
});
const ids = ({ events }: Listed): string[] => events.map(({ id }) => id);

test("news come first, each once, however often and late they arrive", () => {
  let listed = withNews(NOTHING, [event(3), event(1)]);
  listed = withNews(listed, [event(3), event(2), event(5), event(5)]);
  expect(ids(listed)).toEqual(["id-5", "id-3", "id-2", "id-1"]);
  expect(withNews(listed, [])).toBe(listed);
});

test("events of the same time stand as the server has them, by id", () => {
  expect(ids(withNews(NOTHING, [event(1, "a"), event(1, "c"), event(1, "b")]))).toEqual(["c", "b", "a"]);
});

test("what is older than the page waits for its own page", () => {
  const page = afresh(NOTHING, { events: [event(9), event(8), event(7)], next: "cursor" });
  const late = withNews(page, [event(5), event(8, "id-8-late")]);
  expect(ids(late)).toEqual(["id-9", "id-8-late", "id-8", "id-7"]);
  const more = withOlder(late, { events: [event(6), event(5)], next: null });
  expect(ids(more)).toEqual(["id-9", "id-8-late", "id-8", "id-7", "id-6", "id-5"]);
  expect(ids(withNews(more, [event(1)]))).toContain("id-1");
});

test("the first page anew keeps what was told since it was asked for, and nothing older", () => {
  const listed = withNews(NOTHING, [event(4), event(3), event(2), event(12), event(11)]);
  const again = afresh(listed, { events: [event(11), event(10), event(9)], next: "cursor" });
  expect(ids(again)).toEqual(["id-12", "id-11", "id-10", "id-9"]);
  expect(again.next).toBe("cursor");
});

test("who reads further down keeps what is there, unless that would leave a hole", () => {
  const listed = withNews({ ...NOTHING, next: "older" }, [event(5), event(4), event(3)]);
  expect(ids(caughtUp(listed, { events: [event(7), event(6), event(5)], next: "c" }))).toEqual(["id-7", "id-6", "id-5", "id-4", "id-3"]);
  const far = caughtUp(listed, { events: [event(99), event(98)], next: "c" });
  expect(ids(far)).toEqual(["id-99", "id-98"]);
  expect(far.next).toBe("c");
  expect(ids(caughtUp(listed, { events: [event(8)], next: null }))).toContain("id-3");
});

test("any order of news and pages ends in the same list", () => {
  const all = Array.from({ length: 40 }, (_, at) => event(Math.floor(at / 2), `id-${String(at).padStart(2, "0")}`));
  const sorted = [...all].reverse().map(({ id }) => id);
  for (let seed = 1; seed <= 50; seed += 1) {
    let state = seed;
    const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    let listed = afresh(NOTHING, { events: [...all].reverse().slice(25, 35), next: "more" });
    const news = [...all.slice(15), ...all.slice(20)].sort(() => random() - 0.5);
    for (const told of news) listed = withNews(listed, [told]);
    listed = withOlder(listed, { events: all.slice(0, 7).reverse(), next: null });
    expect(ids(listed)).toEqual(sorted.filter((id) => ids(listed).includes(id)));
    expect(new Set(ids(listed)).size).toBe(ids(listed).length);
    expect(ids(listed)).toEqual(expect.arrayContaining(all.slice(15).map(({ id }) => id)));
  }
});
