/** What to do on a site where nothing was counted yet: the tag, and a list that completes itself. */

import { useEffect, useState } from "preact/hooks";
import { address, api } from "../api";
import { bearer, token } from "../session";
import { feed } from "../state/live";
import { site } from "../state/site";
import { say } from "../text";
import { show } from "../text/now";
import { Icon } from "./Icon";
import { OwnVisits } from "./OwnVisits";
import { Snippet } from "./Snippet";

/** curl needs a visitor's id, because its user agent is a bot's. */
const VISITOR = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const LOOK_EVERY_MS = 5_000;

export function Setup() {
  const words = say.value;
  const script = address("mcv.js").href;
  const base = address(".").href;
  const event = JSON.stringify({ event_type: "page_view", page_url: "/cv?theme=backend", visitor_id: VISITOR, site });
  const nginx = `location /stats/ {\n    proxy_pass http://127.0.0.1:8080/;\n    proxy_http_version 1.1;\n    proxy_set_header Host $host;\n    proxy_set_header Upgrade $http_upgrade;\n    proxy_set_header Connection $http_connection;\n    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n}`;
  const caddy = "handle_path /stats/* {\n    reverse_proxy 127.0.0.1:8080\n}";
  const { origin } = new URL(base);
  const csp = `script-src ${origin}; connect-src ${origin}`;
  return (
    <section class="card welcome" aria-labelledby="welcome-title">
      <h2 id="welcome-title">{words.welcome(site)}</h2>
      <p>{words.welcomeText}</p>
      <Snippet title={words.welcomeTag} code={`<script defer src="${script}" data-site="${site}"></script>`} />
      <Checks />
      <details class="more-setup">
        <summary>{words.welcomeMore}</summary>
        <Snippet title={words.welcomeCurl} code={`curl ${api("event").href} -d '${event}'`} />
        <Snippet title={words.welcomeDemo} code={`local-runtime demo --days 30 --site ${site}`} />
        <OwnVisits />
        <Snippet title="nginx" code={nginx} />
        <Snippet title="Caddy" code={caddy} />
        <Snippet title="Content-Security-Policy" code={csp} />
        <p class="note">{words.welcomeProxy}</p>
      </details>
    </section>
  );
}

/** What the server counted since the page was opened: how often it sent the script, and events by outcome and reason. */
interface Seen {
  scripts: number;
  outcomes: Record<string, number>;
}

const OUTCOME = /^maicivy_ingest_outcomes_total\{([^}]*)\} (\S+)$/gm;
/** The script has several names, all of them at the root. */
const SCRIPT = /^maicivy_analytics_request_duration_seconds_count\{endpoint="\/[^"/]+\.js"[^}]*\} (\S+)$/gm;

/** Null where the server shows no metrics, undefined if it is away for a moment. */
async function look(): Promise<Seen | null | undefined> {
  const answer = await fetch(address("metrics"), { headers: bearer(token.peek()), signal: AbortSignal.timeout(LOOK_EVERY_MS) }).catch(() => null);
  if (answer === null || answer.status === 429 || answer.status >= 500) return undefined;
  if (!answer.ok) return null;
  const text = await answer.text().catch(() => undefined);
  if (text === undefined) return undefined;
  const outcomes: Record<string, number> = {};
  for (const [, labels = "", value] of text.matchAll(OUTCOME)) {
    const label = (name: string): string => new RegExp(`${name}="([^"]*)"`).exec(labels)?.[1] ?? "";
    outcomes[label("reason") || label("outcome")] = Number(value);
  }
  return { scripts: sum([...text.matchAll(SCRIPT)].map(([, count]) => Number(count))), outcomes };
}

const total = ({ outcomes }: Seen): number => sum(Object.values(outcomes));
const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

/** What happened since the page was opened; null where that is not known, undefined before it is. */
function useSeen(): Seen | null | undefined {
  const [news, setNews] = useState<Seen | null | undefined>();
  useEffect(() => {
    let first: Seen | null = null;
    const again = async (): Promise<void> => {
      if (document.hidden) return;
      const now = await look();
      if (now === undefined) return;
      if (now === null) return setNews(null);
      // A server that was started again counts from 0.
      if (first && (now.scripts < first.scripts || total(now) < total(first))) first = null;
      const base = (first ??= now);
      const outcomes = Object.entries(now.outcomes).map(([name, count]) => [name, count - (base.outcomes[name] ?? 0)]);
      setNews({ scripts: now.scripts - base.scripts, outcomes: Object.fromEntries(outcomes) });
    };
    void again();
    const timer = setInterval(again, LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return news;
}

function Checks() {
  const words = say.value;
  const { number } = show.value;
  const news = useSeen();
  const all = Object.entries(news?.outcomes ?? {});
  const received = sum(all.map(([, count]) => count));
  const stored = news?.outcomes.stored ?? 0;
  const { doNotTrack } = navigator;
  const optedOut = doNotTrack === "1" || ("globalPrivacyControl" in navigator && navigator.globalPrivacyControl === true);
  return (
    <ol class="checks" aria-label={words.checks}>
      <Check is={feed.state.value === "live" ? "done" : "waiting"} text={feed.state.value === "live" ? words.checkLive : words.checkNoLive} />
      {news && (
        <>
          {news.scripts > 0 ? (
            <Check is="done" text={words.checkScript(news.scripts, number(news.scripts))} />
          ) : (
            // A browser that has the script already does not ask for it, but sends events.
            received === 0 && <Check is="waiting" text={words.checkNoScript} />
          )}
          <Check is={received > 0 ? "done" : "waiting"} text={received > 0 ? words.checkReceived(received, number(received)) : words.checkNothing(news.scripts > 0)} />
        </>
      )}
      <Check is="waiting" text={words.checkFirst} />
      {all.map(([name, count]) => count > 0 && name in words.notCounted && <Check key={name} is="failed" text={`${words.notCountedOf(count, number(count))} ${words.notCounted[name]}`} />)}
      {stored > 0 && <Check is="failed" text={words.otherSite(number(stored), site)} />}
      {optedOut && <Check is="failed" text={words.optedOut} />}
      {news === null && <Check is="waiting" text={words.checkUnknown} />}
    </ol>
  );
}

function Check({ is, text }: { is: "done" | "waiting" | "failed"; text: string }) {
  return (
    <li data-is={is}>
      <Icon name={is === "done" ? "check" : is === "failed" ? "cross" : "clock"} /> <span>{text}</span>
    </li>
  );
}
