declare global {
  interface Console {
    maicivy?: unknown;
  }
}

/**
 * Says on the console why something is not counted: once a page, the first thing that there is to
 * say, however many trackers and tags the page has.
 */
export const warn = (why: string): undefined => {
  if (!console.maicivy) console.warn("maicivy: " + why);
  console.maicivy = 1;
};
