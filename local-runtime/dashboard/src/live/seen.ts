/** The ids of the events that were seen last, so that none counts as new twice. */
export class Seen {
  readonly #ids = new Set<string>();
  readonly #most: number;

  constructor(most = 5_000) {
    this.#most = most;
  }

  /** Remembers an id; answers whether it is new. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > this.#most) {
      // Sets iterate in the order of insertion: this is the one remembered longest.
      for (const oldest of this.#ids) {
        this.#ids.delete(oldest);
        break;
      }
    }
    return true;
  }
}
