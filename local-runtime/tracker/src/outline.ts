// What the tracker loads in place of counting when the page's fragment is `#maicivy-outline`: it tells the
// dashboard that opened this page where its elements are. Nothing is sent to a server, and no text is read.

import { selector } from "./selector.js";

/** What stands out on a page, is clicked, or divides it. */
const WORTH =
  "a,area,button,input,select,textarea,label,summary,form,nav,header,main,footer,aside,section,article,dialog," +
  "h1,h2,h3,h4,h5,h6,p,pre,ul,ol,table,blockquote,figure,img,svg,video,canvas,iframe,[role],[id]";
/** What elements are within, as the page's reader sees it. */
const DIVIDES = "nav,header,main,footer,aside,section,article,dialog,form,[role],[id]";
/** The most boxes that an outline has, in the order of the document. */
const MOST_BOXES = 500;
/** Pixels that a box is at least wide and high. */
const LEAST = 4;

/** Where an element is, in percent of the page, and what is to be known of it without its text. */
interface Box {
  /** As events of clicks name it. */
  element: string;
  /** Its role, or its tag. */
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

const kind = (element: Element): string =>
  /^[a-z]+$/.exec(element.getAttribute("role") || "")?.[0] ?? element.localName;

const boxes = (width: number, height: number): Box[] => {
  const found: Box[] = [];
  const counts = new Map<Element | null, Map<string, Box[]>>();
  for (const element of document.body.querySelectorAll(WORTH)) {
    const { left, top, width: wide, height: high } = element.getBoundingClientRect();
    const [x, y] = [left + scrollX, top + scrollY];
    if (wide < LEAST || high < LEAST || x + wide <= 0 || y + high <= 0 || x >= width || y >= height) continue;
    if (element.checkVisibility?.({ visibilityProperty: true, opacityProperty: true }) === false) continue;
    const around = element.parentElement!.closest(DIVIDES);
    const box: Box = {
      element: selector(element),
      kind: kind(element),
      within: around ? selector(around) : "",
      place: 0,
      count: 0,
      x: percent(x, width),
      y: percent(y, height),
      width: percent(wide, width),
      height: percent(high, height),
    };
    const kinds = counts.get(around) ?? new Map<string, Box[]>();
    const siblings = kinds.get(box.kind) ?? [];
    box.place = siblings.push(box);
    counts.set(around, kinds.set(box.kind, siblings));
    if (found.push(box) == MOST_BOXES) break;
  }
  for (const kinds of counts.values()) {
    for (const siblings of kinds.values()) for (const box of siblings) box.count = siblings.length;
  }
  return found;
};

const percent = (value: number, whole: number): number => Math.round((value / whole) * 1e3) / 10;

/** After the page has loaded and was drawn, so that everything is where it stays. */
const settled = async (): Promise<void> => {
  if (document.readyState !== "complete") await new Promise((loaded) => addEventListener("load", loaded, { once: true }));
  await document.fonts?.ready;
  for (let frame = 0; frame < 2; frame += 1) await new Promise((drawn) => requestAnimationFrame(drawn));
};

await settled();
const { scrollWidth: width, scrollHeight: height } = document.documentElement;
if (opener) {
  // For the server that this script comes from, and no other site that may have opened this page.
  const { origin } = new URL(import.meta.url);
  (opener as Window).postMessage({ maicivy: "outline", width, height, boxes: boxes(width, height) }, origin);
} else {
  console.warn("maicivy: open this page from the dashboard to record its outline");
}
