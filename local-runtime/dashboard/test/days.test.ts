import { expect, test } from "vitest";
import { Days } from "../src/state/days";

const stats = (key: string, visitors = 1) => ({ key, visitors, views: 0, events: 0, letters: 0, conversion: 0 });

function make() {
  const asked: string[] = [];
  let broken = false;
  let meanwhile = (): void => undefined;
  const days = new Days(async (date) => {
    asked.push(date);
    meanwhile();
    await Promise.resolve();
    if (broken) throw new Error("away");
    return { data: stats(date, asked.length), degraded: false };
  });
  return {
    days,
    take: () => asked.splice(0).sort(),
    during: (act: () => void) => {
      meanwhile = act;
    },
    breakOff: (now: boolean) => {
      broken = now;
    },
  };
}

const keys = async (days: Days, today: string, count = 3) => (await days.last(today, count)).data.map(({ key }) => key);

test("days that are over are asked for once, the one that is not each time", async () => {
  const { days, take } = make();
  expect(await keys(days, "2026-03-02")).toEqual(["2026-02-28", "2026-03-01", "2026-03-02"]);
  expect(take()).toHaveLength(3);
  await keys(days, "2026-03-02");
  expect(take()).toEqual(["2026-03-02"]);
  days.touch("2026-02-28");
  await keys(days, "2026-03-02");
  expect(take()).toEqual(["2026-02-28", "2026-03-02"]);
  expect(await keys(days, "2026-03-03")).toEqual(["2026-03-01", "2026-03-02", "2026-03-03"]);
  expect(take()).toEqual(["2026-03-02", "2026-03-03"]);
  days.touchAll();
  await keys(days, "2026-03-03");
  expect(take()).toHaveLength(3);
});

test("no day is ever missing, also when something happens on it while it is asked for", async () => {
  const { days, take, during } = make();
  during(() => days.touch("2026-03-01"));
  expect(await keys(days, "2026-03-02")).toEqual(["2026-02-28", "2026-03-01", "2026-03-02"]);
  take();
  during(() => undefined);
  await keys(days, "2026-03-02");
  expect(take()).toContain("2026-03-01");
});

test("what failed is asked for again", async () => {
  const { days, take, breakOff } = make();
  await keys(days, "2026-03-02");
  days.touchAll();
  breakOff(true);
  await expect(keys(days, "2026-03-02")).rejects.toThrow("away");
  take();
  breakOff(false);
  expect(await keys(days, "2026-03-02")).toHaveLength(3);
  expect(take()).toHaveLength(3);
});
