/** The time of the latest id. */
let latest = 0;

/**
 * A new UUID of version 7 (RFC 9562). Ids begin with their time, in milliseconds since 1970, and
 * those of a page sort as they were made: two of one millisecond are told to be of two.
 *
 * The rest are 72 bits of chance. They must differ, not be secret, so `Math.random` will do, which
 * is there on every page; `crypto.randomUUID` is not where there is no TLS.
 */
export const eventId = (): string => {
  latest = Math.max(latest + 1, +new Date());
  // 48 bits are twelve digits; the first is 0 until the year 2527.
  const time = "0" + latest.toString(16);
  let at = 0;
  // The template is 10000000-1000-7000-8000-100000000000.
  return `${1e7}-1000-7000-8000-${1e11}`.replace(
    /[01]/g,
    () => time[at++] || ((Math.random() * 16) | 0).toString(16),
  );
};
