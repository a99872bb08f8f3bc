/** How many visitors take each of several steps in order. Funnels are kept in this browser. */

import { useSignal, useSignalEffect } from "@preact/signals";
import { cards, eventNames, funnel, funnelSteps } from "../state/figures";
import { readList, write } from "../state/preferences";
import { site } from "../state/site";
import { say } from "../text";
import { metricText } from "../text/names";
import { show } from "../text/now";
import type { FunnelStep } from "../wire";
import { Icon } from "./Icon";
import { Body } from "./Panel";

interface Step {
  kind: "page" | "event";
  value: string;
}

const STORED = `funnels.${site}`;
const [FEWEST, MOST] = [2, 8];
const TYPED_MS = 400;
const NEW: readonly Step[] = [
  { kind: "page", value: "/" },
  { kind: "event", value: "" },
];

function parseStep(item: unknown): Step | null {
  const { kind, value } = Object(item) as { kind?: unknown; value?: unknown };
  return (kind === "page" || kind === "event") && typeof value === "string" ? { kind, value } : null;
}

function parseFunnel(item: unknown): Step[] | null {
  if (!Array.isArray(item)) return null;
  const steps = item.flatMap((step) => parseStep(step) ?? []);
  return steps.length >= FEWEST && steps.length <= MOST ? steps : null;
}

/** A page may have `*` for any characters. */
function condition({ kind, value: typed }: Step): unknown {
  const value = typed.trim();
  if (kind === "event") return ["is", "event:name", [value]];
  return value.includes("*") ? ["is", "event:goal", [`Visit ${value}`]] : ["is", "event:page", [value]];
}

const named = (steps: readonly Step[]): string => steps.map(({ value }) => value || "…").join(" → ");

export function Funnel() {
  const words = say.value;
  const saved = useSignal(readList(STORED, parseFunnel));
  const steps = useSignal<readonly Step[]>(saved.value[0] ?? NEW);
  useSignalEffect(() => {
    const complete = steps.value.every(({ value }) => value.trim() !== "");
    const asked = complete ? steps.value.map(condition) : [];
    // Not for every letter that is typed.
    const pause = setTimeout(() => (funnelSteps.value = asked), TYPED_MS);
    return () => clearTimeout(pause);
  });
  const keep = (funnels: Step[][]): void => {
    saved.value = funnels;
    write(STORED, JSON.stringify(funnels));
  };
  const change = (at: number, by: readonly Step[]): void => {
    steps.value = steps.value.flatMap((step, place) => (place === at ? by : [step]));
  };
  const known = saved.value.some((funnel) => JSON.stringify(funnel) === JSON.stringify(steps.value));
  return (
    <div class="funnel">
      {saved.value.length > 0 && (
        <label class="funnel-saved">
          <span>{words.savedFunnels}</span>
          <select
            value={known ? named(steps.value) : ""}
            onChange={({ currentTarget }) => {
              steps.value = saved.value.find((funnel) => named(funnel) === currentTarget.value) ?? NEW;
            }}
          >
            {!known && <option value="">{words.newFunnel}</option>}
            {saved.value.map((funnel) => (
              <option key={named(funnel)} value={named(funnel)}>
                {named(funnel)}
              </option>
            ))}
            {known && <option value="">{words.newFunnel}</option>}
          </select>
        </label>
      )}
      <ol class="funnel-steps">
        {steps.value.map((step, at) => (
          <li key={at}>
            <select aria-label={`${words.step(at + 1)}: ${words.what}`} value={step.kind} onChange={({ currentTarget }) => change(at, [{ kind: currentTarget.value === "page" ? "page" : "event", value: "" }])}>
              <option value="page">{words.tabs.page}</option>
              <option value="event">{words.tabs.event}</option>
            </select>
            <input
              type="text"
              aria-label={words.step(at + 1)}
              list={`funnel-${step.kind}`}
              value={step.value}
              placeholder={step.kind === "page" ? "/blog/*" : "signup"}
              maxLength={200}
              autocapitalize="none"
              onInput={({ currentTarget }) => change(at, [{ ...step, value: currentTarget.value }])}
            />
            {steps.value.length > FEWEST && (
              <button type="button" class="icon-button" aria-label={`${words.remove}: ${words.step(at + 1)}`} onClick={() => change(at, [])}>
                <Icon name="cross" />
              </button>
            )}
          </li>
        ))}
      </ol>
      <datalist id="funnel-event">
        {eventNames.value.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <datalist id="funnel-page">
        {cards.pages.held.value.data?.rows.map(({ dimensions: [path = ""] }) => <option key={path} value={path} />)}
      </datalist>
      <p class="funnel-actions">
        {steps.value.length < MOST && (
          <button type="button" class="button" onClick={() => (steps.value = [...steps.value, { kind: "event", value: "" }])}>
            {words.addStep}
          </button>
        )}
        {!known && funnelSteps.value.length > 0 && (
          <button type="button" class="button" onClick={() => keep([[...steps.value], ...saved.value])}>
            {words.save}
          </button>
        )}
        {known && (
          <button type="button" class="button" onClick={() => keep(saved.value.filter((funnel) => JSON.stringify(funnel) !== JSON.stringify(steps.value)))}>
            {words.remove}
          </button>
        )}
      </p>
      {funnelSteps.value.length > 0 ? (
        <Body of={funnel} lines={3}>
          <Results names={steps.value} results={funnel.held.value.data ?? []} />
        </Body>
      ) : (
        <p class="note">{words.funnelHint}</p>
      )}
    </div>
  );
}

function Results({ names, results }: { names: readonly Step[]; results: readonly FunnelStep[] }) {
  const words = say.value;
  return (
    <ol class="ranking funnel-results">
      {results.map(({ visitors, dropOff, dropOffRate, conversion, medianSeconds }, at) => (
        <li key={at} data-value={visitors}>
          <div>
            <i style={{ width: `${conversion ?? 0}%` }} aria-hidden="true" />
            <span class="ranking-name" dir="auto">
              {names[at]?.value}
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

