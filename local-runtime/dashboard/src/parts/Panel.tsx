/** A part of the page with a heading, and what is shown while its data is not there. */

import type { ComponentChildren } from "preact";
import { type Report, reload } from "../state/report";
import { say } from "../text";
import { refusalText } from "../text/names";
import { Icon } from "./Icon";

interface Props {
  id: string;
  title: string;
  hint?: string | undefined;
  /** What it shows; null if that needs no answer. */
  of: AnyReport | null;
  actions?: ComponentChildren;
  /** What is there whether or not there is an answer. */
  above?: ComponentChildren;
  children: ComponentChildren;
}

/** A report of anything. */
export type AnyReport = Pick<Report<unknown>, "held">;

export function Panel({ id, title, hint, of, actions, above, children }: Props) {
  const busy = of !== null && of.held.value.data === null && !of.held.value.failure;
  return (
    <section class={`card panel ${id}`} aria-labelledby={`${id}-title`} aria-busy={busy}>
      <header class="panel-head">
        <h2 id={`${id}-title`}>
          {title} {hint && <small>{hint}</small>}
        </h2>
        {actions && <div class="panel-actions">{actions}</div>}
      </header>
      {above}
      {of === null ? (
        children
      ) : (
        <Body of={of} lines={6}>
          {children}
        </Body>
      )}
    </section>
  );
}

/** What there is, why there is nothing, or that it is on its way. */
export function Body({ of, lines, children }: { of: AnyReport; lines: number; children: ComponentChildren }) {
  const { data, failure, outdated } = of.held.value;
  if (data !== null && !(failure && outdated)) {
    return <div class={outdated ? "panel-body outdated" : failure ? "panel-body stale" : "panel-body"}>{children}</div>;
  }
  if (failure) return <Failed of={of} />;
  return <Skeleton lines={lines} />;
}

/** Grey bars where something will be. */
export function Skeleton({ lines }: { lines: number }) {
  return (
    <div class="skeleton" aria-hidden="true">
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} />
      ))}
    </div>
  );
}

/** Why there is nothing, and a button to try again. */
export function Failed({ of }: { of: AnyReport }) {
  const { failure } = of.held.value;
  if (!failure) return null;
  return (
    <div class="failed">
      <p title={refusalText(failure)}>{say.value.failed[failure.kind]}</p>
      <button type="button" class="button" onClick={reload}>
        <Icon name="retry" /> {say.value.retry}
      </button>
    </div>
  );
}
