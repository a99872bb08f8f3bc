/** The filters of the view: a chip for each, and a form for more. */

import { signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { about, reported } from "../state/figures";
import { say } from "../text";
import { dimensionName, valueName } from "../text/names";
import { FILTERABLE, type Filter, OPERATORS, type Operator, added } from "../view/filter";
import { go, view } from "../view/view";
import { Icon } from "./Icon";
import { Menu } from "./Menu";

/** Adds a condition to the view. */
export function filterBy(dimension: string, value: string, operator: Operator = "is"): void {
  go({ filters: added(view.value.filters, { operator, dimension, values: [value] }) });
}

const inverse: Record<Operator, Operator> = { is: "is_not", is_not: "is", contains: "contains_not", contains_not: "contains" };

export function FilterChips() {
  const words = say.value;
  const { filters } = view.value;
  if (filters.length === 0) return null;
  const replace = (filter: Filter, by: readonly Filter[]): void =>
    go({ filters: filters.flatMap((known) => (known === filter ? by : [known])) });
  return (
    <ul class="chips" aria-label={words.filters}>
      {filters.map((filter) => {
        const { operator, dimension, values } = filter;
        const text = values.map((value) => valueName(dimension, value)).join(words.or);
        return (
          <li key={`${operator} ${dimension}`}>
            <button type="button" class="chip" title={words.invert} onClick={() => replace(filter, [{ ...filter, operator: inverse[operator] }])}>
              {dimensionName(dimension)} <i>{words.operators[operator]}</i> <b dir="auto">{text}</b>
            </button>
            <button type="button" class="chip-remove" aria-label={`${words.remove}: ${dimensionName(dimension)} ${text}`} onClick={() => replace(filter, [])}>
              <Icon name="cross" />
            </button>
          </li>
        );
      })}
      {filters.length > 1 && (
        <li>
          <button type="button" class="quiet" onClick={() => go({ filters: [] })}>
            {words.clear} <kbd>Esc</kbd>
          </button>
        </li>
      )}
    </ul>
  );
}

const SUGGESTED = 50;
/** The dimension whose values are suggested, while the form is open. */
const wanted = signal<string | null>(null);
const suggested = reported(
  () => {
    const dimension = wanted.value === "event:goal" ? "event:name" : wanted.value;
    return dimension === null ? null : about({ metrics: ["visitors"], dimensions: [dimension], limit: SUGGESTED });
  },
  { every: null },
);

export function FilterMenu() {
  const words = say.value;
  const open = useSignal(false);
  const dimension = useSignal<string>("event:page");
  const operator = useSignal<Operator>("is");
  const value = useSignal("");
  const suggestions = useComputed(() => {
    const of = suggested.held.value;
    return of.outdated || wanted.value === null ? [] : (of.data?.rows.flatMap(({ dimensions: [name] }) => name || []) ?? []);
  });
  useSignalEffect(() => {
    wanted.value = open.value ? dimension.value : null;
  });
  return (
    <Menu
      name="filter"
      label={words.filter}
      button={
        <>
          <Icon name="filter" /> <span>{words.filter}</span>
        </>
      }
      onToggle={(now) => {
        open.value = now;
      }}
    >
      {(close) => (
        <form
          class="filter-form"
          onSubmit={(event) => {
            event.preventDefault();
            const given = value.value.trim();
            value.value = "";
            close();
            filterBy(dimension.value, given, operator.value);
          }}
        >
          <label>
            <span>{words.what}</span>
            <select
              value={dimension.value}
              onChange={({ currentTarget }) => {
                dimension.value = currentTarget.value;
                value.value = "";
              }}
            >
              {FILTERABLE.map((name) => (
                <option key={name} value={name}>
                  {dimensionName(name)}
                </option>
              ))}
            </select>
          </label>
          <label>
            <span>{words.how}</span>
            <select
              value={operator.value}
              onChange={({ currentTarget }) => {
                operator.value = OPERATORS.find((name) => name === currentTarget.value) ?? "is";
              }}
            >
              {OPERATORS.map((name) => (
                <option key={name} value={name}>
                  {words.operators[name]}
                </option>
              ))}
            </select>
          </label>
          <label>
            <span>{words.value}</span>
            <input
              type="text"
              list="suggestions"
              value={value.value}
              required
              maxLength={300}
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              onInput={({ currentTarget }) => {
                value.value = currentTarget.value;
              }}
            />
          </label>
          <datalist id="suggestions">
            {suggestions.value.map((name) => (
              <option key={name} value={name} label={valueName(dimension.value, name)} />
            ))}
          </datalist>
          <button type="submit" class="button primary">
            {words.apply}
          </button>
        </form>
      )}
    </Menu>
  );
}
