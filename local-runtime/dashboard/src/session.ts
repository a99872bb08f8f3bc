/** Tokens that the reader has given: kept as long as this tab is open. */

import { type Signal, effect, signal } from "@preact/signals-core";

function kept(name: string): Signal<string | null> {
  const key = `maicivy.${name}`;
  const of = (): Storage | null => {
    try {
      return sessionStorage;
    } catch {
      // Storage may be off; the token then lasts as long as the page.
      return null;
    }
  };
  const token = signal(of()?.getItem(key) ?? null);
  effect(() => {
    if (token.value === null) of()?.removeItem(key);
    else of()?.setItem(key, token.value);
  });
  return token;
}

/** The token of the share link by which the page was opened. */
export const shared = new URLSearchParams(location.search).get("share");
/** For what the server shows to some only; null where it is open. */
export const token = shared === null ? kept("token") : signal<string | null>(shared);
/** For what only an administrator may do. */
export const adminToken = kept("admin");

/** The header that has a token. */
export const bearer = (token: string | null): HeadersInit => (token === null ? {} : { authorization: `Bearer ${token}` });
