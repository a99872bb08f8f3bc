/** The figures of the chosen period, and the last days of whichever is picked. */

import { signal } from "@preact/signals";
import { before, charted, current, daily } from "../state/figures";
import { period } from "../state/preferences";
import { say } from "../text";
import { show } from "../text/now";
import type { Stats } from "../wire";
import { Chart } from "./Chart";
import { Count } from "./Count";
import { Failed, Skeleton, Stale } from "./Panel";

export const FIGURES = ["visitors", "views", "events", "letters", "conversion"] as const;
export type Figure = (typeof FIGURES)[number];

const picked = signal<Figure>("visitors");

/** A figure as it is written. */
export function written(figure: Figure): (value: number) => string {
  return figure === "conversion" ? show.value.precise : show.value.number;
}

export function Figures() {
  const words = say.value;
  const days = daily.held.value;
  return (
    <section class="card figures" aria-labelledby="figures-title">
      <h2 class="unseen" id="figures-title">
        {words.figures}, {words.periods[period.value]}
      </h2>
      <div class="tiles" role="group" aria-label={words.figures}>
        {FIGURES.map((figure) => (
          <Tile key={figure} figure={figure} />
        ))}
      </div>
      {charted.value ? (
        <>
          {days.failure && <Stale of={daily} />}
          <Chart figure={picked.value} days={charted.value} />
        </>
      ) : days.failure ? (
        <Failed of={daily} />
      ) : (
        <div class="chart-bone">
          <Skeleton lines={1} />
        </div>
      )}
    </section>
  );
}

function Tile({ figure }: { figure: Figure }) {
  const words = say.value;
  const stats = current[period.value].held.value.data;
  const earlier = before[period.value].held.value.data;
  return (
    <button
      type="button"
      class="tile"
      aria-pressed={picked.value === figure}
      title={figure === "conversion" ? words.conversionHint : undefined}
      onClick={() => {
        picked.value = figure;
      }}
    >
      <span class="tile-name">{words[figure]}</span>
      {stats ? (
        <span class="figure">
          <Count value={stats[figure]} show={written(figure)} fraction={figure === "conversion"} name={figure} />
        </span>
      ) : (
        <span class="figure bone" aria-hidden="true" />
      )}
      <span class="note">{earlier ? compared(figure, earlier) : " "}</span>
    </button>
  );
}

function compared(figure: Figure, earlier: Stats): string {
  return say.value.wasBefore(written(figure)(earlier[figure]), say.value.before[period.value]);
}
