/** How long ago something was; goes on by itself. */

import { signal } from "@preact/signals";
import { say } from "../text";
import { show } from "../text/now";

/** The time that all of the page agrees on. */
const time = signal(Date.now());
setInterval(() => {
  if (!document.hidden) time.value = Date.now();
}, 1_000);

const JUST_NOW_MS = 2_000;

export function Ago({ at }: { at: number }) {
  const passed = time.value - at;
  return (
    <time class="ago" dateTime={new Date(at).toISOString()} title={show.value.instant(at)}>
      {passed < JUST_NOW_MS ? say.value.justNow : show.value.ago(passed)}
    </time>
  );
}
