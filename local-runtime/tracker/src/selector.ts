/** An id that somebody chose: short, and without the numbers of generated or personal ones. */
const CHOSEN = /^(?!.*\d{3})[a-z][\w-]{0,39}$/i;

/**
 * A short name for an element that stays the same from visit to visit: its id, or else its tag
 * and its place below an ancestor that has one, at most `levels` up. Never any of its text.
 */
export const selector = (element: Element, levels = 3): string => {
  const { id, localName, parentElement } = element;
  return CHOSEN.test(id)
    ? "#" + id
    : parentElement && levels
      ? `${selector(parentElement, levels - 1)}>${localName}:nth-child(${[...parentElement.children].indexOf(element) + 1})`
      : localName;
};
