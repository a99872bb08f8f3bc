/**
 * An answer that is kept true: asked for at once when the question changes, and again when something that it
 * counts has happened. Figures are never added up here, so they cannot drift.
 *
 * All reports of the page share one budget, so that it costs the server the same at any rate of events, and
 * one pause when the server cannot answer.
 */

import { type Signal, effect, signal, untracked } from "@preact/signals-core";
import { type Answer, Failure } from "../api";
import { Backoff } from "../live/backoff";

export interface Held<T> {
  /** The last answer, also while a newer one is asked for or cannot be had. */
  data: T | null;
  /** Why the last question has no answer. */
  failure: Failure | null;
  degraded: boolean;
  /** What is shown belongs to another question, whose answer is on its way. */
  outdated: boolean;
}

/** How many questions a minute events may cause: 30, less those after a lost connection. */
const PER_MINUTE = 26;
/** A minute, and what requests may leave later than they were decided on while the page is busy. */
const MINUTE_MS = 62_000;
/** While fewer than this were asked in the last minute, news is shown soon. */
const QUIET = 10;
const SOON_MS = 1_000;
/** What is due in the same moment is asked together. */
const TOGETHER_MS = 300;
/** How long a first failure pauses, and the longest one. */
const FIRST_PAUSE_MS = 1_500;
const LONGEST_PAUSE_MS = 30_000;

const all = new Set<Report<unknown>>();
/** When questions that events caused were asked in the last minute. */
let spent: number[] = [];
let asleep = false;
let timer: ReturnType<typeof setTimeout> | undefined;

/** The failure that concerns all of the page, while there is one: then one question at a time is asked. */
export const outage = signal<Failure | null>(null);
const CONCERNS_ALL = ["unreachable", "limited", "unavailable"];
/** Set while the server wants a token, or does not let the one it was sent read the main report. */
export const closed = signal<Failure | null>(null);
/** When the server answered last. */
export const answeredAt = signal(Date.now());

interface Options {
  /** How many milliseconds lie at least between two questions while much happens; null if nothing that happens matters. */
  every: number | null;
  /** Whether the page has nothing to show without it: a token that may not read it is the wrong one. */
  main?: boolean;
}

export class Report<T> {
  readonly held: Signal<Held<T>> = signal({ data: null, failure: null, degraded: false, outdated: false });
  readonly every: number | null;
  readonly #main: boolean;
  readonly #ask: (news: boolean) => Promise<Answer<T>>;
  readonly #backoff = new Backoff(FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
  #wanted = false;
  #generation = 0;
  /** Until when it is not asked again because it failed. */
  pausedUntil = 0;
  /** When it was asked for last. */
  asked = 0;
  asking = false;
  /** When it will be asked again at the latest, while much else is asked, too. */
  promised = Number.POSITIVE_INFINITY;
  /** Something that it counts has happened since. */
  dirty = false;

  /**
   * `key` names the question: a new one is asked at once; with null there is none. `ask` learns whether it is
   * asked because of news.
   */
  constructor(key: () => string | null, ask: (news: boolean) => Promise<Answer<T>>, { every, main = false }: Options) {
    this.#ask = ask;
    this.every = every;
    this.#main = main;
    all.add(this as Report<unknown>);
    effect(() => {
      const wanted = key();
      untracked(() => {
        this.#wanted = wanted !== null;
        if (this.#wanted) this.load();
        else this.#rest();
      });
    });
  }

  /** There is no question any more. */
  #rest(): void {
    this.#generation += 1;
    this.dirty = false;
    this.asking = false;
    this.held.value = { ...this.held.peek(), failure: null };
  }

  /** Something has happened that the answer may count: asks soon. */
  touch(): void {
    if (this.mark()) plan();
  }

  /** Notes that something has happened that the answer may count; answers whether it may. */
  mark(): boolean {
    const counts = this.#wanted && this.every !== null;
    this.dirty ||= counts;
    return counts;
  }

  /** Asks at once: the question is a new one, or the reader wants it. */
  load(): void {
    this.#generation += 1;
    const held = this.held.peek();
    this.held.value = { ...held, outdated: held.data !== null };
    void this.ask(false);
  }

  /** Forgets what another token was answered. */
  reopen(): void {
    this.held.value = { data: null, failure: null, degraded: false, outdated: false };
    if (this.#wanted) this.load();
  }

  async ask(news = true): Promise<void> {
    const generation = this.#generation;
    this.asking = true;
    this.dirty = false;
    this.asked = Date.now();
    this.promised = Number.POSITIVE_INFINITY;
    try {
      const { data, degraded } = await untracked(() => this.#ask(news));
      if (generation !== this.#generation) return;
      this.held.value = { data, failure: null, degraded, outdated: false };
      this.#backoff.reset();
      this.pausedUntil = 0;
      answered();
    } catch (error) {
      if (generation !== this.#generation) return;
      const failure = Failure.of(error);
      this.held.value = { ...this.held.peek(), failure };
      if (failure.passes) {
        this.dirty = true;
        this.pausedUntil = Date.now() + Math.max(this.#backoff.next(), failure.wait);
        if (CONCERNS_ALL.includes(failure.kind)) failed(failure);
      } else if (failure.kind === "closed" && (this.#main || failure.code === "UNAUTHORIZED")) closed.value = failure;
    }
    this.asking = false;
    plan();
  }
}

function answered(): void {
  answeredAt.value = Date.now();
  if (outage.peek() === null) return;
  outage.value = null;
  wake();
}

function failed(failure: Failure): void {
  const first = outage.peek() === null;
  outage.value = failure;
  // What is shown may be out of date from now on.
  if (first) touchAll();
}

/** Draws from the budget, if there is something left. */
export function spend(): boolean {
  const now = Date.now();
  spent = spent.filter((at) => at > now - MINUTE_MS);
  if (spent.length >= PER_MINUTE) return false;
  spent.push(now);
  return true;
}

/** Asks for what is due, and comes back when more is. */
function plan(): void {
  clearTimeout(timer);
  if (asleep || closed.peek() !== null) return;
  const now = Date.now();
  spent = spent.filter((at) => at > now - MINUTE_MS);
  const quiet = spent.length < QUIET;
  const due = (report: Report<unknown>): number => {
    const pace = quiet ? SOON_MS : (report.every ?? 0);
    return Math.max(Math.min(report.asked + pace, report.promised), report.pausedUntil);
  };
  const dirty = [...all].filter((report) => report.dirty && !report.asking).sort((a, b) => due(a) - due(b));
  // Many questions would only make it worse.
  if (outage.peek() !== null) dirty.splice([...all].some(({ asking }) => asking) ? 0 : 1);
  let next = Number.POSITIVE_INFINITY;
  for (const report of dirty) {
    if (due(report) > now + TOGETHER_MS) {
      // What is asked meanwhile does not put it off.
      report.promised = due(report);
      next = Math.min(next, report.promised);
    } else if (spend()) void report.ask();
    else next = Math.min(next, (spent[0] ?? now) + MINUTE_MS);
  }
  if (next < Number.POSITIVE_INFINITY) timer = setTimeout(plan, Math.max(50, next - now));
}

/** Says whether the page is looked at: nothing is asked while it is not. */
export function sleep(now: boolean): void {
  asleep = now;
  plan();
}

/** The server is there again: what failed is asked for now, whatever events have cost before. */
export function wake(): void {
  for (const report of all) {
    if (!report.dirty || report.asking || report.held.peek().failure === null) continue;
    spent.push(Date.now());
    void report.ask();
  }
}

/** How often a minute everything may be asked for whatever events have cost before. */
const CATCH_UPS = 2;
let caughtUp: number[] = [];

/** Asks at once for all that may be out of date, as after an import; beyond [`CATCH_UPS`] a minute within the budget. */
export function catchUp(): void {
  caughtUp = caughtUp.filter((at) => at > Date.now() - MINUTE_MS);
  if (caughtUp.length >= CATCH_UPS || asleep || outage.peek() !== null) return;
  caughtUp.push(Date.now());
  for (const report of all) {
    if (!report.dirty) continue;
    // What is on its way may be too old already; it is asked for again when it is there.
    if (report.asking) report.asked = 0;
    else {
      spent.push(Date.now());
      void report.ask();
    }
  }
}

/** All answers may be out of date. */
export function touchAll(which: (report: Report<unknown>) => boolean = () => true): void {
  let any = false;
  for (const report of all) if (which(report)) any = report.mark() || any;
  // Together: what is asked first must not put off the rest.
  if (any) plan();
}

/** With another token everything is asked for anew. */
export function reopen(): void {
  closed.value = null;
  for (const report of all) report.reopen();
}

/** Everything at once, because the reader asked for it. */
export function reload(): void {
  for (const report of all) if (report.held.peek().failure) report.load();
}

/** Whether any answer came from a server that works without one of its parts. */
export const degraded = (): boolean => [...all].some((report) => report.held.value.degraded);
