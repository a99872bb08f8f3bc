/** A part of the page with a heading, and what is shown while its data is not there. */

import type { ComponentChildren } from "preact";
import type { Held, Resource } from "../state/resource";
import { say } from "../text";
import { Icon } from "./Icon";

interface Props {
  id: string;
  title: string;
  hint?: string | undefined;
  of: Resource<unknown>;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Panel({ id, title, hint, of, actions, children }: Props) {
  const held = of.held.value;
  return (
    <section class={`card panel ${id}`} aria-labelledby={`${id}-title`} aria-busy={held.data === null && !held.failure}>
      <header class="panel-head">
        <h2 id={`${id}-title`}>
          {title} {hint && <small>{hint}</small>}
        </h2>
        <div class="panel-actions">
          {held.failure && held.data !== null && <Stale of={of} />}
          {actions}
        </div>
      </header>
      <Body held={held} of={of}>
        {children}
      </Body>
    </section>
  );
}

function Body({ held, of, children }: { held: Held<unknown>; of: Resource<unknown>; children: ComponentChildren }) {
  if (held.data !== null) return <div class={held.outdated ? "panel-body outdated" : "panel-body"}>{children}</div>;
  if (held.failure) return <Failed of={of} />;
  return <Skeleton lines={6} />;
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
export function Failed({ of }: { of: Resource<unknown> }) {
  const { failure } = of.held.value;
  if (!failure) return null;
  return (
    <div class="failed">
      <p>
        {say.value.failed[failure.kind]} {failure.kind === "refused" && failure.message}
      </p>
      <button type="button" class="button" onClick={() => of.load()}>
        <Icon name="retry" /> {say.value.retry}
      </button>
    </div>
  );
}

/** What is shown could not be brought up to date. That nobody answers is said once, above all. */
export function Stale({ of }: { of: Resource<unknown> }) {
  const { failure } = of.held.value;
  if (!failure || failure.kind === "unreachable") return null;
  const why = say.value.failed[failure.kind];
  return (
    <button type="button" class="quiet warning" title={why} onClick={() => of.load()}>
      <Icon name="retry" /> <span class="unseen">{why}</span> {say.value.retry}
    </button>
  );
}
