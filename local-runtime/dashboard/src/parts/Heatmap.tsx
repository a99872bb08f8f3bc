/** Where visitors click, on a page as wide and as high as any. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { HOURS, allPlaces, hours, page, pages, places } from "../state/figures";
import { colours } from "../state/preferences";
import { say } from "../text";
import { readable, visible } from "../text/address";
import { show } from "../text/now";
import type { Place } from "../wire";
import { byElement } from "./elements";
import { paint } from "./heat";
import { Icon } from "./Icon";
import { Panel } from "./Panel";

const LISTED = 8;
/** How near the pointer must be to a place, in percent of the page. */
const NEAR = 5;
const MOST_ROWS = 200;

export function Heatmap() {
  const words = say.value;
  const of = page.value ? places : allPlaces;
  const shown = of.held.value.data ?? [];
  const [tabular, setTabular] = useState(false);
  const actions = (
    <button type="button" class="quiet" aria-pressed={tabular} onClick={() => setTabular(!tabular)}>
      <Icon name={tabular ? "chart" : "table"} /> {tabular ? words.showChart : words.showTable}
    </button>
  );
  return (
    <Panel id="heatmap" title={words.heatmap} of={of} actions={actions}>
      <div class="choosers">
        <label>
          <span>{words.page}</span>
          <select
            value={page.value ?? ""}
            onChange={({ currentTarget }) => {
              page.value = currentTarget.value || null;
            }}
          >
            <option value="">{words.allPages}</option>
            {choices().map(([path, clicks]) => (
              <option key={path} value={path}>
                {readable(path)} ({show.value.number(clicks)})
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>{words.hours}</span>
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
      </div>
      {tabular ? <Table places={shown} /> : <Map places={shown} />}
    </Panel>
  );
}

/** What is pointed at: a place on the map, or an element of the list with all of its places. */
interface Pointed {
  place: Place;
  listed: boolean;
}

/** The chosen page stays among the choices also when it has no clicks in the chosen time. */
function choices(): [string, number][] {
  const known = pages.value;
  const chosen = page.value;
  return chosen && !known.some(([path]) => path === chosen) ? [...known, [chosen, 0]] : known;
}

function Map({ places }: { places: readonly Place[] }) {
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
  const total = useMemo(() => places.reduce((sum, { count }) => sum + count, 0), [places]);

  return (
    <div class="map">
      <div class="sheet-frame">
        <div class="sheet" onPointerMove={point} onPointerDown={point} onPointerLeave={() => setPointed(null)}>
          <canvas
            ref={canvas}
            role="img"
            aria-label={`${words.heatmapHint}. ${words.clicks(total, show.value.number(total))}.`}
          />
          {places.length === 0 && <p class="empty">{words.heatmapEmpty}</p>}
          {current && <Tip place={current} />}
        </div>
      </div>
      {places.length > 0 && (
        <div class="most">
          <h3>
            {words.mostClicked} <small>{words.clicks(total, show.value.number(total))}</small>
          </h3>
          <ol>
            {elements.map((place) => (
              <li key={`${place.page} ${place.element ?? `${place.x} ${place.y}`}`}>
                <button
                  type="button"
                  aria-pressed={pointed?.listed === true && place === current}
                  onFocus={() => setPointed({ place, listed: true })}
                  onBlur={() => setPointed(null)}
                  onPointerEnter={() => setPointed({ place, listed: true })}
                  onPointerLeave={() => setPointed(null)}
                >
                  <code>{visible(place.element ?? words.unnamed)}</code>
                  <span class="most-count">{show.value.number(place.count)}</span>
                  <span class="note">{words.at(show.value.position(place.x), show.value.position(place.y))}</span>
                </button>
              </li>
            ))}
          </ol>
        </div>
      )}
    </div>
  );
}

function Tip({ place }: { place: Place }) {
  const words = say.value;
  return (
    <>
      <i class="ring" style={{ left: `${place.x}%`, top: `${place.y}%` }} aria-hidden="true" />
      <div
        class="tip"
        data-side={place.x > 50 ? "left" : "right"}
        data-edge={place.y > 80 ? "bottom" : undefined}
        style={{ left: `${place.x}%`, top: `${place.y}%` }}
      >
        <p>
          <code>{visible(place.element ?? words.unnamed)}</code>
        </p>
        <p>{words.clicks(place.count, show.value.number(place.count))}</p>
        <p class="note">
          <bdi>{readable(place.page)}</bdi>
          <span class="dot"> · </span>
          {show.value.position(place.x)} × {show.value.position(place.y)}
        </p>
      </div>
    </>
  );
}

function Table({ places }: { places: readonly Place[] }) {
  const words = say.value;
  return (
    <div class="table" tabIndex={0} role="region" aria-label={words.mostClicked}>
      <table>
        <thead>
          <tr>
            <th scope="col">{words.element}</th>
            <th scope="col">{words.page}</th>
            <th scope="col">{words.place}</th>
            <th scope="col">{words.clicksColumn}</th>
          </tr>
        </thead>
        <tbody>
          {places.slice(0, MOST_ROWS).map((place) => (
            <tr key={`${place.page} ${place.x} ${place.y}`}>
              <th scope="row">
                <code>{visible(place.element ?? words.unnamed)}</code>
              </th>
              <td>
                <bdi>{readable(place.page)}</bdi>
              </td>
              <td>{words.at(show.value.position(place.x), show.value.position(place.y))}</td>
              <td>{show.value.number(place.count)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
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
