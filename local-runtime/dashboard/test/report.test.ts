import { signal } from "@preact/signals";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

beforeEach(() => {
  vi.stubGlobal("location", { search: "", hash: "" });
  vi.useFakeTimers();
  vi.resetModules();
});
afterEach(() => vi.useRealTimers());

const wait = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

async function failure(kind: "unavailable" | "refused" | "closed", code: string, wait = 0): Promise<Error> {
  const { Failure } = await import("../src/api");
  return new Failure(kind, "no", code, wait);
}

async function made(answer: () => unknown, every: number | null = 10_000, main = false) {
  const module = await import("../src/state/report");
  const key = signal<string | null>("a");
  let asked = 0;
  const report = new module.Report<unknown>(
    () => key.value,
    async () => {
      asked += 1;
      return { data: await answer(), degraded: false };
    },
    { every, main },
  );
  await wait(0);
  return { ...module, key, report, count: () => asked };
}

test("a question is asked at once, and again when it is another one", async () => {
  const { key, report, count } = await made(() => "x");
  expect([count(), report.held.value.data]).toEqual([1, "x"]);
  key.value = "b";
  expect(report.held.value.outdated).toBe(true);
  await wait(0);
  expect([count(), report.held.value.outdated]).toEqual([2, false]);
  key.value = null;
  report.touch();
  await wait(60_000);
  expect(count()).toBe(2);
});

test("news is shown soon, and at any rate of events a minute costs at most thirty questions", async () => {
  const { report, Report, count } = await made(() => "x", 1_000);
  let others = 0;
  const more = Array.from({ length: 10 }, (_, at) => new Report(() => `${at}`, async () => ({ data: (others += 1), degraded: false }), { every: 1_000 }));
  await wait(5_000);
  report.touch();
  await wait(1_100);
  expect(count()).toBe(2);
  const before = count() + others;
  for (let at = 0; at < 590; at += 1) {
    for (const one of [report, ...more]) one.touch();
    await wait(100);
  }
  expect(count() + others - before).toBeLessThanOrEqual(30);
  await wait(120_000);
  const after = count() + others;
  await wait(120_000);
  expect(count() + others).toBe(after);
});

test("all that may be out of date is asked for soon, however many reports there are", async () => {
  const { Report, touchAll } = await made(() => "x", 30_000);
  const asked: number[] = [];
  Array.from({ length: 14 }, (_, at) => new Report(() => `${at}`, async () => ({ data: asked.push(at), degraded: false }), { every: 30_000 }));
  // One was asked a little later than the others, so that it is not due when they are.
  await wait(400);
  new Report(() => "late", async () => ({ data: asked.push(99), degraded: false }), { every: 30_000 });
  await wait(400);
  asked.length = 0;
  touchAll();
  await wait(1_000);
  expect(asked.sort((a, b) => a - b)).toEqual([...Array.from({ length: 14 }, (_, at) => at), 99]);
});

test("what fails is asked again after a pause, keeps what it had, and recovers", async () => {
  let fails = false;
  const { report, outage, count } = await made(() => {
    if (fails) return failure("unavailable", "UNAVAILABLE", 5_000).then((error) => Promise.reject(error));
    return "x";
  });
  fails = true;
  report.touch();
  await wait(1_100);
  expect([report.held.value.data, report.held.value.failure?.kind, outage.value?.kind]).toEqual(["x", "unavailable", "unavailable"]);
  const asked = count();
  await wait(4_000);
  expect(count()).toBe(asked);
  fails = false;
  await wait(20_000);
  expect([report.held.value.failure, outage.value]).toEqual([null, null]);
});

test("a question that is refused is not asked again", async () => {
  const { report, count } = await made(() => failure("refused", "INVALID_SITE").then((error) => Promise.reject(error)));
  await wait(300_000);
  expect([count(), report.held.value.failure?.code]).toEqual([1, "INVALID_SITE"]);
});

test.each([
  ["UNAUTHORIZED", false, true],
  ["FORBIDDEN", false, false],
  ["FORBIDDEN", true, true],
])("a token that is refused closes the page, and one that may not read a part closes that part: %s, main %s", async (code, main, closes) => {
  const { report, closed, count } = await made(() => failure("closed", code).then((error) => Promise.reject(error)), 10_000, main);
  await wait(300_000);
  expect([count(), report.held.value.failure?.code, closed.value?.code]).toEqual([1, code, closes ? code : undefined]);
});

test("a page that is not looked at asks nothing", async () => {
  const { report, sleep, count } = await made(() => "x");
  sleep(true);
  report.touch();
  await wait(300_000);
  expect(count()).toBe(1);
  sleep(false);
  await wait(0);
  expect(count()).toBe(2);
});

test("an answer to an earlier question is not shown", async () => {
  const waiting: ((text: string) => void)[] = [];
  const { key, report } = await made(() => new Promise((settle) => waiting.push(settle)));
  key.value = "b";
  await wait(0);
  waiting[1]?.("second");
  waiting[0]?.("first");
  await wait(0);
  expect(report.held.value.data).toBe("second");
});
