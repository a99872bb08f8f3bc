/** Questions to the server. */

import { Malformed, answer } from "./wire";

export const API = "/api/v1/analytics";
const PATIENCE_MS = 10_000;

/** Why there is no answer. */
export class Failure extends Error {
  constructor(
    readonly kind: "unreachable" | "refused" | "malformed",
    message: string,
    /** What the server asked to wait, in milliseconds. */
    readonly wait = 0,
  ) {
    super(message);
  }
}

export interface Answer<T> {
  data: T;
  /** The server could do without something that it usually has. */
  degraded: boolean;
}

export type Parameters = Record<string, string | number | undefined>;

/** Asks, and parses what is answered. */
export async function ask<T>(
  path: string,
  parameters: Parameters,
  parse: Parser<T>,
): Promise<Answer<T>> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, String(value));
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(`${API}${path}?${query}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
    body = await response.json();
  } catch (error) {
    if (error instanceof SyntaxError) throw new Failure("malformed", error.message);
    throw new Failure("unreachable", String(error));
  }
  if (!response.ok) throw new Failure("refused", reason(body) ?? `${response.status}`, wait(response));
  try {
    return answer(body, parse);
  } catch (error) {
    if (error instanceof Malformed) throw new Failure("malformed", error.message);
    throw error;
  }
}

type Parser<T> = (data: unknown, meta: Record<string, unknown>) => T;

function reason(body: unknown): string | null {
  const error = typeof body === "object" && body !== null && "error" in body ? body.error : null;
  return typeof error === "string" ? error : null;
}

function wait(response: Response): number {
  const seconds = Number(response.headers.get("retry-after"));
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 120) * 1_000 : 0;
}
