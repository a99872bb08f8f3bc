/** Which site is looked at: `?site=` names it, and those looked at before are remembered. */

const STORED = "maicivy.sites";
const MOST = 8;

/** What a site may be called. */
export const SITE_PATTERN = "[a-z0-9.\\-]{1,63}";

export function parseSite(text: string): string | null {
  return new RegExp(`^${SITE_PATTERN}$`).test(text) ? text : null;
}

/** The site as the address has it. A name that cannot be one is for the server to refuse. */
export const site = new URLSearchParams(location.search).get("site") ?? "default";

function stored(): string[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    return Array.isArray(value) ? value.filter((name) => typeof name === "string" && parseSite(name) !== null) : [];
  } catch {
    return [];
  }
}

/** Sites that were looked at in this browser, this one first. */
export function recent(): string[] {
  const own = parseSite(site);
  return [...new Set([...(own ? [own] : []), ...stored(), "default"])].slice(0, MOST);
}

export function remember(): void {
  try {
    localStorage.setItem(STORED, JSON.stringify(recent()));
  } catch {
    // Storage may be off; then nothing is remembered.
  }
}

export function addressOf(name: string): string {
  return name === "default" ? location.pathname : `${location.pathname}?site=${encodeURIComponent(name)}`;
}
