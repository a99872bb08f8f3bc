/**
 * An answer that is kept true: asked for again when something that it counts has happened, at
 * most so often, one question at a time. Figures are never added up here, so they cannot drift.
 */

import { type Signal, signal, untracked } from "@preact/signals";
import { type Answer, Failure } from "../api";
import { Backoff } from "../live/backoff";

export interface Held<T> {
  /** The last answer, also while a newer one is asked for or could not be had. */
  data: T | null;
  /** Why the last question has no answer. */
  failure: Failure | null;
  degraded: boolean;
  /** What is shown belongs to another question, whose answer is on its way. */
  outdated: boolean;
}

const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 60_000;

/** Nobody looks: nothing is asked until somebody does. */
let asleep = false;
const waiting = new Set<() => void>();

/** Says whether anybody looks at the page. */
export function sleep(now: boolean): void {
  asleep = now;
  if (asleep) return;
  for (const go of waiting) go();
  waiting.clear();
}

export class Resource<T> {
  readonly held: Signal<Held<T>> = signal({ data: null, failure: null, degraded: false, outdated: false });
  readonly #ask: () => Promise<Answer<T>>;
  readonly #every: number;
  readonly #backoff = new Backoff(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
  readonly #go = (): void => this.touch();
  #asking = false;
  #wanted = false;
  #generation = 0;
  #pause: ReturnType<typeof setTimeout> | undefined;

  /** `every`: how many milliseconds lie at least between two questions. */
  constructor(ask: () => Promise<Answer<T>>, every: number) {
    this.#ask = ask;
    this.#every = every;
  }

  /** Something has happened that the answer may count: asks soon. */
  touch(): void {
    if (this.#asking || this.#pause !== undefined) this.#wanted = true;
    else if (asleep) waiting.add(this.#go);
    else this.#round();
  }

  /** Asks at once: the first time, or because somebody pressed the button. */
  load(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    if (this.#asking) this.#wanted = true;
    else this.#round();
  }

  /** The question has changed: answers that are under way do not count, and it is asked at once. */
  reset(): void {
    this.#generation += 1;
    this.#asking = false;
    const held = this.held.peek();
    this.held.value = { ...held, failure: null, outdated: held.data !== null };
    this.load();
  }

  /** An answer that came by another way. */
  set(data: T): void {
    this.held.value = { ...this.held.peek(), data, failure: null, outdated: false };
  }

  async #round(): Promise<void> {
    const generation = this.#generation;
    this.#asking = true;
    this.#wanted = false;
    let pause = this.#every;
    try {
      const { data, degraded } = await untracked(this.#ask);
      if (generation !== this.#generation) return;
      this.#backoff.reset();
      this.held.value = { data, failure: null, degraded, outdated: false };
    } catch (error) {
      if (generation !== this.#generation) return;
      const failure = error instanceof Failure ? error : new Failure("malformed", String(error));
      this.held.value = { ...this.held.peek(), failure };
      this.#wanted = true;
      pause = Math.max(this.#backoff.next(), failure.wait);
    }
    this.#asking = false;
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#wanted) this.touch();
    }, pause);
  }
}
