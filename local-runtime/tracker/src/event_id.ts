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
  return "xxxxxxxx-xxxx-7xxx-8xxx-xxxxxxxxxxxx".replace(
    /x/g,
    () => time[at++] || ((Math.random() * 16) | 0).toString(16),
  );
};
