/** The last minutes as they happen: a mark for each event, moving from now to then. */

import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { eventTable } from "../csv";
import { colours, still } from "../state/preferences";
import { STRIP_MS, strip, stripSince } from "../state/timeline";
import { say } from "../text";
import { show } from "../text/now";
import type { Happening } from "../wire";
import { Csv } from "./Csv";

const LANES = ["views", "clicks", "letters", "other"] as const;
type Lane = (typeof LANES)[number];

const LANE_OF: Record<string, Lane> = {
  page_view: "views",
  button_click: "clicks",
  link_click: "clicks",
  letter_generate: "letters",
};
const LANE_HEIGHT = 22;
const MARK_HEIGHT = 14;
/** Letters have a lane where there are any. */
const lanes = (events: readonly Happening[]): readonly Lane[] =>
  events.some(({ type }) => type === "letter_generate") ? LANES : LANES.filter((lane) => lane !== "letters");
/** A mark is as wide as a second, so that marks of a busy site do not cover each other. */
const widthOf = (width: number): number => Math.min(3, Math.max(1.2, width / 300));
const ARRIVAL_MS = 700;

export function Strip() {
  const words = say.value;
  const count = strip.value.filter(({ at }) => at > Date.now() - STRIP_MS).length;
  return (
    <figure class="strip">
      <figcaption class="unseen">{words.strip}</figcaption>
      <ul class="lanes" aria-hidden="true">
        {lanes(strip.value).map((lane) => (
          <li key={lane}>{words.stripLanes[lane]}</li>
        ))}
      </ul>
      <Marks label={words.stripSummary(count, show.value.number(count))} />
      <Csv of={() => eventTable(strip.value)} name="last-minutes" what={words.strip} small />
      <p class="strip-axis" aria-hidden="true">
        {[5, 4, 3, 2, 1, 0].map((minutes) => (
          <span key={minutes} style={{ left: `${100 - minutes * 20}%` }}>
            {minutes === 0 ? words.stripNow : words.stripAgo(minutes)}
          </span>
        ))}
      </p>
    </figure>
  );
}

function Marks({ label }: { label: string }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const fit = new ResizeObserver(() => {
      element.width = element.clientWidth * devicePixelRatio;
      element.height = element.clientHeight * devicePixelRatio;
      draw(element);
    });
    fit.observe(element);
    // The strip moves by a few pixels a second: more frames would show nothing more.
    const timer = setInterval(() => !document.hidden && draw(element), 1_000);
    return () => {
      clearInterval(timer);
      fit.disconnect();
    };
  }, []);
  useSignalEffect(() => {
    void strip.value;
    void colours.value;
    const element = canvas.current;
    if (!element) return;
    // Marks arrive in a movement of their own.
    let frame = 0;
    const end = performance.now() + (still() ? 0 : ARRIVAL_MS);
    const step = (time: number): void => {
      draw(element);
      if (time < end && !document.hidden) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  });
  return <canvas ref={canvas} class="marks" style={{ height: `${lanes(strip.value).length * LANE_HEIGHT}px` }} role="img" aria-label={label} />;
}

function draw(canvas: HTMLCanvasElement): void {
  const context = canvas.getContext("2d");
  if (!context || canvas.width === 0) return;
  const now = Date.now();
  const style = getComputedStyle(canvas);
  const colour = (name: string): string => style.getPropertyValue(name);
  const width = canvas.width / devicePixelRatio;
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  const shown = lanes(strip.peek());
  const height = canvas.height / devicePixelRatio;
  context.clearRect(0, 0, width, height);
  context.fillStyle = colour("--line");
  shown.forEach((_, lane) => context.fillRect(0, Math.round((lane + 0.5) * LANE_HEIGHT), width, 1));
  for (let minute = 0; minute <= 5; minute += 1) {
    context.fillRect(Math.min(width - 1, Math.round((width * minute) / 5)), 0, 1, height);
  }
  const x = (at: number): number => width - ((now - at) / STRIP_MS) * width;
  const unknown = x(stripSince.peek());
  if (Number.isFinite(unknown) && unknown > 0) {
    context.fillStyle = colour("--sunk");
    context.fillRect(0, 0, Math.min(width, unknown), height);
  }
  const colourOf: Record<Lane, string> = {
    views: colour("--mark-strong"),
    clicks: colour("--mark"),
    letters: colour("--accent"),
    other: colour("--mark-weak"),
  };
  for (const event of strip.peek()) {
    mark(context, event, x(Math.min(event.at, now)), widthOf(width), colourOf, shown, now);
  }
}

function mark(
  context: CanvasRenderingContext2D,
  event: Happening,
  x: number,
  width: number,
  colourOf: Record<Lane, string>,
  shown: readonly Lane[],
  now: number,
): void {
  if (x < -width) return;
  const lane = LANE_OF[event.type] ?? "other";
  const y = (shown.indexOf(lane) + 0.5) * LANE_HEIGHT;
  const young = still() ? 0 : Math.max(0, 1 - (now - event.at) / ARRIVAL_MS);
  const height = MARK_HEIGHT * (1 + young * 0.5);
  context.fillStyle = colourOf[lane];
  context.beginPath();
  context.roundRect(x - width, y - height / 2, width, height, width / 2);
  context.fill();
}
