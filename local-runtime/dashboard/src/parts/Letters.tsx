/** Letters by type and by day. */

import { letters, today } from "../state/figures";
import { period } from "../state/preferences";
import { say } from "../text";
import { show } from "../text/now";
import { daysOf } from "../time/periods";
import { Count } from "./Count";
import { Panel } from "./Panel";

export function Letters() {
  const words = say.value;
  const held = letters.held.value.data;
  return (
    <Panel id="letters" title={words.letters} hint={words.periods[period.value]} of={letters}>
      {held && (
        <>
          <Types {...held.of} />
          <Days days={held.days} />
        </>
      )}
    </Panel>
  );
}

function Types({ total, motivation, antiMotivation }: { total: number; motivation: number; antiMotivation: number }) {
  const words = say.value;
  const untyped = total - motivation - antiMotivation;
  const types = [
    { name: "motivation", label: words.motivation, count: motivation },
    { name: "anti-motivation", label: words.antiMotivation, count: antiMotivation },
    // A letter may leave its type out.
    ...(untyped > 0 ? [{ name: "untyped", label: words.untyped, count: untyped }] : []),
  ];
  return (
    <>
      <p class="large">
        <Count value={total} show={show.value.number} name="letters-total" />
      </p>
      <div class="split" aria-hidden="true">
        {types.map(({ name, count }) => count > 0 && <i key={name} data-kind={name} style={{ flexGrow: count }} />)}
      </div>
      <dl class="kinds">
        {types.map(({ name, label, count }) => (
          <div key={name}>
            <dt>
              <i data-kind={name} aria-hidden="true" /> {label}
            </dt>
            <dd>
              <span data-figure={name} data-value={count}>
                {show.value.number(count)}
              </span>{" "}
              <small>{total > 0 ? show.value.percent(count / total) : ""}</small>
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

/** All days of the period, also those to come, so that the picture keeps its shape. */
function Days({ days }: { days: { date: string; count: number }[] }) {
  const words = say.value;
  const counts = new Map(days.map(({ date, count }) => [date, count]));
  const shown = period.value === "month" ? "month" : "week";
  const most = Math.max(1, ...counts.values());
  return (
    <div class="days">
      <h3>{words.lettersByDay[period.value]}</h3>
      <ol data-many={shown === "month"}>
        {daysOf(shown, today.value).map((date) => {
          const count = counts.get(date);
          const said = count === undefined ? words.toCome : words.lettersOf(count, show.value.number(count));
          return (
            <li key={date} data-today={date === today.value} data-date={date} data-value={count} title={`${show.value.dayLong(date)}: ${said}`}>
              <span class="unseen">
                {show.value.dayLong(date)}: {said}
              </span>
              <div class="day-bar" aria-hidden="true">
                <b>{count ? show.value.short(count) : ""}</b>
                <i data-none={!count} style={{ height: `${((count ?? 0) / most) * 100}%` }} />
              </div>
              <span aria-hidden="true">{shown === "month" ? Number(date.slice(8)) : show.value.weekday(date)}</span>
            </li>
          );
        })}
      </ol>
    </div>
  );
}
