/** The last days as bars, or as a table. */

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { colours, language } from "../state/preferences";
import { say } from "../text";
import { show } from "../text/now";
import type { Stats } from "../wire";
import { type Figure, FIGURES, written } from "./Figures";
import { Icon } from "./Icon";

interface Props {
  figure: Figure;
  days: readonly Stats[];
}

export function Chart({ figure, days }: Props) {
  const words = say.value;
  const [tabular, setTabular] = useState(false);
  return (
    <div class="chart">
      <div class="chart-head">
        <h3>
          {words.chart(words[figure])} <small>{words.chartUnit}</small>
        </h3>
        <button type="button" class="quiet" aria-pressed={tabular} onClick={() => setTabular(!tabular)}>
          <Icon name={tabular ? "chart" : "table"} /> {tabular ? words.showChart : words.showTable}
        </button>
      </div>
      {tabular ? <Table days={days} /> : <Bars figure={figure} days={days} />}
    </div>
  );
}

function Table({ days }: { days: readonly Stats[] }) {
  const words = say.value;
  return (
    <div class="table" tabIndex={0} role="region" aria-label={words.figures}>
      <table>
        <thead>
          <tr>
            <th scope="col">{words.day}</th>
            {FIGURES.map((figure) => (
              <th key={figure} scope="col">
                {words[figure]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...days].reverse().map((day, at) => (
            <tr key={day.key}>
              <th scope="row">
                {show.value.dayLong(day.key)} {at === 0 && <small>{words.soFar}</small>}
              </th>
              {FIGURES.map((figure) => (
                <td key={figure}>{written(figure)(day[figure])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const HEIGHT = 240;

/** Days that are over and the one that is not are drawn differently. */
function columns(figure: Figure, days: readonly Stats[]): uPlot.AlignedData {
  const last = days.length - 1;
  return [
    days.map((_, at) => at),
    days.map((day, at) => (at < last ? day[figure] : null)),
    days.map((day, at) => (at < last ? null : day[figure])),
  ];
}

function Bars({ figure, days }: Props) {
  const words = say.value;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hovered, setHovered] = useState<{ at: number; left: number } | null>(null);
  const shown = useRef(days);
  shown.current = days;

  // What was drawn in other colours, words or units is drawn anew.
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new uPlot(options(element, figure, () => shown.current, setHovered), columns(figure, days), element);
    plot.current = made;
    const fit = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    fit.observe(element);
    return () => {
      fit.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [figure, colours.value, language.value]);

  useEffect(() => {
    plot.current?.setData(columns(figure, days));
  }, [days, figure]);

  const move = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") setHovered(null);
    if (step === undefined || !plot.current) return;
    event.preventDefault();
    const from = hovered?.at ?? (step < 0 ? days.length : -1);
    const at = Math.min(days.length - 1, Math.max(0, from + step));
    setHovered({ at, left: plot.current.valToPos(at, "x") + plot.current.over.offsetLeft });
  };

  const day = hovered ? days[hovered.at] : undefined;
  return (
    <div
      class="bars"
      ref={host}
      tabIndex={0}
      role="img"
      aria-label={`${words.chart(words[figure])}. ${words.chartHint}${day ? ` ${spoken(day, figure)}` : ""}`}
      onKeyDown={move}
      onBlur={() => setHovered(null)}
    >
      {hovered && day && <i class="line" style={{ left: `${hovered.left}px` }} aria-hidden="true" />}
      {hovered && day && (
        <div
          class="tip"
          data-side={hovered.left > (host.current?.clientWidth ?? 0) / 2 ? "left" : "right"}
          style={{ left: `${hovered.left}px` }}
          aria-hidden="true"
        >
          <p>
            {show.value.dayLong(day.key)} {hovered.at === days.length - 1 && <small>{words.soFar}</small>}
          </p>
          <dl>
            {FIGURES.map((name) => (
              <div key={name} data-picked={name === figure}>
                <dt>{words[name]}</dt>
                <dd>{written(name)(day[name])}</dd>
              </div>
            ))}
          </dl>
        </div>
      )}
    </div>
  );
}

function spoken(day: Stats, figure: Figure): string {
  return `${show.value.dayLong(day.key)}: ${written(figure)(day[figure])}`;
}

function options(
  element: HTMLElement,
  figure: Figure,
  days: () => readonly Stats[],
  hover: (hovered: { at: number; left: number } | null) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const font = `12px ${style.fontFamily}`;
  const bars = uPlot.paths.bars?.({ size: [0.64, 30], radius: 0.22 });
  const series = (fill: string): uPlot.Series => ({ fill, ...(bars && { paths: bars }), points: { show: false } });
  const axis: uPlot.Axis = { stroke: colour("--muted"), font, ticks: { show: false } };
  const short = figure === "conversion" ? show.value.precise : show.value.short;
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [12, 16, 0, 0],
    legend: { show: false },
    cursor: { x: false, y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: false, range: (_, low, high) => [low - 0.6, high + 0.6] },
      // An axis of zeros still has room for one.
      y: { range: (_, __, high) => [0, figure === "conversion" ? Math.max(high, 0.01) : Math.max(high, 4)] },
    },
    series: [{}, series(colour("--bar")), series(colour("--accent"))],
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 30,
        gap: 8,
        splits: (plot) => ticks(days().length, plot.width),
        values: (_, splits) => splits.map((at) => show.value.day(days()[at]?.key ?? "1970-01-01")),
      },
      {
        ...axis,
        size: 52,
        gap: 8,
        grid: { stroke: colour("--line"), width: 1 },
        incrs: figure === "conversion" ? [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1] : WHOLE,
        space: 38,
        values: (_, splits) => splits.map((value) => short(value)),
      },
    ],
    hooks: {
      setCursor: [
        (plot) => {
          const { idx, left } = plot.cursor;
          if (idx === null || idx === undefined || left === undefined || left < 0) hover(null);
          else hover({ at: idx, left: plot.valToPos(idx, "x") + plot.over.offsetLeft });
        },
      ],
    },
  };
}

/** Steps of an axis of whole numbers. */
const WHOLE = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

/** Days that are named: as many as there is room for, the last one always. */
function ticks(count: number, width: number): number[] {
  const every = Math.max(1, Math.ceil(count / Math.max(2, Math.floor(width / 84))));
  const named: number[] = [];
  for (let at = count - 1; at >= 0; at -= every) named.unshift(at);
  return named;
}
