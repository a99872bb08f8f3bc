import { expect, test } from "vitest";

test("tables are written as the server writes them", async () => {
  const { csv } = await import("../src/csv");
  expect(csv([["a", "b"], ['say "x", y', 1.5], ["=1+1", null], ["-", -2], ["line\nbreak", 0]])).toBe('a,b\r\n"say ""x"", y",1.5\r\n\'=1+1,\r\n\'-,-2\r\n"line\nbreak",0\r\n');
});
