// Waiting for what must come, up to a deadline: tests never wait for time to pass.

/** How long anything may take on a slow and busy machine, in milliseconds. */
export const PATIENCE = 20_000;

/**
 * Asks again and again until the answer is neither `undefined`, `null` nor `false`.
 *
 * @template T
 * @param {string} what named in the error when it does not come
 * @param {() => T | Promise<T>} ask what it throws counts as no answer, and is reported at the end
 * @param {number} [patience] in milliseconds
 * @returns {Promise<NonNullable<Exclude<T, false>>>}
 */
export async function until(what, ask, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    let last;
    try {
      last = await ask();
      if (last !== undefined && last !== null && last !== false) {
        return /** @type {NonNullable<Exclude<T, false>>} */ (last);
      }
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${patience} ms, still ${String(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
