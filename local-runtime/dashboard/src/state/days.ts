/** Figures of single days: those of a day that is over are asked for once. */

import type { Answer } from "../api";
import type { Stats } from "../wire";
import { lastDays } from "../time/periods";

/** How many questions are under way together. */
const AT_ONCE = 4;

export class Days {
  readonly #known = new Map<string, Stats>();
  readonly #stale = new Set<string>();
  readonly #ask: (date: string) => Promise<Answer<Stats>>;

  constructor(ask: (date: string) => Promise<Answer<Stats>>) {
    this.#ask = ask;
  }

  /** Something has happened on that day. */
  touch(date: string): void {
    this.#stale.add(date);
  }

  /** Something may have happened on any day. */
  touchAll(): void {
    for (const date of this.#known.keys()) this.#stale.add(date);
  }

  /** The last days up to this one, oldest first; each of them, also those that are touched meanwhile. */
  async last(today: string, count: number): Promise<Answer<Stats[]>> {
    const dates = lastDays(today, count);
    const missing = dates.filter((date) => !this.#known.has(date) || this.#stale.has(date)).reverse();
    let degraded = false;
    const askOn = async (): Promise<void> => {
      for (let date = missing.shift(); date !== undefined; date = missing.shift()) {
        this.#stale.delete(date);
        try {
          const answer = await this.#ask(date);
          this.#known.set(date, answer.data);
          degraded ||= answer.degraded;
        } catch (error) {
          this.#stale.add(date);
          throw error;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, askOn));
    // This day is not over.
    this.#stale.add(today);
    for (const date of this.#known.keys()) if (!dates.includes(date)) this.#known.delete(date);
    return { data: dates.flatMap((date) => this.#known.get(date) ?? []), degraded };
  }
}
