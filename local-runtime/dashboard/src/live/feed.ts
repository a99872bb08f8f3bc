/**
 * The live feed: one WebSocket that is opened again whenever it breaks, and asks for what was
 * missed meanwhile. The protocol is described with the server's `live` module.
 */

import { signal } from "@preact/signals-core";
import { type Happening, type Message, type Realtime, message } from "../wire";
import { Backoff } from "./backoff";
import { Seen } from "./seen";

/** `connecting` for the first time, `live`, `waiting` to try again, or `absent`: the server has none. */
export type FeedState = "connecting" | "live" | "waiting" | "absent";

export interface Listener {
  /** A new event; each is delivered once. */
  event(event: Happening): void;
  figures(figures: Realtime): void;
  /** Events were missed that will not be sent. */
  gap(): void;
  /** Connected, for the first time or again. */
  open(): void;
  /** Whether the server answers questions: then a connection that it refuses is one that it does not have. */
  answers(): boolean;
}

/** Heartbeats come every five seconds; a connection that misses two and a half is dead. */
const SILENCE_MS = 12_500;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** After how many connections that were refused there is none, and how long until it is looked for again. */
const ABSENT_AFTER = 2;
const ABSENT_PAUSE_MS = 120_000;

export class Feed {
  readonly state = signal<FeedState>("connecting");
  readonly #connect: () => WebSocket;
  readonly #listener: Listener;
  readonly #backoff: Backoff;
  readonly #seen = new Seen();
  #socket: WebSocket | null = null;
  #last: string | null = null;
  /** Whether there ever was a connection, and how many were refused before. */
  #opened = false;
  #refused = 0;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(connect: () => WebSocket, listener: Listener, random?: () => number) {
    this.#connect = connect;
    this.#listener = listener;
    this.#backoff = new Backoff(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, random);
  }

  /** Connects; also at once instead of after the pause. */
  start(): void {
    clearTimeout(this.#again);
    if (this.#socket) return;
    const socket = this.#connect();
    this.#socket = socket;
    this.#listen(socket);
    socket.onopen = () => {
      this.state.value = "live";
      this.#opened = true;
      this.#resume();
      this.#listener.open();
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#listen(socket);
      this.#hear(String(data));
    };
    socket.onclose = () => this.#lost(socket);
  }

  /** Connects anew, with the token of now; or, with `false`, not until it is started again. */
  restart(again = true): void {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#watch);
    clearTimeout(this.#again);
    socket?.close();
    this.#refused = 0;
    this.state.value = "connecting";
    if (again) this.start();
  }

  /**
   * The newest event that is known from elsewhere. Where the feed has said nothing yet, what
   * came after that event is asked for, so that nothing falls between the two.
   */
  known(newest: string): void {
    if (this.#last !== null) return;
    this.#last = newest;
    if (this.state.value === "live") this.#resume();
  }

  #hear(json: string): void {
    let heard: Message;
    try {
      heard = message(json);
    } catch {
      // A message that cannot be read is one of a newer server: figures still come right.
      return;
    }
    this.#backoff.reset();
    if (heard.kind === "event") {
      this.#last = heard.event.id;
      if (this.#seen.add(heard.event.id)) this.#listener.event(heard.event);
    } else if (heard.kind === "figures") {
      this.#listener.figures(heard.figures);
    } else if (heard.kind === "gap") {
      // What is known next is what is read next.
      this.#last = null;
      this.#listener.gap();
    } else if (heard.kind === "error") {
      // What was asked for does not come; the next connection asks for it again.
      this.#listener.gap();
    }
  }

  #resume(): void {
    if (this.#last !== null) this.#socket?.send(JSON.stringify({ type: "resume", after: this.#last }));
  }

  #listen(socket: WebSocket): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.#lost(socket);
      socket.close();
    }, SILENCE_MS);
  }

  #lost(socket: WebSocket): void {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#watch);
    if (!this.#opened && this.#listener.answers()) this.#refused += 1;
    const absent = !this.#opened && this.#refused >= ABSENT_AFTER;
    this.state.value = absent ? "absent" : "waiting";
    this.#again = setTimeout(() => this.start(), absent ? ABSENT_PAUSE_MS : this.#backoff.next());
  }
}
