import { beforeEach, expect, test, vi } from "vitest";

beforeEach(() => {
  vi.resetModules();
  vi.unstubAllGlobals();
});

function session(address: string, storage: Partial<Storage> = { getItem: () => null, setItem: () => undefined, removeItem: () => undefined }) {
  const { search, hash } = new URL(address, "http://a.example");
  vi.stubGlobal("location", { search, hash });
  vi.stubGlobal("sessionStorage", storage);
  return import("../src/session");
}

test("a share link's token is read from behind the # alone", async () => {
  const { shared, token } = await session("/?site=a.example&embed=1#share=mcs_x");
  expect([shared, token.value]).toEqual(["mcs_x", "mcs_x"]);
});

test("a token in the query is none", async () => {
  const { shared, token } = await session("/?share=mcs_x#main");
  expect([shared, token.value]).toEqual([null, null]);
});

test("a token is one without storage, too", async () => {
  const refuse = (): never => {
    throw new Error("off");
  };
  const { token } = await session("/", { getItem: refuse, setItem: refuse, removeItem: refuse });
  token.value = "x";
  expect(token.value).toBe("x");
});

test("only what may be a subprotocol becomes one", async () => {
  const { protocols } = await session("/");
  expect(protocols("mcv_a-b.C~1")).toEqual(["maicivy", "bearer.mcv_a-b.C~1"]);
  for (const none of [null, "", "a/b", "YQ==", "a b", "a,b", "é"]) expect(protocols(none), `${none}`).toEqual([]);
});
