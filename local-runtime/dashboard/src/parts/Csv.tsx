/** A link to a table of what is shown. */

import { useSignal } from "@preact/signals";
import { fetchText } from "../api";
import { type Cell, csv } from "../csv";
import { token } from "../session";
import { say } from "../text";
import { Icon } from "./Icon";

interface Props {
  /** Where the table is, or its rows, the first of which names the columns. */
  of: URL | (() => Cell[][]);
  /** The question, where it is not part of the address. */
  body?: object;
  /** The file's name, without its ending. */
  name: string;
  /** What is in it. */
  what: string;
  /** Whether there is no room for a word. */
  small?: boolean;
}

export function Csv({ of, body, name, what, small = false }: Props) {
  const failed = useSignal(false);
  const label = say.value.csvOf(what);
  const file = `${name}.csv`;
  const save = async (event: Event): Promise<void> => {
    // The browser fetches what is an address; a token it would not send.
    if (of instanceof URL && body === undefined && token.value === null) return;
    event.preventDefault();
    try {
      const text = of instanceof URL ? await fetchText(of, body) : csv(of());
      failed.value = false;
      const saved = document.createElement("a");
      saved.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      saved.download = file;
      saved.click();
      setTimeout(() => URL.revokeObjectURL(saved.href), KEPT_MS);
    } catch {
      failed.value = true;
    }
  };
  const content = (
    <>
      <Icon name={failed.value ? "cross" : "download"} /> {!small && "CSV "}
      <span class="unseen">{label}</span>
    </>
  );
  if (!(of instanceof URL) || body !== undefined) {
    return (
      <button type="button" class="quiet csv" title={label} onClick={save}>
        {content}
      </button>
    );
  }
  return (
    <a class="quiet csv" href={of.href} download={file} title={label} onClick={save}>
      {content}
    </a>
  );
}

/** How long the browser has to save a file. */
const KEPT_MS = 10_000;
