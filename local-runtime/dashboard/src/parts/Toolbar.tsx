/** The range, the filters and the comparison of the page, with the keyboard's shortcuts. */

import { useLayoutEffect, useState } from "preact/hooks";
import { readList, write } from "../state/preferences";
import { site } from "../state/site";
import { covered } from "../state/figures";
import { say } from "../text";
import { rangeName } from "../text/names";
import { type Filter, parsed, written } from "../view/filter";
import { type Named, type Range, datesOf, parseEnds, shifted } from "../view/range";
import { COMPARISONS, go, minute, today, view, zone } from "../view/view";
import { FilterChips, FilterMenu } from "./Filters";
import { Icon } from "./Icon";
import { Menu } from "./Menu";

/** Plausible's shortcuts, in the order of its menu. */
const SHORTCUTS: readonly (readonly [Named, string])[] = [
  ["day", "D"],
  ["1d", "E"],
  ["30m", "R"],
  ["7d", "W"],
  ["28d", "F"],
  ["91d", "N"],
  ["month", "M"],
  ["1mo", "P"],
  ["year", "Y"],
  ["12mo", "L"],
  ["all", "A"],
];

export function Toolbar() {
  const words = say.value;
  // As soon as the page is there, not after it was painted.
  useLayoutEffect(() => {
    addEventListener("keydown", shortcut);
    return () => removeEventListener("keydown", shortcut);
  }, []);
  return (
    <div class="toolbar" role="group" aria-label={words.viewed}>
      <div class="toolbar-row">
        <FilterMenu />
        <SegmentMenu />
        <span class="toolbar-gap" />
        <Step by={-1} label={words.previous} />
        <RangeMenu />
        <Step by={1} label={words.next} />
      </div>
      <FilterChips />
    </div>
  );
}

function shortcut(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, select, textarea, dialog, .chart-plot")) return;
  const key = event.key.toUpperCase();
  const range = SHORTCUTS.find(([, letter]) => letter === key)?.[0];
  const step = { ARROWLEFT: -1, ARROWRIGHT: 1 }[key] as -1 | 1 | undefined;
  if (range) go({ range });
  else if (step) move(step);
  else if (key === "X") go({ compare: view.value.compare === "off" ? "previous_period" : "off" });
  else if (key === "C") openCustom();
  else if (key === "ESCAPE" && view.value.filters.length > 0 && !document.querySelector("details[open].menu")) go({ filters: [] });
}

function openCustom(): void {
  const menu = document.querySelector<HTMLDetailsElement>(".menu.range");
  if (!menu) return;
  menu.open = true;
  // The field appears when the menu is open; otherwise it would also get the letter.
  setTimeout(() => menu.querySelector("input")?.focus());
}

const next = (by: -1 | 1): Range | null => shifted(view.value.range, by, today.value, minute.value);

function move(by: -1 | 1): void {
  const range = next(by);
  if (range) go({ range });
}

function Step({ by, label }: { by: -1 | 1; label: string }) {
  return (
    <button type="button" class="icon-button step" data-by={by} aria-label={label} title={`${label} (${by < 0 ? "←" : "→"})`} disabled={next(by) === null} onClick={() => move(by)}>
      <Icon name="chevron" />
    </button>
  );
}

function RangeMenu() {
  const words = say.value;
  const { range, compare } = view.value;
  const name = rangeName(range);
  return (
    <Menu name="range" label={`${words.range}: ${name}`} button={name}>
      {(close) => (
        <>
          <ul class="choices">
            {SHORTCUTS.map(([named, key]) => (
              <li key={named}>
                <button
                  type="button"
                  aria-current={named === range ? "true" : undefined}
                  onClick={() => {
                    close();
                    go({ range: named });
                  }}
                >
                  {words.ranges[named]} <kbd>{key}</kbd>
                </button>
              </li>
            ))}
          </ul>
          <Custom close={close} />
          <label class="compare">
            <span>
              {words.compare} <kbd>X</kbd>
            </span>
            <select value={compare} onChange={({ currentTarget }) => go({ compare: COMPARISONS.find((name) => name === currentTarget.value) ?? "off" })}>
              {COMPARISONS.map((name) => (
                <option key={name} value={name}>
                  {words.comparisons[name]}
                </option>
              ))}
            </select>
          </label>
          <p class="note">{words.inZone(zone.value)}</p>
        </>
      )}
    </Menu>
  );
}

function Custom({ close }: { close: () => void }) {
  const words = say.value;
  const dates = datesOf(view.value.range, today.value) ?? covered() ?? [today.value, today.value];
  const [chosen, setChosen] = useState<readonly [string, string] | null>(null);
  const [from, to] = chosen ?? dates;
  const apply = (event: Event): void => {
    event.preventDefault();
    const range = parseEnds(from, to);
    if (!range) return;
    setChosen(null);
    close();
    go({ range });
  };
  return (
    <form class="custom" onSubmit={apply}>
      <label>
        <span>
          {words.from} <kbd>C</kbd>
        </span>
        <input type="date" required max={today.value} value={from} onInput={({ currentTarget }) => setChosen([currentTarget.value, to])} />
      </label>
      <label>
        <span>{words.to}</span>
        <input type="date" required min={from} value={to} onInput={({ currentTarget }) => setChosen([from, currentTarget.value])} />
      </label>
      <button type="submit" class="button">
        {words.apply}
      </button>
    </form>
  );
}

// --- saved segments -----------------------------------------------------------------------------

interface Segment {
  name: string;
  filters: Filter[];
}

const STORED = `segments.${site}`;
const MOST_SEGMENTS = 30;

function parseSegment(item: unknown): Segment | null {
  const { name, filters } = Object(item) as { name?: unknown; filters?: unknown };
  if (typeof name !== "string" || !Array.isArray(filters)) return null;
  return { name, filters: filters.flatMap((text) => (typeof text === "string" ? (parsed(text) ?? []) : [])) };
}

function SegmentMenu() {
  const words = say.value;
  const [segments, setSegments] = useState(() => readList(STORED, parseSegment));
  const [name, setName] = useState("");
  const { filters } = view.value;
  if (segments.length === 0 && filters.length === 0) return null;
  const keep = (changed: Segment[]): void => {
    setSegments(changed);
    write(STORED, JSON.stringify(changed.map(({ name, filters }) => ({ name, filters: filters.map(written) }))));
  };
  const save = (event: Event): void => {
    event.preventDefault();
    const segment = { name: name.trim(), filters: [...filters] };
    keep([segment, ...segments.filter((known) => known.name !== segment.name)].slice(0, MOST_SEGMENTS));
    setName("");
  };
  return (
    <Menu
      name="segments"
      label={words.segments}
      button={
        <>
          <Icon name="bookmark" /> <span>{words.segments}</span>
        </>
      }
    >
      {(close) => (
        <>
          <ul class="choices">
            {segments.map((segment) => (
              <li key={segment.name}>
                <button
                  type="button"
                  onClick={() => {
                    close();
                    go({ filters: segment.filters });
                  }}
                >
                  {segment.name}
                </button>
                <button type="button" class="icon-button" aria-label={words.forget(segment.name)} onClick={() => keep(segments.filter((known) => known !== segment))}>
                  <Icon name="cross" />
                </button>
              </li>
            ))}
          </ul>
          {filters.length > 0 && (
            <form class="custom" onSubmit={save}>
              <label>
                <span>{words.segmentName}</span>
                <input type="text" required maxLength={60} value={name} onInput={({ currentTarget }) => setName(currentTarget.value)} />
              </label>
              <button type="submit" class="button">
                {words.save}
              </button>
            </form>
          )}
          <p class="note">{words.segmentsHint}</p>
        </>
      )}
    </Menu>
  );
}

