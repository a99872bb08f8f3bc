/** Text to be copied. */

import { useState } from "preact/hooks";
import { say } from "../text";
import { Icon } from "./Icon";

const COPIED_MS = 2_000;

export function Snippet({ title, code }: { title: string; code: string }) {
  const words = say.value;
  const [copied, setCopied] = useState(false);
  const copy = (): void => {
    navigator.clipboard.writeText(code).then(
      () => {
        setCopied(true);
        setTimeout(() => setCopied(false), COPIED_MS);
      },
      () => undefined,
    );
  };
  return (
    <div class="snippet">
      <h3>{title}</h3>
      <div class="snippet-code">
        <pre tabIndex={0}>{code}</pre>
        {/* Only secure contexts have a clipboard. */}
        {"clipboard" in navigator && (
          <button type="button" class="quiet" onClick={copy} aria-label={`${words.copy}: ${title}`}>
            <Icon name={copied ? "check" : "copy"} /> {copied ? words.copied : words.copy}
          </button>
        )}
      </div>
    </div>
  );
}
