/** Conditions that all figures of the page fulfil, as the API knows them. */

export const OPERATORS = ["is", "is_not", "contains", "contains_not"] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Filter {
  operator: Operator;
  dimension: string;
  values: readonly string[];
}

/** What can be filtered by. */
export const FILTERABLE = [
  "event:page",
  "visit:entry_page",
  "visit:exit_page",
  "event:hostname",
  "visit:source",
  "visit:channel",
  "visit:referrer",
  "visit:utm_source",
  "visit:utm_medium",
  "visit:utm_campaign",
  "visit:utm_content",
  "visit:utm_term",
  "visit:country",
  "visit:region",
  "visit:city",
  "visit:language",
  "visit:device",
  "visit:browser",
  "visit:browser_version",
  "visit:os",
  "visit:os_version",
  "visit:screen",
  "event:goal",
  "event:name",
  "event:theme",
  "event:letter_type",
] as const;

const DIMENSION = /^(event|visit):[a-z_]+(:.{1,100})?$/;
/** As many conditions as the server takes, less those that reports add. */
const MOST_FILTERS = 15;

const encoded = (text: string): string => encodeURIComponent(text).replace(/%(2F|3A)/g, decodeURIComponent);

/** A filter for an address: `is,event:page,/blog,/about`. */
export function written({ operator, dimension, values }: Filter): string {
  return [operator, dimension, ...values].map(encoded).join(",");
}

/** A filter from an address; null when it is none. */
export function parsed(text: string): Filter | null {
  let parts: string[];
  try {
    parts = text.split(",").map(decodeURIComponent);
  } catch {
    return null;
  }
  const [name, dimension = "", ...values] = parts;
  const operator = OPERATORS.find((operator) => operator === name);
  return operator && DIMENSION.test(dimension) && values.length > 0 ? { operator, dimension, values } : null;
}

/** As a condition of a query. */
export function condition({ operator, dimension, values }: Filter): unknown[] {
  const folded = operator.startsWith("contains") ? [{ case_sensitive: false }] : [];
  return [operator, dimension, values, ...folded];
}

/** The filters with one more; another value of the same condition joins it. */
export function added(filters: readonly Filter[], { operator, dimension, values }: Filter): readonly Filter[] {
  const same = filters.find((known) => known.operator === operator && known.dimension === dimension);
  const merged = { operator, dimension, values: [...new Set([...(same?.values ?? []), ...values])] };
  return (same ? filters.map((known) => (known === same ? merged : known)) : [...filters, merged]).slice(0, MOST_FILTERS);
}

/** Whether some condition at the top is about the dimension and positive. */
export function requires(filters: readonly Filter[], dimension: string): boolean {
  return filters.some((filter) => filter.dimension === dimension && !filter.operator.endsWith("not"));
}

/** The one page that the view is about, if it is about one. */
export function onlyPage(filters: readonly Filter[]): string | null {
  const page = filters.find(({ operator, dimension }) => operator === "is" && dimension === "event:page");
  return page?.values.length === 1 ? (page.values[0] ?? null) : null;
}
