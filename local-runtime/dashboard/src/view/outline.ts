/** The outline of a page: where its elements are, as a browser recorded it. None of its text. */

/** An element, in percent of the page. */
export interface Box {
  /** As events of clicks name it. */
  element: string;
  /** Its role or its tag. */
  kind: string;
  /** What it is within, named in the same way; empty where that is the page. */
  within: string;
  /** Which of its kind it is in there, and of how many. */
  place: number;
  count: number;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Outline {
  /** The page in pixels. */
  width: number;
  height: number;
  boxes: readonly Box[];
}

const MOST_BOXES = 500;
const MOST_PIXELS = 1_000_000;
const KIND = /^[a-z][a-z0-9-]{0,40}$/;

/** What came from a page, if it is an outline; everything in it is bounded. */
export function outlineOf(value: unknown): Outline | null {
  const { width, height, boxes } = fieldsOf(value);
  if (!within(width, 1, MOST_PIXELS) || !within(height, 1, MOST_PIXELS) || !Array.isArray(boxes)) return null;
  const read = boxes.slice(0, MOST_BOXES).map(boxOf);
  return read.includes(null) ? null : { width, height, boxes: read as Box[] };
}

function boxOf(value: unknown): Box | null {
  const { element, kind, within: around, place, count, x, y, width, height } = fieldsOf(value);
  if (!isName(element) || !isName(around) || typeof kind !== "string" || !KIND.test(kind)) return null;
  if (!within(place, 1, MOST_BOXES) || !within(count, 1, MOST_BOXES)) return null;
  if (!within(x, -100, 200) || !within(y, -100, 200) || !within(width, 0, 200) || !within(height, 0, 200)) return null;
  return { element, kind, within: around, place, count, x, y, width, height };
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

const isName = (value: unknown): value is string => typeof value === "string" && value.length <= 300;

function within(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && value >= least && value <= most;
}

/** Tags for the roles that mean the same. */
const ROLES: Record<string, string> = {
  link: "a",
  tab: "button",
  checkbox: "input",
  textbox: "input",
  combobox: "select",
  navigation: "nav",
  banner: "header",
  contentinfo: "footer",
  complementary: "aside",
  region: "section",
  search: "form",
  list: "ul",
  listitem: "li",
  heading: "h2",
};

/** The tag whose name in words an element has. */
export const tagOf = (kind: string): string => ROLES[kind] ?? kind;

/** How a kind of element is drawn. */
export type Look = "acts" | "shows" | "tells" | "holds";

const LOOKS: readonly (readonly [Look, RegExp])[] = [
  ["acts", /^(a|area|button|input|select|textarea|summary|label)$/],
  ["shows", /^(img|svg|video|canvas|iframe)$/],
  ["tells", /^(h\d|p|pre|li|blockquote|table)$/],
];

/** The outlines of all boxes of each look as a path of SVG, on a sheet of 1,000 by 1,000. */
export function paths(boxes: readonly Box[]): Record<Look, string> {
  const drawn: Record<Look, string> = { holds: "", tells: "", shows: "", acts: "" };
  for (const { kind, x, y, width, height } of boxes) {
    const [look] = LOOKS.find(([, tags]) => tags.test(tagOf(kind))) ?? ["holds"];
    const [wide, high] = [Math.round(width * 10), Math.round(height * 10)];
    drawn[look] += `M${Math.round(x * 10)} ${Math.round(y * 10)}h${wide}v${high}h${-wide}z`;
  }
  return drawn;
}
