/** Fields that say what reaches a goal or a step: a page or an event. */

import { cards, eventNames } from "../state/figures";
import { targetText } from "../state/goals";
import { say } from "../text";
import type { Target } from "../wire";
import { Icon } from "./Icon";

interface Props {
  /** What it is, for those who do not see where it stands. */
  label: string;
  target: Target;
  change(to: Target): void;
}

export function TargetFields({ label, target, change }: Props) {
  const words = say.value;
  const kind = target.event !== undefined ? "event" : target.page !== undefined ? "page" : "filter";
  return (
    <>
      <select aria-label={`${label}: ${words.what}`} value={kind} onChange={({ currentTarget }) => change(currentTarget.value === "page" ? { page: "" } : { event: "" })}>
        <option value="page">{words.tabs.page}</option>
        <option value="event">{words.tabs.event}</option>
        {kind === "filter" && <option value="filter">{words.filter}</option>}
      </select>
      <input
        type="text"
        aria-label={label}
        list={`known-${kind}`}
        value={targetText(target)}
        readOnly={kind === "filter"}
        placeholder={kind === "page" ? "/blog/*" : "signup"}
        maxLength={200}
        autocapitalize="none"
        required
        onInput={({ currentTarget }) => change(kind === "page" ? { page: currentTarget.value } : { event: currentTarget.value })}
      />
    </>
  );
}

/** What the fields suggest: pages and events that were seen. */
export function Suggestions() {
  return (
    <>
      <datalist id="known-event">
        {eventNames.value.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <datalist id="known-page">
        {cards.pages.held.value.data?.rows.map(({ dimensions: [path = ""] }) => <option key={path} value={path} />)}
      </datalist>
    </>
  );
}

interface StepsProps {
  steps: readonly Target[];
  fewest: number;
  most: number;
  change(to: Target[]): void;
}

/** Steps one after the other, to be changed, removed and added to. */
export function Steps({ steps, fewest, most, change }: StepsProps) {
  const words = say.value;
  const put = (at: number, by: readonly Target[]): void => change(steps.flatMap((step, place) => (place === at ? by : [step])));
  return (
    <>
      <ol class="funnel-steps">
        {steps.map((step, at) => (
          <li key={at}>
            <TargetFields label={words.step(at + 1)} target={step} change={(to) => put(at, [to])} />
            {steps.length > fewest && (
              <button type="button" class="icon-button" aria-label={`${words.remove}: ${words.step(at + 1)}`} onClick={() => put(at, [])}>
                <Icon name="cross" />
              </button>
            )}
          </li>
        ))}
      </ol>
      {steps.length < most && (
        <button type="button" class="button" onClick={() => change([...steps, { event: "" }])}>
          {words.addStep}
        </button>
      )}
    </>
  );
}
