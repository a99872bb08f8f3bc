/** A window above the page, as long as it is drawn. When it is closed, the focus goes back to where it was. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { say } from "../text";
import { Icon } from "./Icon";

interface Props {
  id: string;
  title: ComponentChildren;
  actions?: ComponentChildren;
  /** Whether a click beside it closes it: not where something may have been typed. */
  light?: boolean;
  close(): void;
  children: ComponentChildren;
}

export function Dialog({ id, title, actions, light = false, close, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} class={`dialog ${id}-dialog`} aria-labelledby={`${id}-title`} onClose={close} onClick={(event) => light && event.target === dialog.current && close()}>
      <header class="panel-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {actions}
        <button type="button" class="icon-button" aria-label={say.value.close} onClick={close}>
          <Icon name="cross" />
        </button>
      </header>
      {children}
    </dialog>
  );
}
