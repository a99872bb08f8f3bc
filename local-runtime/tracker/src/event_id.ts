/** The time of the latest id. */
let latest = 0;

/**
 * A new UUID of version 7 (RFC 9562), without its hyphens. Ids begin with their time, in
 * milliseconds since 1970, and those of a page sort as they were made: two of one millisecond are
 * told to be of two.
 *
 * The rest are 49 bits of chance. They must differ, not be secret, so `Math.random` will do, which
 * is there on every page; `crypto.randomUUID` is not where there is no TLS.
 */
export const eventId = (): string => {
  latest = Math.max(latest + 1, +new Date());
  // 48 bits are twelve digits; the first is 0 until the year 2527. Sixteen more begin with the
  // variant, which is 8, and are decimal: from 2 ** 52 to 2 ** 53 all numbers are whole.
  return "0" + latest.toString(16) + "7000" + (8e15 + Math.random() * 1e15);
};
