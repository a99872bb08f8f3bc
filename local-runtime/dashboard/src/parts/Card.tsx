/** A list of the most frequent values of a dimension, with tabs for other dimensions. */

import type { ComponentChildren } from "preact";
import { csvOf } from "../api";
import { type CardName, TABS, type Tab, chosen, open } from "../state/cards";
import { LISTED, cards, choosing, hasIds, share, tabQuery } from "../state/figures";
import { say } from "../text";
import { metricText, valueName } from "../text/names";
import type { Row, Rows } from "../wire";
import { Csv } from "./Csv";
import { openDetails } from "./Details";
import { filterBy } from "./Filters";
import { type AnyReport, Panel } from "./Panel";
import { Change } from "./Tiles";

/** The most rows that a CSV file has. */
export const MOST_ROWS = 10_000;

interface Props {
  name: CardName;
  /** Instead of rows, where the tab shows something else. */
  children?: ComponentChildren;
  /** Rows that are not shown. */
  without?: readonly string[];
  of?: AnyReport | null;
  above?: ComponentChildren;
  /** Its table, where the tab shows something else. */
  csv?: ComponentChildren;
}

export function Card({ name, children, without = [], of = cards[name], above, csv }: Props) {
  const words = say.value;
  const tab = chosen(name);
  const data = cards[name].held.value.data;
  const rows = data?.rows.filter(({ dimensions }) => !without.includes(dimensions[0] ?? "")).slice(0, LISTED) ?? [];
  const isList = tab !== null && tab.panel === undefined;
  return (
    <Panel
      id={name}
      title={words.cards[name]}
      of={of}
      above={above}
      actions={
        <>
          <Tabs name={name} />
          {csv}
          {isList && (
            <Csv of={csvOf(tabQuery(tab, { limit: MOST_ROWS }))} name={tab.name} what={words.tabs[tab.name] ?? tab.name} small />
          )}
        </>
      }
    >
      {children}
      {isList && data && (
        <>
          <List data={data} tab={tab} rows={rows} />
          {rows.length > 0 && (
            <button type="button" class="quiet more" onClick={() => openDetails(tab)}>
              {words.details}
              <span class="unseen">: {words.tabs[tab.name]}</span>
            </button>
          )}
        </>
      )}
    </Panel>
  );
}

function Tabs({ name }: { name: CardName }) {
  const words = say.value;
  const choose = (): void => {
    choosing.value ||= name === "events";
  };
  return (
    <label class="tabs" onPointerEnter={choose} onFocusIn={choose}>
      <span class="unseen">{words.shown}</span>
      <select
        value={open[name].value}
        onChange={({ currentTarget }) => {
          open[name].value = currentTarget.value;
        }}
      >
        {/* Retention needs visitors with ids. */}
        {TABS[name].filter((tab) => tab.name !== "retention" || hasIds() || open[name].value === tab.name).map((tab) => (
          <option key={tab.name} value={tab.name}>
            {words.tabs[tab.name]}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The dimension that a click on a row filters by. */
export const filteredBy = (tab: Tab): string | null => (tab.filtersBy === undefined ? tab.dimension : tab.filtersBy);

export function List({ data, tab, rows }: { data: Rows; tab: Tab; rows: readonly Row[] }) {
  const words = say.value;
  if (rows.length === 0) return <p class="empty">{words.nothing}</p>;
  const most = Math.max(1, ...rows.map(({ metrics }) => metrics[0] ?? 0));
  return (
    <ol class="ranking" data-dimension={data.dimensions[0]}>
      {rows.map((row) => (
        <Line key={row.dimensions[0]} row={row} tab={tab} most={most} />
      ))}
    </ol>
  );
}

function Line({ row, tab, most }: { row: Row; tab: Tab; most: number }) {
  const words = say.value;
  const [value = ""] = row.dimensions;
  const [visitors = null, part = null] = row.metrics;
  const dimension = filteredBy(tab);
  const name = valueName(tab.dimension, value);
  return (
    <li data-name={value} data-value={visitors ?? ""}>
      <button type="button" title={dimension === null ? undefined : words.filterBy(name)} disabled={dimension === null} onClick={() => dimension !== null && filterBy(dimension, value)}>
        <i style={{ width: `${((visitors ?? 0) / most) * 100}%` }} aria-hidden="true" />
        <span class="ranking-name" dir="auto">
          {name}
        </span>
        <span class="ranking-views">
          {metricText("visitors", visitors)}
          <span class="unseen"> {words.visitorsOf(visitors ?? 0)}</span>
        </span>
        <span class="ranking-share">{part !== null && metricText(share(), part)}</span>
        <span class="ranking-change">
          {row.before && !row.before[0] ? <span class="change">{words.fresh}</span> : <Change name="visitors" change={row.change?.[0] ?? null} />}
        </span>
      </button>
    </li>
  );
}
