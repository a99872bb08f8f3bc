// Copies the pictures that the documentation shows from the last run's.

import { copyFile, mkdir, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const ARTEFACTS = fileURLToPath(new URL("artefacts/", import.meta.url));
const DOCS = fileURLToPath(new URL("../../docs/dashboard/", import.meta.url));
const SHOWN = ["light", "dark", "phone", "empty-light", "french"];
/** A repository keeps every version of them. */
const MOST_BYTES = 200_000;

await mkdir(DOCS, { recursive: true });
for (const name of SHOWN) {
  const { size } = await stat(`${ARTEFACTS}${name}.png`);
  if (size > MOST_BYTES) throw new Error(`${name}.png has ${size} bytes, more than ${MOST_BYTES}`);
  await copyFile(`${ARTEFACTS}${name}.png`, `${DOCS}${name}.png`);
}
