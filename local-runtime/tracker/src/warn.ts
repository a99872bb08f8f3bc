/**
 * Says on the console why something is not counted: once a page, the first thing that there is to
 * say, however many trackers and tags the page has.
 */
export const warn = (why: string): void => {
  const page = window as { maicivyWarned?: unknown };
  if (page.maicivyWarned) return;
  page.maicivyWarned = 1;
  console.warn("maicivy: " + why);
};
