/** What is wrong with all of the page, if anything. */

import { answeredAt, degraded, outage, reload } from "../state/report";
import { say } from "../text";
import { show } from "../text/now";

export function Banner() {
  const words = say.value;
  const failure = outage.value;
  if (failure === null || failure.kind === "refused") {
    return degraded() ? (
      <p class="banner" data-kind="degraded" role="status">
        {words.degraded}
      </p>
    ) : null;
  }
  return (
    <p class="banner" data-kind={failure.kind} role="status">
      <span>
        {words.outage[failure.kind]} {words.staleSince(show.value.clock(answeredAt.value))}
      </span>
      <button type="button" class="button" onClick={reload}>
        {words.retry}
      </button>
    </p>
  );
}
