/** One metric over time, with the time before as a second line. The interval that is not over yet is dashed. */

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { say } from "../text";
import { bucketName, metricText } from "../text/names";
import { type Unit, UNITS, bucket, dateIn, isDate } from "../view/range";
import { type Metric, go, today } from "../view/view";
import type { Rows, Value } from "../wire";
import { Icon } from "./Icon";

interface Props {
  data: Rows;
  before: Rows | null;
  metric: Metric;
  /** The metric's place in rows. */
  at: number;
}

interface Point {
  label: string;
  /** Undefined in the future. */
  value: Value | undefined;
  before: Value | undefined;
  beforeLabel: string | undefined;
}

/** Metrics that are 0 where nothing happened; others have no value there. */
const COUNTS: readonly Metric[] = ["visitors", "visits", "pageviews", "events"];

function series(data: Rows, at: number, metric: Metric): Map<string, Value> {
  const nothing = COUNTS.includes(metric) ? 0 : null;
  const found = new Map(data.rows.map((row) => [row.dimensions[0], row.metrics[at] ?? null]));
  return new Map(data.labels.map((label) => [label, found.get(label) ?? nothing]));
}

/** Whether a bucket begins after now. */
const isFuture = (label: string, now: number): boolean => (isDate(label) ? label > today.value : Date.parse(label) > now);

function points({ data, before, metric, at }: Props): Point[] {
  const now = Date.now();
  const values = series(data, at, metric);
  const earlier = before ? [...series(before, at, metric)] : [];
  return data.labels.map((label, place) => ({
    label,
    value: isFuture(label, now) ? undefined : values.get(label),
    beforeLabel: earlier[place]?.[0],
    before: earlier[place]?.[1],
  }));
}

/** Whether the bucket of a point contains now. */
function isOpen(all: readonly Point[], at: number, end: number): boolean {
  const next = all[at + 1];
  const last = next ? next.value === undefined : end > Date.now();
  return last && all[at]?.value !== undefined;
}

export function Chart(props: Props) {
  const words = say.value;
  const [tabular, setTabular] = useState(false);
  const { data, before, metric, at } = props;
  const all = useMemo(() => points(props), [data, before, metric, at, today.value]);
  const unit = UNITS.find((unit) => data.dimensions[0] === `time:${unit}`) ?? "day";
  const last = data.labels.at(-1);
  const zoom = (place: number): void => {
    const range = bucket(data.labels, place, unit, last !== undefined && isDate(last) ? lastDate(data) : null);
    if (range) go({ range });
  };
  return (
    <>
      {tabular ? <Table all={all} metric={metric} unit={unit} zoom={zoom} /> : <Plot all={all} metric={metric} unit={unit} end={data.range[1]} zoom={zoom} />}
      <button type="button" class="quiet chart-form" aria-pressed={tabular} onClick={() => setTabular(!tabular)}>
        <Icon name={tabular ? "chart" : "table"} /> {tabular ? words.showChart : words.showTable}
      </button>
    </>
  );
}

/** The last date of the answer, in its own time zone. */
const lastDate = (data: Rows): string => dateIn(data.zone, data.range[1] - 1);

interface Shown {
  all: readonly Point[];
  metric: Metric;
  unit: Unit;
  zoom: (at: number) => void;
}

function Table({ all, metric, unit, zoom }: Shown) {
  const words = say.value;
  return (
    <div class="table" tabIndex={0} role="region" aria-label={words.metrics[metric]}>
      <table>
        <thead>
          <tr>
            <th scope="col">{words.units[unit]}</th>
            <th scope="col">{words.metrics[metric]}</th>
            <th scope="col">{words.beforeColumn}</th>
          </tr>
        </thead>
        <tbody>
          {all.map(
            (point, at) =>
              point.value !== undefined && (
                <tr key={point.label}>
                  <th scope="row">
                    <button type="button" class="link" onClick={() => zoom(at)}>
                      {bucketName(point.label, unit)}
                    </button>
                  </th>
                  <td>{metricText(metric, point.value)}</td>
                  <td>{point.before === undefined ? "" : metricText(metric, point.before)}</td>
                </tr>
              ),
          )}
        </tbody>
      </table>
    </div>
  );
}

const TOP = 10;
const BOTTOM = 26;
const LEFT = 48;
const RIGHT = 14;

function Plot({ all, metric, unit, end, zoom }: Shown & { end: number }) {
  const words = say.value;
  const host = useRef<HTMLDivElement>(null);
  const [{ width, height }, setSize] = useState({ width: 0, height: 240 });
  const [hovered, setHovered] = useState<number | null>(null);
  // Before the first frame, which then has the line.
  useLayoutEffect(() => {
    const element = host.current;
    if (!element) return;
    const size = (): void => setSize({ width: element.clientWidth, height: element.clientHeight });
    size();
    const fit = new ResizeObserver(size);
    fit.observe(element);
    return () => fit.disconnect();
  }, []);

  const most = Math.max(...all.flatMap(({ value, before }) => [value ?? 0, before ?? 0]));
  const steps = scale(most, metric);
  const high = steps.at(-1) ?? 1;
  const x = (at: number): number => (all.length < 2 ? (LEFT + width - RIGHT) / 2 : LEFT + (at / (all.length - 1)) * (width - LEFT - RIGHT));
  const y = (value: number): number => TOP + (1 - value / high) * (height - TOP - BOTTOM);
  const open = all.findLastIndex(({ value }) => value !== undefined);
  const closed = isOpen(all, open, end) ? open : open + 1;
  const place = (value: Value | undefined, at: number): string | null =>
    value === null || value === undefined ? null : `${x(at).toFixed(1)},${y(value).toFixed(1)}`;
  const line = path(all.slice(0, closed).map(({ value }, at) => place(value, at)));
  const rest = closed === open ? path([open - 1, open].map((at) => place(all[at]?.value, at))) : "";

  const nearest = (event: PointerEvent | MouseEvent): number => {
    const left = event.clientX - (host.current?.getBoundingClientRect().left ?? 0);
    const at = Math.round(((left - LEFT) / Math.max(1, width - LEFT - RIGHT)) * (all.length - 1));
    return Math.min(all.length - 1, Math.max(0, at));
  };
  const move = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") setHovered(null);
    if (event.key === "Enter" && hovered !== null) zoom(hovered);
    if (step === undefined) return;
    event.preventDefault();
    setHovered(Math.min(open, Math.max(0, (hovered ?? (step < 0 ? open + 1 : -1)) + step)));
  };
  const point = hovered === null ? undefined : all[hovered];
  const hover = (event: PointerEvent): void => setHovered(nearest(event));
  return (
    <div
      class="chart-plot"
      ref={host}
      tabIndex={0}
      role="img"
      aria-label={`${words.metrics[metric]}. ${words.chartHint} ${point ? described(point, metric, unit) : ""}`}
      onKeyDown={move}
      onBlur={() => setHovered(null)}
      onPointerMove={hover}
      onPointerDown={hover}
      onPointerLeave={() => setHovered(null)}
      onClick={(event) => zoom(nearest(event))}
    >
      {width > 0 && (
        <svg width={width} height={height} aria-hidden="true">
          {steps.map((step) => (
            <g key={step}>
              <line class="grid-line" x1={LEFT} x2={width - RIGHT} y1={y(step)} y2={y(step)} />
              <text class="axis" x={LEFT - 8} y={y(step)} dy="0.32em" text-anchor="end">
                {metricText(metric, step, true)}
              </text>
            </g>
          ))}
          {ticks(all.length, width).map((at) => (
            <text key={at} class="axis" x={x(at)} y={height - 6} text-anchor={at === 0 && all.length > 1 ? "start" : at === all.length - 1 && all.length > 1 ? "end" : "middle"}>
              {bucketName(all[at]?.label ?? "", unit, true)}
            </text>
          ))}
          <path class="line-before" d={path(all.map(({ before }, at) => place(before, at)))} />
          {line && <path class="area" d={`${line}L${x(closed - 1).toFixed(1)},${y(0)}L${x(0).toFixed(1)},${y(0)}Z`} />}
          <path class="line" d={line} />
          <path class="line line-open" d={rest} />
          {all.map(({ value }, at) => {
            const alone = value !== null && value !== undefined && (all.length === 1 || (at === open && closed === open));
            return alone && <circle key={at} class="dot-mark" cx={x(at)} cy={y(value)} r={3} />;
          })}
          {hovered !== null && point && (
            <>
              <line class="cursor" x1={x(hovered)} x2={x(hovered)} y1={TOP} y2={height - BOTTOM} />
              {point.value !== null && point.value !== undefined && <circle class="dot-mark" cx={x(hovered)} cy={y(point.value)} r={4} />}
            </>
          )}
        </svg>
      )}
      {hovered !== null && point && (
        <div class="tip" data-side={x(hovered) > width / 2 ? "left" : "right"} style={{ left: `${x(hovered)}px` }} aria-hidden="true">
          <p class="note">{words.metrics[metric]}</p>
          <dl>
            <div data-is="now">
              <dt>{bucketName(point.label, unit)}</dt>
              <dd>{point.value === undefined ? "–" : metricText(metric, point.value)}</dd>
            </div>
            {point.before !== undefined && point.beforeLabel !== undefined && (
              <div data-is="before">
                <dt>{bucketName(point.beforeLabel, unit)}</dt>
                <dd>{metricText(metric, point.before)}</dd>
              </div>
            )}
          </dl>
          {hovered === open && closed === open && <p class="note">{words.incomplete}</p>}
        </div>
      )}
    </div>
  );
}

function described(point: Point, metric: Metric, unit: Unit): string {
  return `${bucketName(point.label, unit)}: ${metricText(metric, point.value ?? null)}`;
}

/** A line through places, broken where there are none. */
function path(places: readonly (string | null)[]): string {
  let pen = "M";
  return places.reduce<string>((drawn, place) => {
    const step = place === null ? "" : pen + place;
    pen = place === null ? "M" : "L";
    return drawn + step;
  }, "");
}

/** Values of the axis: a few round ones, the last of them above all. */
function scale(most: number, metric: Metric): number[] {
  const percent = metric === "bounce_rate" || metric === "scroll_depth" || metric === "conversion_rate";
  const time = metric === "visit_duration" || metric === "time_on_page";
  const least = time ? 10 : percent && metric !== "conversion_rate" ? 100 : metric === "views_per_visit" ? 1 : 4;
  const rough = Math.max(most, least) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const rounded = time ? (SECONDS.find((seconds) => seconds >= rough) ?? rough) : ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const step = !time && !percent && metric !== "views_per_visit" ? Math.ceil(rounded) : rounded;
  return Array.from({ length: Math.ceil(Math.max(most, least) / step) + 1 }, (_, at) => at * step);
}

const SECONDS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600];

/** Buckets that are named: as many as there is room for. */
function ticks(count: number, width: number): number[] {
  const every = Math.max(1, Math.ceil(count / Math.max(2, Math.floor(width / 90))));
  return Array.from({ length: Math.ceil(count / every) }, (_, at) => at * every);
}
