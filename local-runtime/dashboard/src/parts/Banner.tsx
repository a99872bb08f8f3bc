/** What is wrong with all of the page, if anything. */

import { current, degraded } from "../state/figures";
import { say } from "../text";

export function Banner() {
  const { failure } = current.day.held.value;
  const words = say.value;
  const unreachable = failure?.kind === "unreachable";
  const text = unreachable
    ? words.unreachable
    : failure?.kind === "refused"
      ? `${words.refused}: ${failure.message}`
      : degraded.value
        ? words.degraded
        : null;
  if (text === null) return null;
  return (
    <p class="banner" data-kind={failure ? "failure" : "degraded"}>
      {text}
    </p>
  );
}
