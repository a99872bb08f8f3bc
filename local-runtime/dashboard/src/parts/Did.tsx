/** An event in words. */

import type { Messages } from "../text";
import { say } from "../text";
import { readable, visible } from "../text/address";
import { elementName } from "../text/names";
import { show } from "../text/now";
import type { Happening } from "../wire";
import type { IconName } from "./Icon";

const ICONS: Record<string, IconName> = {
  page_view: "view",
  cv_theme_change: "theme",
  letter_generate: "letter",
  pdf_download: "download",
  button_click: "click",
  link_click: "link",
  form_submit: "form",
  scroll: "scroll",
  hover: "click",
};

export function iconOf(type: string): IconName {
  return ICONS[type] ?? "custom";
}

/** Where senders say what was clicked, submitted or followed. */
const NAMES = ["element", "button", "label", "name", "id", "form", "href", "url", "file"];

function text(data: Record<string, unknown>, name: string): string | null {
  const value = data[name];
  return typeof value === "string" && value !== "" ? visible(value) : null;
}

/** What was done, and with what. Custom events are called by their names. */
export function described({ type, data, page }: Happening, words: Messages): { did: string; what: string | null } {
  const did = words.did[type] ?? type;
  switch (type) {
    case "page_view":
      return { did, what: page === null ? null : readable(page) };
    case "cv_theme_change":
      return { did, what: text(data, "theme") };
    case "letter_generate":
    case "pdf_download": {
      const kind = text(data, "letter_type");
      return { did, what: kind === null ? null : (words.letterTypes[kind] ?? kind) };
    }
    case "scroll":
      return { did, what: typeof data.depth === "number" ? show.value.position(data.depth) : null };
    default: {
      const name = NAMES.find((name) => text(data, name) !== null);
      return { did, what: name === undefined ? null : name === "element" ? elementName(String(data[name])) : text(data, name) };
    }
  }
}

export function Did({ event, withPage = false }: { event: Happening; withPage?: boolean }) {
  const { did, what } = described(event, say.value);
  const named = say.value.did[event.type] !== undefined;
  const page = event.page === null ? null : readable(event.page);
  return (
    <span class="did">
      {named ? <span>{did}</span> : <code>{did}</code>} {what !== null && <b dir="auto">{what}</b>}{" "}
      {withPage && page !== null && page !== what && <span class="where" dir="auto">{page}</span>}
    </span>
  );
}
