/** What to do on a site where nothing has happened yet. */

import { useState } from "preact/hooks";
import { API } from "../api";
import { site } from "../state/site";
import { say } from "../text";
import { Icon } from "./Icon";

/** curl needs a visitor's id, because its user agent is a bot's. */
const VISITOR = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const COPIED_MS = 2_000;

export function Welcome() {
  const words = say.value;
  const { origin } = location;
  const event = JSON.stringify({ event_type: "page_view", page_url: "/cv?theme=backend", visitor_id: VISITOR, site });
  return (
    <section class="card welcome" aria-labelledby="welcome-title">
      <span class="welcome-pulse" aria-hidden="true" />
      <h2 id="welcome-title">{words.welcome}</h2>
      <p>{words.welcomeText}</p>
      <Snippet title={words.welcomeTag} code={`<script defer src="${origin}/mcv.js" data-site="${site}"></script>`} />
      <Snippet title={words.welcomeCurl} code={`curl ${origin}${API}/event -d '${event}'`} />
      <Snippet title={words.welcomeDemo} code={`local-runtime demo --url ${origin} --site ${site}`} />
    </section>
  );
}

function Snippet({ title, code }: { title: string; code: string }) {
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
