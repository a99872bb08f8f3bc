import { expect, test } from "vitest";
import { readable, visible } from "../src/text/address";

test("escapes of letters are decoded", () => {
  expect(readable("/%C3%A9t%C3%A9?theme=%C3%A0%20la%20carte")).toBe("/été?theme=à la carte");
  expect(readable("/%D7%A2%D7%91")).toBe("/עב");
  expect(readable("/%F0%9F%98%80")).toBe("/😀");
});

test("escapes that mean something else stay", () => {
  expect(readable("/a%2Fb%3Fc%23d%25%26")).toBe("/a%2Fb%3Fc%23d%25%26");
  expect(readable("/%2541")).toBe("/%2541");
  expect(readable("/%E9t%E9%zz%")).toBe("/%E9t%E9%zz%");
});

test("what cannot be seen or would reorder the text stays an escape", () => {
  expect(readable("/%E2%80%AEcv%00%0A%C2%A0%E2%80%8B")).toBe("/%E2%80%AEcv%00%0A%C2%A0%E2%80%8B");
  expect(readable("/\u202ecv\u2066")).toBe("/%E2%80%AEcv%E2%81%A6");
  expect(visible("a\u202eb c\u0007\ud800")).toBe("a%E2%80%AEb c%07%EF%BF%BD");
});
