/** How much of a whole a part is, in whole percent, and never more than all of it. */
export const percent = (part: number, whole: number): number => Math.min(100, Math.round((part / whole) * 100));

/** Of two things that scroll, the one with more to see. */
const taller = (one: Element, other: Element) =>
  other.scrollHeight > one.scrollHeight && /auto|scroll/.test(getComputedStyle(other).overflowY) ? other : one;

/**
 * How much of the page has been seen, in percent from the top, when `seen` of it was before. Where the page itself
 * has nothing to scroll, what is measured is the element in its middle that has the most.
 */
export const depth = (seen: number): number => {
  const root = document.scrollingElement || document.documentElement;
  const { scrollTop, clientHeight, scrollHeight } =
    root.scrollHeight > root.clientHeight
      ? root
      : document.elementsFromPoint(innerWidth / 2, innerHeight / 2).reduce(taller, root);
  return Math.max(seen, percent(scrollTop + clientHeight, scrollHeight));
};
