import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Answer, Failure } from "../src/api";
import { Resource, sleep } from "../src/state/resource";

type Settle = { resolve: (data: number, degraded?: boolean) => Promise<void>; reject: (error: Error) => Promise<void> };

function make(every = 1_000) {
  const asked: Settle[] = [];
  const resource = new Resource<number>(
    () =>
      new Promise<Answer<number>>((resolve, reject) => {
        asked.push({
          resolve: async (data, degraded = false) => {
            resolve({ data, degraded });
            await vi.advanceTimersByTimeAsync(0);
          },
          reject: async (error) => {
            reject(error);
            await vi.advanceTimersByTimeAsync(0);
          },
        });
      }),
    every,
  );
  return { resource, asked, last: () => asked.at(-1) as Settle };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  sleep(false);
  vi.useRealTimers();
});

test("many touches are one question, and one more for what came meanwhile", async () => {
  const { resource, asked, last } = make();
  resource.touch();
  for (let time = 0; time < 9; time += 1) resource.touch();
  expect(asked).toHaveLength(1);
  await last().resolve(1);
  expect(resource.held.value.data).toBe(1);
  await vi.advanceTimersByTimeAsync(999);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toHaveLength(2);
  await last().resolve(2);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(2);
  resource.touch();
  expect(asked).toHaveLength(3);
});

test("what was shown stays when an answer fails, and it is asked again by itself", async () => {
  const { resource, asked, last } = make();
  resource.load();
  await last().resolve(1, true);
  expect(resource.held.value.degraded).toBe(true);
  resource.load();
  await last().reject(new Failure("refused", "slow down", 7_000));
  expect(resource.held.value).toMatchObject({ data: 1, failure: { kind: "refused", message: "slow down" } });
  await vi.advanceTimersByTimeAsync(6_999);
  expect(asked).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toHaveLength(3);
  await last().resolve(2);
  expect(resource.held.value).toEqual({ data: 2, failure: null, degraded: false, outdated: false });
});

test("somebody who presses the button does not wait", async () => {
  const { resource, asked, last } = make();
  resource.load();
  await last().reject(new Error("odd"));
  expect(resource.held.value.failure?.kind).toBe("malformed");
  resource.load();
  expect(asked).toHaveLength(2);
  await last().resolve(1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(2);
});

test("the answer to another question is never shown", async () => {
  const { resource, asked } = make();
  resource.load();
  const [first] = asked;
  resource.reset();
  expect(asked).toHaveLength(2);
  await asked[1]?.resolve(2);
  await first?.resolve(1);
  expect(resource.held.value.data).toBe(2);
  resource.reset();
  expect(resource.held.value).toMatchObject({ data: 2, outdated: true });
});

test("nothing is asked while nobody looks, and all of it when somebody does", async () => {
  const { resource, asked, last } = make();
  sleep(true);
  resource.touch();
  resource.touch();
  expect(asked).toHaveLength(0);
  sleep(false);
  expect(asked).toHaveLength(1);
  sleep(true);
  resource.touch();
  await last().resolve(1);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(asked).toHaveLength(1);
  sleep(false);
  expect(asked).toHaveLength(2);
});
