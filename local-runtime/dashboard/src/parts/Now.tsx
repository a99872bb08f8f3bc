/** Who is there now, and what they do. */

import { useEffect, useRef, useState } from "preact/hooks";
import { now } from "../state/figures";
import { events } from "../state/timeline";
import { say } from "../text";
import { show } from "../text/now";
import { Count } from "./Count";
import { Failed, Stale } from "./Panel";
import { Strip } from "./Strip";
import { Did } from "./Did";
import { Ago } from "./Ago";

/** How often the count is read out at most. */
const SPOKEN_EVERY_MS = 15_000;

export function Now() {
  const held = now.held.value;
  const words = say.value;
  const latest = events.value[0];
  return (
    <section class="card now" aria-labelledby="now-title">
      <div class="now-count">
        <h2 id="now-title">{words.now}</h2>
        {held.data ? (
          <p class="huge" aria-hidden="true">
            <Count value={held.data.visitors} show={show.value.number} name="now" />
          </p>
        ) : held.failure ? (
          <Failed of={now} />
        ) : (
          <p class="huge bone" aria-hidden="true" />
        )}
        <p class="note">
          {words.nowHint} {held.data && held.failure && <Stale of={now} />}
        </p>
        <Spoken />
      </div>
      <div class="now-strip">
        <Strip />
        <p class="latest">
          {latest ? (
            <>
              <Ago at={latest.at} /> <Did event={latest} withPage />
            </>
          ) : (
            words.stripQuiet
          )}
        </p>
      </div>
    </section>
  );
}

/** The count for those who listen: not each change, but often enough. */
function Spoken() {
  const [spoken, setSpoken] = useState("");
  const waiting = useRef<ReturnType<typeof setTimeout> | null>(null);
  const visitors = now.held.value.data?.visitors;
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
