/** All values of a dimension, with more metrics, to be sorted and searched. */

import { signal, useSignal } from "@preact/signals";
import { csvOf } from "../api";
import type { Tab } from "../state/cards";
import { type Query, reported, share, tabQuery } from "../state/figures";
import { say } from "../text";
import { metricText, valueName } from "../text/names";
import { show } from "../text/now";
import { MOST_ROWS, filteredBy } from "./Card";
import { Csv } from "./Csv";
import { Dialog } from "./Dialog";
import { filterBy } from "./Filters";
import { Body } from "./Panel";

const PAGE = 100;

interface Asked {
  tab: Tab;
  search: string;
  order: string;
  descending: boolean;
  limit: number;
}

const asked = signal<Asked | null>(null);

export function openDetails(tab: Tab): void {
  asked.value = { tab, search: "", order: "visitors", descending: true, limit: PAGE };
}

/** Only what visits can be divided by has metrics of visits. */
function columns({ dimension }: Tab): string[] {
  if (dimension === "event:page") return ["visitors", share(), "pageviews", "bounce_rate", "time_on_page", "scroll_depth"];
  if (dimension.startsWith("visit:")) return ["visitors", share(), "visits", "pageviews", "bounce_rate", "visit_duration"];
  return ["visitors", share(), "events"];
}

function detailsQuery({ tab, search, order, descending, limit }: Asked): Query {
  const query = tabQuery(tab, { metrics: columns(tab), order_by: [[order, descending ? "desc" : "asc"]], limit });
  const found = search === "" ? [] : [["contains", tab.dimension, [search], { case_sensitive: false }]];
  const { compare: _, ...rest } = query;
  return { ...rest, filters: [...(query.filters as unknown[]), ...found] };
}

const details = reported(() => asked.value && detailsQuery(asked.value), { every: 30_000 });

export function Details() {
  return asked.value && <Inside now={asked.value} />;
}

function Inside({ now }: { now: Asked }) {
  const words = say.value;
  const close = (): void => {
    asked.value = null;
  };
  const { tab } = now;
  const data = details.held.value.data;
  const pause = useSignal<ReturnType<typeof setTimeout> | undefined>(undefined);
  const search = (text: string): void => {
    clearTimeout(pause.value);
    pause.value = setTimeout(() => {
      if (asked.value) asked.value = { ...asked.value, search: text.trim(), limit: PAGE };
    }, 250);
  };
  return (
    <Dialog
      id="details"
      title={
        <>
          {words.tabs[tab.name] ?? tab.name} {data && <small>{words.rows(data.total, show.value.number(data.total))}</small>}
        </>
      }
      actions={<Csv of={csvOf({ ...detailsQuery(now), limit: MOST_ROWS })} name={tab.name} what={words.tabs[tab.name] ?? tab.name} />}
      light
      close={close}
    >
      <input type="search" class="search" placeholder={words.search} aria-label={words.search} maxLength={200} onInput={({ currentTarget }) => search(currentTarget.value)} />
      <Body of={details} lines={8}>
        <Table now={now} close={close} />
      </Body>
    </Dialog>
  );
}

function Table({ now, close }: { now: Asked; close: () => void }) {
  const words = say.value;
  const data = details.held.value.data;
  const { tab } = now;
  const dimension = filteredBy(tab);
  if (!data) return null;
  if (data.rows.length === 0) return <p class="empty">{words.nothing}</p>;
  const shown = columns(tab);
  return (
    <>
      <div class="table" tabIndex={0} role="region" aria-labelledby="details-title">
        <table>
          <thead>
            <tr>
              <Head now={now} name={tab.dimension} label={words.tabs[tab.name] ?? tab.name} />
              {shown.map((name) => (
                <Head key={name} now={now} name={name} label={words.metrics[name] ?? name} />
              ))}
            </tr>
          </thead>
          <tbody>
            {data.rows.map(({ dimensions: [value = ""], metrics }) => (
              <tr key={value}>
                <th scope="row">
                  <button
                    type="button"
                    class="link"
                    disabled={dimension === null}
                    onClick={() => {
                      close();
                      if (dimension !== null) filterBy(dimension, value);
                    }}
                  >
                    <bdi>{valueName(tab.dimension, value)}</bdi>
                  </button>
                </th>
                {shown.map((name, at) => (
                  <td key={name}>{metricText(name, metrics[at] ?? null)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {data.rows.length < data.total && (
        <button
          type="button"
          class="button older"
          onClick={() => {
            asked.value = { ...now, limit: Math.min(MOST_ROWS, now.limit + 2 * PAGE) };
          }}
        >
          {words.more}
        </button>
      )}
    </>
  );
}

function Head({ now, name, label }: { now: Asked; name: string; label: string }) {
  const sorted = now.order === name;
  const text = name.includes(":");
  return (
    <th scope="col" aria-sort={sorted ? (now.descending ? "descending" : "ascending") : "none"}>
      <button
        type="button"
        onClick={() => {
          asked.value = { ...now, order: name, descending: sorted ? !now.descending : !text };
        }}
      >
        {label} <span aria-hidden="true">{sorted ? (now.descending ? "↓" : "↑") : ""}</span>
      </button>
    </th>
  );
}
