/** One page's own view: what is read with it, and where it is clicked. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { csvOf } from "../api";
import type { Cell } from "../csv";
import { HOURS, alsoRead, alsoReadQuery, hours, places } from "../state/figures";
import { outline } from "../state/outline";
import { colours } from "../state/preferences";
import { say } from "../text";
import { readable, visible } from "../text/address";
import { elementName } from "../text/names";
import { show } from "../text/now";
import { type Look, paths } from "../view/outline";
import type { Place } from "../wire";
import { List, MOST_ROWS } from "./Card";
import { Csv } from "./Csv";
import { byElement } from "./elements";
import { paint } from "./heat";
import { OutlineForm } from "./OutlineForm";
import { Panel } from "./Panel";

const LISTED = 8;
/** How high a page is drawn at most, in widths. */
const HIGHEST = 2.5;
/** How near the pointer must be to a place, in percent of the page. */
const NEAR = 5;

export function PageView({ path }: { path: string }) {
  const words = say.value;
  const read = alsoRead.held.value.data;
  return (
    <div class="grid page-view">
      <Panel id="also-read" title={words.alsoRead} hint={readable(path)} of={alsoRead} actions={<Csv of={csvOf({ ...alsoReadQuery(), limit: MOST_ROWS })} name="also-read" what={words.alsoRead} small />}>
        {read && <List data={read} rows={read.rows} tab={{ name: "page", dimension: "event:page", filtersBy: null }} />}
      </Panel>
      <Panel
        id="clicks"
        title={words.clickMap}
        hint={readable(path)}
        of={places}
        actions={
          <label class="tabs">
            <span class="unseen">{words.hours}</span>
            <select
              value={String(hours.value)}
              onChange={({ currentTarget }) => {
                hours.value = Number(currentTarget.value);
              }}
            >
              {HOURS.map((count) => (
                <option key={count} value={String(count)}>
                  {words.hoursOf[count]}
                </option>
              ))}
            </select>
          </label>
        }
      >
        <ClickMap places={places.held.value.data ?? []} />
        <Csv of={() => clicked(places.held.value.data ?? [])} name="clicks" what={words.clickMap} />
        <OutlineForm path={path} />
      </Panel>
    </div>
  );
}

/** Clicked places as a table, in percent of the page's width and height. */
const clicked = (places: readonly Place[]): Cell[][] => [["page", "x", "y", "clicks", "element"], ...places.map(({ page, x, y, count, element }) => [page, x, y, count, element])];

/** What is pointed at: a place on the map, or an element of the list with all of its places. */
interface Pointed {
  place: Place;
  listed: boolean;
}

function ClickMap({ places }: { places: readonly Place[] }) {
  const words = say.value;
  const canvas = useRef<HTMLCanvasElement>(null);
  const elements = useMemo(() => byElement(places, LISTED), [places]);
  const [pointed, setPointed] = useState<Pointed | null>(null);
  // Answers make new objects: the place is the same when it is where it was.
  const current = pointed && (pointed.listed ? elements : places).find((place) => sameAs(place, pointed.place));
  useEffect(() => {
    const element = canvas.current;
    if (!element) return;
    const draw = (): void => paint(element, places);
    const fit = new ResizeObserver(draw);
    fit.observe(element);
    return () => fit.disconnect();
  }, [places, colours.value]);

  const point = (event: PointerEvent): void => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 100;
    const y = ((event.clientY - box.top) / box.height) * 100;
    const place = nearest(places, x, y);
    setPointed(place && { place, listed: false });
  };
  const total = places.reduce((sum, { count }) => sum + count, 0);
  const drawn = outline.value;
  const shape = drawn ? { aspectRatio: `1 / ${Math.min(HIGHEST, drawn.height / drawn.width)}` } : undefined;
  if (places.length === 0) return <p class="empty">{words.noClicks}</p>;
  return (
    <div class="map">
      <div class="sheet" style={shape} data-outlined={drawn !== null} onPointerMove={point} onPointerDown={point} onPointerLeave={() => setPointed(null)}>
        {drawn && <Drawing />}
        <canvas ref={canvas} role="img" aria-label={`${words.clickMapHint}. ${words.clicks(total, show.value.number(total))}.`} />
        {current && <Tip place={current} />}
      </div>
      <ol class="most">
        {elements.map((place) => (
          <li key={`${place.page} ${place.element ?? `${place.x} ${place.y}`}`}>
            <button
              type="button"
              aria-pressed={pointed?.listed === true && place === current}
              title={place.element ?? undefined}
              onFocus={() => setPointed({ place, listed: true })}
              onBlur={() => setPointed(null)}
              onPointerEnter={() => setPointed({ place, listed: true })}
              onPointerLeave={() => setPointed(null)}
            >
              <span>{elementName(place.element, drawn)}</span>
              <span class="most-count">{show.value.number(place.count)}</span>
            </button>
          </li>
        ))}
      </ol>
    </div>
  );
}

/** The page's elements beneath its clicks. */
function Drawing() {
  const drawn = outline.value;
  const looks = useMemo(() => paths(drawn?.boxes ?? []), [drawn]);
  return (
    <svg class="outline" viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">
      {(Object.entries(looks) as [Look, string][]).map(([look, path]) => (
        <path key={look} data-look={look} d={path} />
      ))}
    </svg>
  );
}

function Tip({ place }: { place: Place }) {
  const words = say.value;
  const box = outline.value?.boxes.find(({ element }) => element === place.element);
  return (
    <>
      {box && <i class="box" style={{ left: `${box.x}%`, top: `${box.y}%`, width: `${box.width}%`, height: `${box.height}%` }} aria-hidden="true" />}
      <i class="ring" style={{ left: `${place.x}%`, top: `${place.y}%` }} aria-hidden="true" />
      <div class="tip" data-side={place.x > 50 ? "left" : "right"} data-edge={place.y > 80 ? "bottom" : undefined} style={{ left: `${place.x}%`, top: `${place.y}%` }}>
        <p>{elementName(place.element, outline.value)}</p>
        {place.element !== null && (
          <p class="note">
            <code>{visible(place.element)}</code>
          </p>
        )}
        <p>{words.clicks(place.count, show.value.number(place.count))}</p>
      </div>
    </>
  );
}

function sameAs(a: Place, b: Place): boolean {
  return a.x === b.x && a.y === b.y && a.page === b.page && a.element === b.element;
}

function nearest(places: readonly Place[], x: number, y: number): Place | null {
  let best: Place | null = null;
  let least = NEAR;
  for (const place of places) {
    const distance = Math.hypot(place.x - x, place.y - y);
    if (distance < least) [best, least] = [place, distance];
  }
  return best;
}
