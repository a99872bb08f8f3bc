// Pictures of pages, kept in `artefacts/` to be looked at.

import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const ARTEFACTS = fileURLToPath(new URL("../artefacts/", import.meta.url));

/**
 * Takes a picture of what is on screen, or of the whole page.
 * @param {import("playwright-core").Page} page
 * @param {string} name
 */
export async function picture(page, name, fullPage = false) {
  await mkdir(ARTEFACTS, { recursive: true });
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: `${ARTEFACTS}${name}.png`, fullPage, animations: "disabled" });
}
