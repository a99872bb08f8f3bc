/** How many visitors take each of several steps in order: of a funnel that is kept, or of one that is tried out. */

import { useSignal, useSignalEffect } from "@preact/signals";
import { funnel, funnelSteps } from "../state/figures";
import { FEWEST_STEPS, MOST, condition, edit, goals, isComplete, targetText } from "../state/goals";
import { say } from "../text";
import { metricText } from "../text/names";
import { show } from "../text/now";
import type { FunnelStep, Target } from "../wire";
import { EditGoals } from "./Goals";
import { Body } from "./Panel";
import { Steps, Suggestions } from "./Target";

const TYPED_MS = 400;
const NEW: readonly Target[] = [{ page: "/" }, { event: "" }];

export function Funnel() {
  const words = say.value;
  const saved = goals.held.value.data?.funnels ?? [];
  /** The name of the kept funnel that is shown; null for the first one, empty for one that is tried out. */
  const name = useSignal<string | null>(null);
  const tried = useSignal<readonly Target[]>(NEW);
  const kept = name.value === null ? saved[0] : saved.find((funnel) => funnel.name === name.value);
  const steps = kept?.steps ?? tried.value;
  const asked = JSON.stringify(steps.every(isComplete) ? steps.map(condition) : []);
  const text = useSignal(asked);
  text.value = asked;
  useSignalEffect(() => {
    const wanted: unknown[] = JSON.parse(text.value);
    // Not for every letter that is typed.
    const pause = setTimeout(() => (funnelSteps.value = wanted), TYPED_MS);
    return () => clearTimeout(pause);
  });
  return (
    <div class="funnel">
      <p class="funnel-actions">
        {saved.length > 0 && (
          <label class="funnel-saved">
            <span>{words.savedFunnels}</span>
            <select
              value={kept?.name ?? ""}
              onChange={({ currentTarget }) => {
                name.value = currentTarget.value;
              }}
            >
              {saved.map((funnel) => (
                <option key={funnel.name} value={funnel.name}>
                  {funnel.name}
                </option>
              ))}
              <option value="">{words.newFunnel}</option>
            </select>
          </label>
        )}
        <EditGoals />
      </p>
      {!kept && (
        <>
          <Steps steps={steps} fewest={FEWEST_STEPS} most={MOST.steps} change={(to) => (tried.value = to)} />
          <Suggestions />
          {funnelSteps.value.length > 0 && (
            <button
              type="button"
              class="button"
              onClick={() => {
                name.value = null;
                void edit([{ name: steps.map(targetText).join(" → ").slice(0, 200), steps: [...steps] }]);
              }}
            >
              {words.keepFunnel}
            </button>
          )}
        </>
      )}
      {funnelSteps.value.length > 0 ? (
        <Body of={funnel} lines={3}>
          <Results names={steps} results={funnel.held.value.data ?? []} />
        </Body>
      ) : (
        <p class="note">{words.funnelHint}</p>
      )}
    </div>
  );
}

function Results({ names, results }: { names: readonly Target[]; results: readonly FunnelStep[] }) {
  const words = say.value;
  return (
    <ol class="ranking funnel-results">
      {results.map(({ visitors, dropOff, dropOffRate, conversion, medianSeconds }, at) => (
        <li key={at} data-value={visitors}>
          <div>
            <i style={{ width: `${conversion ?? 0}%` }} aria-hidden="true" />
            <span class="ranking-name" dir="auto">
              {names[at] && targetText(names[at])}
            </span>
            <span class="note">
              {at > 0 && dropOff > 0 && words.dropOff(show.value.number(dropOff), metricText("percentage", dropOffRate))}
              {at > 0 && medianSeconds !== null && ` ${words.after(metricText("visit_duration", medianSeconds))}`}
            </span>
            <span class="ranking-views">
              {show.value.number(visitors)}
              <span class="unseen"> {words.visitorsOf(visitors)}</span>
            </span>
            <span class="ranking-share">{metricText("percentage", conversion)}</span>
          </div>
        </li>
      ))}
    </ol>
  );
}

