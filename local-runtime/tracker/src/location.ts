/** What the server keeps of a query. */
const KEPT = /^(theme|ref|source|utm_[^=]*)(=|$)/;

/**
 * The address that is being viewed: its path, and of its query what the server keeps. With `hash`,
 * a fragment that is a path (`#/about`, `#!/about`) goes on below the path.
 */
export const here = (hash: boolean): string => {
  const { pathname, host, search, hash: fragment } = location;
  const [, route, query = ""] = hash ? (/^#!?\/([^?]*)(.*)/.exec(fragment) ?? []) : [];
  const kept = (search + query)
    .split(/[?&]/)
    .filter((pair) => KEPT.test(pair))
    .join("&");
  // The path of a file tells whose computer it is on: only its name is kept.
  const path = pathname.replace(host ? "/" : /.*\//, "/");
  return (route ? path.replace(/\/*$/, "/") + route : path) + (kept && "?" + kept);
};

/** The names of the visitor's own machine. */
const LOCAL = /^127\.|^\[::1|\blocalhost$/;

/** Whether the page is on the visitor's own machine, and `url` is elsewhere. */
export const isTrial = (url: string): boolean =>
  LOCAL.test(location.hostname) && !LOCAL.test(new URL(url, document.baseURI).hostname);
