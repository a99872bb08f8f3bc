/** Tokens that the reader has given: kept as long as this tab is open. */

import { type Signal, effect, signal } from "@preact/signals-core";

function kept(name: string): Signal<string | null> {
  const key = `maicivy.${name}`;
  const token = signal<string | null>(null);
  // Storage may be off or full; the token then lasts as long as the page.
  try {
    token.value = sessionStorage.getItem(key);
  } catch {}
  effect(() => {
    try {
      if (token.value === null) sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, token.value);
    } catch {}
  });
  return token;
}

/** The token of the share link by which the page was opened: `#share=`, since browsers send no server what is behind `#`. */
export const shared = new URLSearchParams(location.hash.slice(1)).get("share");
/** For what the server shows to some only; null where it is open. */
export const token = shared === null ? kept("token") : signal<string | null>(shared);
/** For what only an administrator may do. */
export const adminToken = kept("admin");

/** The header that has a token. */
export const bearer = (token: string | null): HeadersInit => (token === null ? {} : { authorization: `Bearer ${token}` });

/** The subprotocols that have a token; none if the token has characters that a subprotocol cannot have. */
export const protocols = (token: string | null): string[] =>
  token !== null && /^[\w!#$%&'*+.^`|~-]+$/.test(token) ? ["maicivy", `bearer.${token}`] : [];
