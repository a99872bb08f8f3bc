/** A choice of few, all in sight: radio buttons, with their keyboard. */

interface Props<T extends string> {
  name: string;
  label: string;
  values: readonly T[];
  chosen: T;
  show: (value: T) => string;
  spoken?: (value: T) => string;
  choose: (value: T) => void;
}

export function Segments<T extends string>({ name, label, values, chosen, show, spoken, choose }: Props<T>) {
  return (
    <fieldset class="segments">
      <legend class="unseen">{label}</legend>
      {values.map((value) => (
        <label key={value}>
          <input
            type="radio"
            name={name}
            value={value}
            checked={value === chosen}
            aria-label={spoken?.(value)}
            onChange={() => choose(value)}
          />
          <span aria-hidden={spoken ? "true" : undefined}>{show(value)}</span>
        </label>
      ))}
    </fieldset>
  );
}
