/** Paints clicks as heat: each place a soft spot, spots add up, and the sum becomes a colour. */

import type { Place } from "../wire";

/** A spot's radius in parts of the width. */
const RADIUS = 0.05;
/** Below 1, so that places with few clicks are seen beside those with many. */
const GAMMA = 0.55;
const FAINTEST = 0.16;
const SHADES = 256;

export function paint(canvas: HTMLCanvasElement, places: readonly Place[]): void {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  if (width === 0 || height === 0) return;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context || places.length === 0) return;

  const radius = Math.max(8, width * RADIUS);
  const spot = softSpot(radius);
  const most = Math.max(...places.map(({ count }) => count));
  for (const { x, y, count } of places) {
    context.globalAlpha = Math.max(FAINTEST, (count / most) ** GAMMA);
    context.drawImage(spot, (x / 100) * width - radius, (y / 100) * height - radius);
  }
  context.globalAlpha = 1;

  const colours = shades(getComputedStyle(canvas));
  const image = context.getImageData(0, 0, width, height);
  const { data } = image;
  for (let at = 0; at < data.length; at += 4) {
    const from = (data[at + 3] ?? 0) * 4;
    for (let part = 0; part < 4; part += 1) data[at + part] = colours[from + part] ?? 0;
  }
  context.putImageData(image, 0, 0);
}

function softSpot(radius: number): HTMLCanvasElement {
  const spot = document.createElement("canvas");
  spot.width = spot.height = Math.ceil(radius * 2);
  const context = spot.getContext("2d");
  if (!context) return spot;
  const gradient = context.createRadialGradient(radius, radius, 0, radius, radius, radius);
  gradient.addColorStop(0, "rgba(0, 0, 0, 1)");
  gradient.addColorStop(0.4, "rgba(0, 0, 0, 0.55)");
  gradient.addColorStop(1, "rgba(0, 0, 0, 0)");
  context.fillStyle = gradient;
  context.fillRect(0, 0, spot.width, spot.height);
  return spot;
}

/** The colour of each sum, from nothing to the most. */
function shades(style: CSSStyleDeclaration): Uint8ClampedArray {
  const scale = document.createElement("canvas");
  scale.width = SHADES;
  scale.height = 1;
  const context = scale.getContext("2d");
  if (!context) return new Uint8ClampedArray(SHADES * 4);
  const gradient = context.createLinearGradient(0, 0, SHADES, 0);
  for (const [at, name] of [[0, "--heat-0"], [0.3, "--heat-1"], [0.65, "--heat-2"], [1, "--heat-3"]] as const) {
    gradient.addColorStop(at, style.getPropertyValue(name).trim());
  }
  context.fillStyle = gradient;
  context.fillRect(0, 0, SHADES, 1);
  return context.getImageData(0, 0, SHADES, 1).data;
}
