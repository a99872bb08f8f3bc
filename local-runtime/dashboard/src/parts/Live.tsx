/** The current visitors, and what they do; one line when there are none. */

import { useEffect, useRef, useState } from "preact/hooks";
import { csvOf } from "../api";
import { type Query, readNow, readNowQuery, sourcesNow, sourcesNowQuery } from "../state/figures";
import { now } from "../state/live";
import { events, hasCome, strip } from "../state/timeline";
import { say } from "../text";
import { valueName } from "../text/names";
import { show } from "../text/now";
import type { Rows } from "../wire";
import { Ago } from "./Ago";
import { MOST_ROWS } from "./Card";
import { Csv } from "./Csv";
import { Did } from "./Did";
import { Strip } from "./Strip";

/** How often the count is read out at most. */
const SPOKEN_EVERY_MS = 15_000;

export function Live() {
  const words = say.value;
  const visitors = now.value?.visitors;
  const latest = events.value.find(hasCome);
  const quiet = !visitors && strip.value.length === 0;
  return (
    <section class="card live" data-quiet={quiet} aria-labelledby="now-title">
      <div class="live-count">
        <p class="live-number" data-figure="now" data-value={visitors ?? ""} aria-hidden="true">
          {visitors === undefined ? <span class="bone" /> : show.value.number(visitors)}
        </p>
        <h2 id="now-title" title={words.nowHint}>
          {visitors === undefined ? words.now : words.nowTitle(visitors)}
        </h2>
        <Spoken visitors={visitors} />
      </div>
      {!quiet && (
        <>
          <Strip />
          <Few title={words.readNow} name="now" query={readNowQuery} rows={readNow.held.value.data} />
          <Few title={words.sourcesNow} name="sources-now" query={sourcesNowQuery} rows={sourcesNow.held.value.data} />
        </>
      )}
      <p class="latest">
        {latest ? (
          <>
            <Ago at={latest.at} /> <Did event={latest} withPage />
          </>
        ) : (
          words.timelineEmpty
        )}
      </p>
    </section>
  );
}

function Few({ title, name, query, rows }: { title: string; name: string; query: Query; rows: Rows | null }) {
  if (!rows || rows.rows.length === 0) return null;
  return (
    <div class="few">
      <header>
        <h3>{title}</h3>
        <Csv of={csvOf({ ...query, limit: MOST_ROWS })} name={name} what={title} small />
      </header>
      <ol>
        {rows.rows.map(({ dimensions: [value = ""], metrics: [visitors = null] }) => (
          <li key={value}>
            <span dir="auto">{valueName(rows.dimensions[0] ?? "", value)}</span> <b>{show.value.number(visitors ?? 0)}</b>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** The count for screen readers: not each change, but often enough. */
function Spoken({ visitors }: { visitors: number | undefined }) {
  const [spoken, setSpoken] = useState("");
  const waiting = useRef<ReturnType<typeof setTimeout> | null>(null);
  const text = useRef("");
  text.current = visitors === undefined ? "" : say.value.nowSpoken(visitors, show.value.number(visitors));
  useEffect(() => {
    if (spoken === "" || spoken === text.current) setSpoken(text.current);
    else
      waiting.current ??= setTimeout(() => {
        waiting.current = null;
        setSpoken(text.current);
      }, SPOKEN_EVERY_MS);
  });
  return (
    <p class="unseen" aria-live="polite">
      {spoken}
    </p>
  );
}
