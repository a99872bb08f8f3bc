/** What visitors did, newest first. */

import { useRef, useState } from "preact/hooks";
import { eventTable } from "../csv";
import { backToNewest, events, hasOlder, loadOlder, newest, older, unlisted } from "../state/timeline";
import { say } from "../text";
import { readable, visible } from "../text/address";
import { show } from "../text/now";
import type { Happening } from "../wire";
import { Csv } from "./Csv";
import { Did, iconOf } from "./Did";
import { Icon } from "./Icon";
import { Failed, Panel } from "./Panel";
import { Path } from "./Path";

export function Timeline() {
  const words = say.value;
  const [type, setType] = useState("");
  const types = [...new Set(events.value.map(({ type }) => type))].sort();
  const rows = type === "" ? events.value : events.value.filter((event) => event.type === type);
  const since = useRef(Date.now());
  // Without access control, every event has another pseudonym, which then tells nothing.
  const recognised = new Set(events.value.map(({ visitor }) => visitor)).size < events.value.length;
  const filter = (
    <label class="tabs">
      <span class="unseen">{words.type}</span>
      <select value={type} onChange={({ currentTarget }) => setType(currentTarget.value)}>
        <option value="">{words.allEvents}</option>
        {[...new Set([...types, type])].filter((name) => name !== "").map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <Panel id="timeline" title={words.timeline} hint={words.timelineHint} of={newest} actions={<>{filter} <Csv of={() => eventTable(rows)} name="timeline" what={words.timeline} small /></>}>
      {unlisted.value > 0 && (
        <button type="button" class="button primary unlisted" onClick={backToNewest}>
          {words.unlisted(unlisted.value, show.value.number(unlisted.value))}
        </button>
      )}
      {rows.length === 0 ? (
        <p class="empty">{words.timelineEmpty}</p>
      ) : (
        byDay(rows).map(([day, events]) => (
          <div key={day} class="timeline-day">
            <h3>{day}</h3>
            <ol>
              {events.map((event) => (
                <Row key={event.id} event={event} fresh={event.at > since.current} recognised={recognised} />
              ))}
            </ol>
          </div>
        ))
      )}
      {events.value.length > 0 && <Older />}
    </Panel>
  );
}

function Older() {
  const words = say.value;
  if (older.held.value.failure) return <Failed of={older} />;
  if (!hasOlder.value) return <p class="note end">{words.end}</p>;
  return (
    <button type="button" class="button older" onClick={loadOlder}>
      {words.older}
    </button>
  );
}

/** Events by the viewer's own day, in their order. */
function byDay(rows: readonly Happening[]): [string, Happening[]][] {
  const days = new Map<string, Happening[]>();
  for (const event of rows) {
    const day = show.value.dayHere(event.at);
    const known = days.get(day);
    if (known) known.push(event);
    else days.set(day, [event]);
  }
  return [...days];
}

function Row({ event, fresh, recognised }: { event: Happening; fresh: boolean; recognised: boolean }) {
  const { clock } = show.value;
  const [open, setOpen] = useState(false);
  return (
    <li data-event={event.id} data-fresh={fresh}>
      <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>
          <span class="row-icon" data-type={event.type}>
            <Icon name={iconOf(event.type)} />
          </span>
          <Did event={event} withPage />
          {recognised && <Who visitor={event.visitor} />}
          <time dateTime={new Date(event.at).toISOString()}>{clock(event.at)}</time>
        </summary>
        {open && <Details event={event} />}
      </details>
    </li>
  );
}

/** A visitor's pseudonym, as a colour and a few letters that the eye can follow. */
function Who({ visitor }: { visitor: string }) {
  const hue = Number.parseInt(visitor.slice(0, 4), 16) % 360;
  return (
    <span class="who" title={`${say.value.visitor} ${visitor}`}>
      <i style={{ backgroundColor: `oklch(0.68 0.13 ${hue})` }} aria-hidden="true" />
      {visitor.slice(0, 4)}
    </span>
  );
}

function Details({ event }: { event: Happening }) {
  const words = say.value;
  const rows: [string, string | null][] = [
    [words.time, `${show.value.instant(event.at)} (${new Date(event.at).toISOString()})`],
    [words.type, event.type],
    [words.page, event.page === null ? null : readable(event.page)],
    [words.referrer, event.referrer === null ? null : readable(event.referrer)],
    [words.visitor, event.visitor],
    [words.data, Object.keys(event.data).length > 0 ? visible(JSON.stringify(event.data)) : null],
    [words.id, event.id],
  ];
  return (
    <>
      <dl class="details">
        {rows.map(
          ([name, value]) =>
            value !== null && (
              <div key={name}>
                <dt>{name}</dt>
                <dd>
                  <bdi>{value}</bdi>
                </dd>
              </div>
            ),
        )}
      </dl>
      <Path visitor={event.visitor} />
    </>
  );
}
