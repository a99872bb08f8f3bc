/** Tables as text, for what no question of the server has as a table. */

import type { Happening } from "./wire";

export type Cell = string | number | null;

/** Events, with the names of their columns. */
export const eventTable = (events: readonly Happening[]): Cell[][] => [
  ["time", "event", "page", "visitor", "referrer", "data", "id"],
  ...events.map(({ at, type, page, visitor, referrer, data, id }) => [new Date(at).toISOString(), type, page, visitor, referrer, JSON.stringify(data), id]),
];

/** A table as the server writes tables: a text that a spreadsheet would take for a formula gets an apostrophe. */
export function csv(rows: readonly (readonly Cell[])[]): string {
  const cell = (value: Cell): string => {
    const text = typeof value === "string" ? value.replace(/^[=+\-@\t\r]/, "'$&") : String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}
