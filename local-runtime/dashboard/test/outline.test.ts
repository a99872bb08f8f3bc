import { expect, test, vi } from "vitest";
import { outlineOf, paths } from "../src/view/outline";

const box = (more: object = {}) => ({
  element: "#offers>a:nth-child(2)", kind: "a", within: "#offers", place: 1, count: 1, x: 10, y: 20, width: 5, height: 2, ...more,
});
const outline = (...boxes: unknown[]) => ({ maicivy: "outline", width: 1_280, height: 2_000, boxes });

test("an outline is what a page may say of itself, and nothing else", () => {
  expect(outlineOf(outline(box()))?.boxes).toEqual([box()]);
  expect(outlineOf(outline(...Array.from({ length: 600 }, () => box())))?.boxes).toHaveLength(500);
  expect(outlineOf(outline(box({ text: "Ada Lovelace" })))?.boxes).toEqual([box()]);
  for (const bad of [{ kind: "Ada Lovelace" }, { element: 1 }, { element: "x".repeat(301) }, { within: null }, { x: Number.NaN }, { width: 1e9 }, { place: 0 }]) {
    expect(outlineOf(outline(box(bad))), JSON.stringify(bad)).toBeNull();
  }
  for (const none of [null, 7, "x", [], {}, { ...outline(), height: 0 }, { ...outline(), boxes: {} }]) expect(outlineOf(none)).toBeNull();
});

test("boxes are drawn by what they are", () => {
  const drawn = paths([box(), box({ kind: "img", x: 0, y: 0 }), box({ kind: "heading" }), box({ kind: "main" })].map((one) => one as never));
  expect(drawn.acts).toBe("M100 200h50v20h-50z");
  expect([drawn.shows, drawn.tells, drawn.holds].every((path) => path.startsWith("M"))).toBe(true);
});

test("elements have names that people can read, with an outline and without one", async () => {
  vi.stubGlobal("navigator", { languages: ["en"] });
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
  vi.stubGlobal("location", { search: "", hash: "", pathname: "/" });
  vi.stubGlobal("addEventListener", () => undefined);
  const { elementName } = await import("../src/text/names");
  expect(elementName("html>body:nth-child(2)>nav:nth-child(1)>a:nth-child(2)")).toBe("link 2 in navigation 1");
  expect(elementName("#letter")).toBe("letter");
  const section = box({ element: "main:nth-child(2)>section:nth-child(4)", kind: "section", within: "", place: 3, count: 5 });
  const button = box({ element: "section:nth-child(4)>div:nth-child(1)>b:nth-child(2)", kind: "button", within: section.element, place: 2, count: 2 });
  const known = outlineOf(outline(section, button, box({ element: "#buy", within: section.element })));
  expect(elementName(button.element, known)).toBe("button 2 in section 3");
  expect(elementName("#buy", known)).toBe("buy (link) in section 3");
  expect(elementName(null, known)).toBe("unnamed element");
});
