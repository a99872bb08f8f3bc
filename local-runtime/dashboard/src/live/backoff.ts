/** How long to wait before trying again: twice as long each time, and never all at once. */
export class Backoff {
  #failures = 0;

  constructor(
    readonly first: number,
    readonly longest: number,
    readonly random: () => number = Math.random,
  ) {}

  /** The next pause in milliseconds, from half of the full one up to all of it. */
  next(): number {
    const full = Math.min(this.longest, this.first * 2 ** this.#failures);
    this.#failures += 1;
    return full * (0.5 + this.random() / 2);
  }

  reset(): void {
    this.#failures = 0;
  }
}
