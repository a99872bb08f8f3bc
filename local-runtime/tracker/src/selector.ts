/** An id that somebody chose: short, and without the numbers of generated or personal ones. */
const CHOSEN = /^(?!.*\d{3})[a-z][\w-]{0,39}$/i;

/**
 * A short name for an element that stays the same from visit to visit: its id, or else its tag
 * and its place below an ancestor that has one, at most `levels` up. Never any of its text.
 */
export const selector = (element: Element, levels = 3): string => {
  // A form's properties may be its fields, such as one named `id` or `children`.
  const id = element.getAttribute("id");
  if (id && CHOSEN.test(id)) return "#" + id;
  // The parent of what is in a shadow root is its host.
  const parent = element.parentElement || (element.parentNode as ShadowRoot | null)?.host;
  if (!parent || !levels) return element.localName;
  let place = 1;
  for (let before: Element | null = element; (before = before.previousElementSibling); ) place++;
  return `${selector(parent, levels - 1)}>${element.localName}:nth-child(${place})`;
};
