/** Paints clicks as heat: each place a soft spot, spots add up, and the sum becomes a colour. */

import type { Place } from "../wire";

/** The grid in which spots are added up: as fine as the eye needs, whatever the screen. */
const COLUMNS = 240;
/** How far a spot reaches, in percent of the page's width. */
const SPREAD = 1.7;
/** Below 1, so that places with few clicks are seen beside those with many. */
const GAMMA = 0.5;
const SHADES = 256;

export function paint(canvas: HTMLCanvasElement, places: readonly Place[]): void {
  const { clientWidth, clientHeight } = canvas;
  if (clientWidth === 0 || clientHeight === 0) return;
  canvas.width = COLUMNS;
  canvas.height = Math.round((COLUMNS * clientHeight) / clientWidth);
  const context = canvas.getContext("2d");
  if (!context || places.length === 0) return;
  const heat = spread(places, canvas.width, canvas.height);
  const most = heat.reduce((most, value) => Math.max(most, value), 0);
  const colours = shades(getComputedStyle(canvas));
  const image = context.createImageData(canvas.width, canvas.height);
  heat.forEach((value, at) => {
    const shade = Math.round((value / most) ** GAMMA * (SHADES - 1));
    image.data.set(colours.subarray(shade * 4, shade * 4 + 4), at * 4);
  });
  context.putImageData(image, 0, 0);
}

/** The sum of all spots in each cell: a Gaussian around each place, as high as its clicks. */
export function spread(places: readonly Pick<Place, "x" | "y" | "count">[], width: number, height: number): Float32Array {
  const heat = new Float32Array(width * height);
  const sigma = (SPREAD / 100) * width;
  const reach = Math.ceil(sigma * 3);
  const bell = Float32Array.from({ length: reach + 1 }, (_, distance) => Math.exp(-0.5 * (distance / sigma) ** 2));
  for (const place of places) {
    const column = Math.round((place.x / 100) * (width - 1));
    const row = Math.round((place.y / 100) * (height - 1));
    for (let y = Math.max(0, row - reach); y <= Math.min(height - 1, row + reach); y += 1) {
      const here = place.count * (bell[Math.abs(y - row)] ?? 0);
      for (let x = Math.max(0, column - reach); x <= Math.min(width - 1, column + reach); x += 1) {
        const at = y * width + x;
        heat[at] = (heat[at] ?? 0) + here * (bell[Math.abs(x - column)] ?? 0);
      }
    }
  }
  return heat;
}

/** The colour of each sum, from nothing to the most. */
function shades(style: CSSStyleDeclaration): Uint8ClampedArray {
  const scale = document.createElement("canvas");
  scale.width = SHADES;
  scale.height = 1;
  const context = scale.getContext("2d");
  if (!context) return new Uint8ClampedArray(SHADES * 4);
  const gradient = context.createLinearGradient(0, 0, SHADES, 0);
  const stops = [[0, "--heat-0"], [0.25, "--heat-1"], [0.6, "--heat-2"], [1, "--heat-3"]] as const;
  for (const [at, name] of stops) gradient.addColorStop(at, style.getPropertyValue(name).trim());
  context.fillStyle = gradient;
  context.fillRect(0, 0, SHADES, 1);
  return context.getImageData(0, 0, SHADES, 1).data;
}
