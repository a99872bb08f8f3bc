/** How many events were counted in the view's days, and how many were not, and why. */

import { api } from "../api";
import { shared } from "../session";
import { known, rangeText, site } from "../state/site";
import { say } from "../text";
import { show } from "../text/now";
import { embedded } from "../view/view";
import { Csv } from "./Csv";
import { OwnVisits } from "./OwnVisits";

/** What the line names, in this order, with the outcome and, where it stands for one reason only, the reason. */
const NAMED = [
  ["bot", "filtered", "bot"],
  ["opt_out", "filtered", "opt_out"],
  ["duplicate", "duplicate", ""],
  ["rejected", "rejected", null],
  ["failed", "failed", ""],
] as const;

export function Counted() {
  const words = say.value;
  const data = known.held.value.data?.[0]?.outcomes ?? null;
  // Its line has its place before it is there, so that nothing moves.
  if (data === null) return <p class="counted"> </p>;
  const number = show.value.number;
  const sum = (outcome: string, reason: string | null): number =>
    data.notCounted.filter((row) => row.outcome === outcome && (reason === null || row.reason === reason)).reduce((all, { count }) => all + count, 0);
  const parts = NAMED.map(([name, outcome, reason]) => ({ name, count: sum(outcome, reason) }));
  const rest = data.notCounted.reduce((all, { count }) => all + count, 0) - parts.reduce((all, { count }) => all + count, 0);
  if (rest > 0) parts.push({ name: "other" as never, count: rest });
  const text = parts.filter(({ name, count }) => count > 0 || name === "failed").map(({ name, count }) => words.outcomeNamed[name]?.(count, number(count)) ?? "");
  const failed = sum("failed", null);
  const csv = api("outcomes", { site, date_range: rangeText(), format: "csv" });
  return (
    <>
      {failed > 0 && (
        <p class="banner" role="alert">
          {words.storeFailed(failed, number(failed))}
        </p>
      )}
      {data.warnings.includes("untrusted_proxy") && (
        <p class="banner" data-kind="degraded" role="alert">
          {words.untrustedProxy}
        </p>
      )}
      <details class="counted">
        <summary>
          <span data-figure="counted" data-value={data.counted}>
            {words.counted(data.counted, number(data.counted))}
          </span>{" "}
          {words.notCountedList(text.join(", "))}
        </summary>
        <div class="counted-more">
          <p>{words.countedDays}</p>
          <dl>
            {data.notCounted.map(({ outcome, reason, count }) => (
              <div key={`${outcome}/${reason}`} data-outcome={reason || outcome} data-value={count}>
                <dt>{number(count)}</dt>
                <dd>{words.notCounted[reason || outcome] ?? reason}</dd>
              </div>
            ))}
          </dl>
          <Csv of={csv} name="outcomes" what={words.countedTitle} />
          {shared === null && !embedded && <OwnVisits />}
        </div>
      </details>
    </>
  );
}
