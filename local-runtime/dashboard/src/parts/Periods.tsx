/** Today, this week and this month, each against the whole one before it. */

import { before, current, now } from "../state/figures";
import { period as chosen } from "../state/preferences";
import { say } from "../text";
import { show } from "../text/now";
import { pace } from "../time/pace";
import { elapsed } from "../time/periods";
import { PERIODS, type Period } from "../wire";
import { Count } from "./Count";
import { Failed, Stale } from "./Panel";

export function Periods() {
  return (
    <div class="periods">
      {PERIODS.map((period) => (
        <PeriodCard key={period} period={period} />
      ))}
    </div>
  );
}

function PeriodCard({ period }: { period: Period }) {
  const words = say.value;
  const held = current[period].held.value;
  const stats = held.data;
  const select = (): void => {
    chosen.value = period;
  };
  return (
    <section class="card period" data-chosen={chosen.value === period}>
      <h2>
        <button type="button" aria-pressed={chosen.value === period} onClick={select}>
          {words.periods[period]}
        </button>
        {stats && held.failure && <Stale of={current[period]} />}
      </h2>
      {stats ? (
        <>
          <p class="large">
            <Count value={stats.visitors} show={show.value.number} name={`visitors-${period}`} />{" "}
            <span class="unit">{words.visitorsOf(stats.visitors)}</span>
          </p>
          <PaceBar period={period} visitors={stats.visitors} />
          <p class="note">
            {words.eventsOf(stats.events, show.value.number(stats.events))}
            <span class="dot"> · </span>
            {words.lettersOf(stats.letters, show.value.number(stats.letters))}
          </p>
        </>
      ) : held.failure ? (
        <Failed of={current[period]} />
      ) : (
        <p class="large bone" aria-hidden="true" />
      )}
    </section>
  );
}

function PaceBar({ period, visitors }: { period: Period; visitors: number }) {
  const words = say.value;
  const held = before[period].held.value;
  if (!held.data) {
    return held.failure ? <Failed of={before[period]} /> : <div class="pace"><div class="track" /><p class="note">&nbsp;</p></div>;
  }
  const total = held.data.visitors;
  const at = (now.held.value.data?.at ?? Date.now() / 1_000) * 1_000;
  const passed = elapsed(period, at);
  const is = pace(visitors, total, passed);
  const { percent, change, number } = show.value;
  const whose = words.beforeOf[period];
  const text =
    is === null
      ? words.nothingBefore(words.before[period])
      : is.share < 1
        ? words.shareOf(percent(is.share), whose, number(total))
        : words.moreThan(change(is.share - 1), whose, number(total));
  return (
    <div class="pace" title={`${words.comparison} ${words.elapsed(percent(passed), words.passed[period])}.`}>
      <div class="track" data-ahead={is?.ahead} aria-hidden="true">
        <i style={{ width: `${Math.min(1, is?.share ?? 0) * 100}%` }} />
        <b style={{ left: `${passed * 100}%` }} />
      </div>
      <p class="note">{text}</p>
    </div>
  );
}
