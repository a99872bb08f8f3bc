/**
 * The page's own address, without query and fragment. The path of a file tells whose computer it is
 * on: only its name is kept. The origin of files is `null` or `file://`.
 */
export const path = (): string => (location.origin + location.pathname).replace(/^[nf].*\//, "/");

/** Of a query what the server keeps. */
export const kept = (query: string): string =>
  query.replace(/[?&](?!(utm_.*|theme|ref|source)=)[^&]*/g, "").replace(/^./, "?");

/** The host names of the visitor's own machine. */
export const LOCAL = /^127\.|^\[|localhost$/;
