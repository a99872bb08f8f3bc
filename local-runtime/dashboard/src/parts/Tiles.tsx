/** The metrics of the view, each against the time before, and the one that is chosen over time. */

import { effect, signal } from "@preact/signals";
import { csvOf } from "../api";
import { chart, chartBefore, chartQuery, metric, metrics, tiles, tilesQuery } from "../state/figures";
import { say } from "../text";
import { metricText } from "../text/names";
import { units } from "../view/range";
import { type Metric, go, today, unit, view } from "../view/view";
import type { Value } from "../wire";
import { Chart } from "./Chart";
import { Csv } from "./Csv";
import { Body, Failed, Skeleton } from "./Panel";

const FRAME_MS = 20;
/** Whether the chart is drawn, too: slow machines take long for it, so the numbers go before. */
const charted = signal(false);
effect(() => {
  const { data, failure } = tiles.held.value;
  if (!charted.peek() && (data !== null || failure !== null)) setTimeout(() => (charted.value = true), FRAME_MS);
});

export function Tiles() {
  const words = say.value;
  const held = tiles.held.value;
  const row = held.data?.rows[0];
  return (
    <section class="card figures" aria-labelledby="figures-title">
      <h2 class="unseen" id="figures-title">
        {words.figures}
      </h2>
      {held.failure && held.data === null ? (
        <Failed of={tiles} />
      ) : (
        <div class={held.outdated ? "tiles outdated" : "tiles"} role="group" aria-label={words.figures}>
          {metrics.value.map((name, at) => (
            <Tile
              key={name}
              name={name}
              value={row ? (row.metrics[at] ?? null) : held.data ? 0 : undefined}
              before={row?.before?.[at]}
              change={row?.change?.[at]}
            />
          ))}
        </div>
      )}
      <div class="chart">
        <div class="chart-head">
          <h3>{words.metrics[metric.value]}</h3>
          <Units />
          <Csv of={csvOf(tilesQuery())} name="figures" what={words.figures} small />
          <Csv of={csvOf(chartQuery())} name={metric.value} what={words.chart} />
        </div>
        {charted.value ? (
          <Body of={chart} lines={1}>
            {chart.held.value.data && (
              <Chart data={chart.held.value.data} before={view.value.compare === "off" ? null : chartBefore.held.value.data} metric={metric.value} at={metrics.value.indexOf(metric.value)} />
            )}
          </Body>
        ) : (
          <Skeleton lines={1} />
        )}
      </div>
    </section>
  );
}

interface TileProps {
  name: Metric;
  /** Undefined while it is not known. */
  value: Value | undefined;
  before: Value | undefined;
  change: Value | undefined;
}

function Tile({ name, value, before, change }: TileProps) {
  const words = say.value;
  return (
    <div class="tile">
      <button type="button" aria-pressed={metric.value === name} aria-describedby={`about-${name}`} onClick={() => go({ metric: name })}>
        <span class="tile-name">{words.metrics[name]}</span>
        {value === undefined ? (
          <span class="figure bone" aria-hidden="true" />
        ) : (
          <span class="figure" data-figure={name} data-value={value ?? ""}>
            {metricText(name, value)}
          </span>
        )}
        <span class="note">
          {before !== undefined && before !== null && value !== undefined ? (
            <>
              {before !== 0 && <Change name={name} change={change ?? null} />} {words.before(metricText(name, before))}
            </>
          ) : (
            " "
          )}
        </span>
      </button>
      <span class="hint" role="tooltip" id={`about-${name}`}>
        {words.definitions[name]}
      </span>
    </div>
  );
}

/** Metrics of which less is better. */
const LESS: readonly string[] = ["bounce_rate"];

/** How much more or less there is than before. */
export function Change({ name, change }: { name: string; change: Value }) {
  if (change === null) return null;
  const good = change === 0 ? "same" : change > 0 !== LESS.includes(name) ? "good" : "bad";
  return (
    <span class="change" data-is={good}>
      {say.value.change(change, name === "bounce_rate")}
    </span>
  );
}

function Units() {
  const words = say.value;
  const { units: possible } = units(view.value.range, today.value);
  if (possible.length < 2) return null;
  return (
    <label class="units">
      <span class="unseen">{words.unit}</span>
      <select
        value={unit.value}
        onChange={({ currentTarget }) => go({ unit: possible.find((name) => name === currentTarget.value) ?? null })}
      >
        {unit.value === "time" && <option value="time">{words.units.time}</option>}
        {possible.map((name) => (
          <option key={name} value={name}>
            {words.units[name]}
          </option>
        ))}
      </select>
    </label>
  );
}

