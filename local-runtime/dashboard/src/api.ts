/** Requests to the server. Addresses are relative, so that the page works below any prefix of a proxy. */

import { adminToken, bearer, token } from "./session";
import { Malformed, answer, batch } from "./wire";

const API = "api/v1/analytics";
const TIMEOUT_MS = 15_000;
/** The most queries that the server takes in one request. */
const MOST_QUERIES = 20;

/**
 * Why there is no answer: the server cannot be reached, limits the requests of this address, cannot
 * reach its database, wants a token that may ask this, refuses the question, has a fault, or answers what
 * cannot be read.
 */
export type FailureKind = "unreachable" | "limited" | "unavailable" | "closed" | "refused" | "broken" | "malformed";

export class Failure extends Error {
  constructor(
    readonly kind: FailureKind,
    message: string,
    /** The server's code, such as `INVALID_SITE`. */
    readonly code = "",
    /** What the server asked to wait, in milliseconds. */
    readonly wait = 0,
  ) {
    super(message);
  }

  /** What was thrown, as a failure. */
  static of(error: unknown): Failure {
    return error instanceof Failure ? error : new Failure("malformed", String(error));
  }

  /** Whether the same question may have an answer later. */
  get passes(): boolean {
    return this.kind !== "refused" && this.kind !== "closed";
  }
}

export interface Answer<T> {
  data: T;
  /** The server works without a part that it usually has. */
  degraded: boolean;
}

export type Parameters = Record<string, string | number | undefined>;
type Parser<T> = (data: unknown, meta: Record<string, unknown>) => T;

/** The absolute address of a path of this server. */
export function address(path: string, parameters: Parameters = {}): URL {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, String(value));
  return url;
}

/** The address of a path of the API. */
export const api = (path: string, parameters?: Parameters): URL => address(`${API}/${path}`, parameters);

/** The address at which a query is answered as CSV. */
export const csvOf = (query: object): URL => api("query", { q: JSON.stringify(query), format: "csv" });

/** A table, as text. */
export async function fetchText(url: URL, body?: object): Promise<string> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(url, { ...init, headers: bearer(token.peek()) });
  if (!response.ok) throw new Failure("refused", String(response.status));
  return response.text();
}

export function get<T>(path: string, parameters: Parameters, parse: Parser<T>): Promise<Answer<T>> {
  return request(api(path, parameters), {}, parse);
}

export function post<T>(path: string, body: object, parse: Parser<T>): Promise<Answer<T>> {
  return request(api(path), { method: "POST", body: JSON.stringify(body) }, parse);
}

/** Asks what only an administrator may, with the token for that, or else with the reader's. */
export function asAdmin<T>(method: "GET" | "POST" | "PUT" | "DELETE", path: string, parameters: Parameters, body: object | null, parse: Parser<T>): Promise<Answer<T>> {
  const headers = bearer(adminToken.peek() ?? token.peek());
  return request(api(path, parameters), { method, headers, ...(body && { body: JSON.stringify(body) }) }, parse);
}

async function request<T>(url: URL, init: RequestInit, parse: Parser<T>): Promise<Answer<T>> {
  return readable(() => fetchJson(url, init), (body) => answer(body, parse));
}

async function readable<A, B>(ask: () => Promise<A>, read: (body: A) => B): Promise<B> {
  const body = await ask();
  try {
    return read(body);
  } catch (error) {
    if (error instanceof Malformed) throw new Failure("malformed", error.message);
    throw error;
  }
}

async function fetchJson(url: URL, init: RequestInit): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { headers: bearer(token.peek()), ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    text = await response.text();
  } catch (error) {
    throw new Failure("unreachable", String(error));
  }
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page, for example.
  }
  if (!response.ok) throw failed(response.status, body, Number(response.headers.get("retry-after")));
  if (body === null) throw new Failure("malformed", "no JSON");
  return body;
}

const KINDS: Record<string, FailureKind> = { RATE_LIMITED: "limited", UNAVAILABLE: "unavailable", UNAUTHORIZED: "closed", FORBIDDEN: "closed", INTERNAL: "broken" };

/** A failure as the server describes it, with the status, or in the place of an answer. */
function failed(status: number, body: unknown, seconds: number): Failure {
  const told: Record<string, unknown> = typeof body === "object" && body !== null ? { ...body } : {};
  const code = typeof told.code === "string" ? told.code : "";
  const message = typeof told.error === "string" ? told.error : String(status);
  const wait = Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 120) * 1_000 : 0;
  // Without a code of the server's, a proxy answers in its place.
  const other = status === 429 ? "limited" : status >= 500 ? (code === "" ? "unreachable" : "broken") : "refused";
  return new Failure(KINDS[code] ?? other, message, code, wait);
}

// --- queries, several in a request --------------------------------------------------------------

interface Asked {
  query: object;
  settle(item: unknown): void;
  fail(failure: unknown): void;
}

const asked: { first: Asked[]; then: Asked[] } = { first: [], then: [] };

/**
 * Asks a query. Those that are asked in the same moment share a request; those that are looked at `first`
 * have one of their own.
 */
export function query<T>(query: object, parse: Parser<T>, first: boolean): Promise<Answer<T>> {
  const item = new Promise<unknown>((settle, fail) => {
    if (asked.first.length + asked.then.length === 0) queueMicrotask(send);
    asked[first ? "first" : "then"].push({ query, settle, fail });
  });
  return readable(
    () => item,
    (item) => {
      if (typeof item === "object" && item !== null && "success" in item && item.success === false) {
        throw failed(400, item, "retry_after" in item ? Number(item.retry_after) : 0);
      }
      return answer(item, parse);
    },
  );
}

function send(): void {
  for (const queue of [asked.first, asked.then]) {
    while (queue.length > 0) void sendTogether(queue.splice(0, MOST_QUERIES));
  }
}

async function sendTogether(together: Asked[]): Promise<void> {
  try {
    const body = JSON.stringify(together.map(({ query }) => query));
    const items = await readable(() => fetchJson(api("query"), { method: "POST", body }), batch);
    together.forEach(({ settle }, at) => settle(items[at]));
  } catch (error) {
    for (const { fail } of together) fail(error);
  }
}
