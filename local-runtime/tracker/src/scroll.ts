/** How much of a whole a part is, in whole percent, and never more than all of it. */
export const percent = (part: number, whole: number): number => Math.min(100, Math.round((part / whole) * 100));

/** What scrolls: the page, or, where that has nothing to scroll, the outermost element in its middle that has. */
export const scroller = (): Element =>
  document
    .elementsFromPoint(innerWidth / 2, innerHeight / 2)
    .reverse()
    .find((element) => element.scrollHeight > innerHeight) || document.documentElement;
