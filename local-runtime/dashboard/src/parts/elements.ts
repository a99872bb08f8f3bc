/** Places by the element that was clicked there. */

import type { Place } from "../wire";

/**
 * The most clicked elements: the clicks of all their places, at the middle of them. Places
 * without an element stand for themselves.
 */
export function byElement(places: readonly Place[], most: number): Place[] {
  const groups = new Map<string, Place[]>();
  for (const place of places) {
    const name = place.element === null ? `${place.page}\n${place.x} ${place.y}` : `${place.page}\n\n${place.element}`;
    const group = groups.get(name);
    if (group) group.push(place);
    else groups.set(name, [place]);
  }
  return [...groups.values()]
    .map(middle)
    .sort((a, b) => b.count - a.count)
    .slice(0, most);
}

function middle(group: Place[]): Place {
  const [first] = group as [Place];
  const count = group.reduce((sum, place) => sum + place.count, 0);
  const mean = (axis: "x" | "y"): number =>
    Math.round(group.reduce((sum, place) => sum + place[axis] * place.count, 0) / count);
  return { ...first, x: mean("x"), y: mean("y"), count };
}
