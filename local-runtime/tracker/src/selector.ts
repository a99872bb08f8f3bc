/**
 * A short name for an element that stays the same from visit to visit: its id, or else its tag
 * and its place below an ancestor that has one, at most three up. Never any of its text.
 * `level` is how far up this is from the element that is named.
 */
export const selector = (element: Element, level?: number): string => {
  // An id that an author chose has none of the numbers and signs of generated or personal ones. A
  // form's properties may be its fields, such as one named `id` or `children`.
  if (/^(?!.*\d{3})[\w-]+$/.test(element.getAttribute("id") || "")) return "#" + element.getAttribute("id");
  // The parent of what is in a shadow root is its host.
  const parent = element.parentElement || (element.parentNode as ShadowRoot).host;
  let place = 1;
  if (!parent || level! > 2) return element.localName;
  for (let before: Element | null = element; (before = before.previousElementSibling); place++);
  return selector(parent, -~level!) + ">" + element.localName + `:nth-child(${place})`;
};
