/** Something that opens below its button, and closes when the reader goes elsewhere. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./Icon";

interface Props {
  name: string;
  label: string;
  /** What the button shows. */
  button: ComponentChildren;
  /** Closes the menu when it is called. */
  children: (close: () => void) => ComponentChildren;
  onToggle?: (open: boolean) => void;
}

export function Menu({ name, label, button, children, onToggle }: Props) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = (): void => {
    if (!menu.current?.open) return;
    menu.current.open = false;
    menu.current.querySelector("summary")?.focus();
  };
  useEffect(() => {
    const leave = (event: Event): void => {
      if (event instanceof KeyboardEvent) {
        if (event.key === "Escape") close();
      } else if (menu.current?.open && !menu.current.contains(event.target as Node)) menu.current.open = false;
    };
    const events = ["pointerdown", "keydown"] as const;
    for (const type of events) addEventListener(type, leave);
    return () => {
      for (const type of events) removeEventListener(type, leave);
    };
  }, []);
  return (
    <details class={`menu ${name}`} ref={menu} onToggle={({ currentTarget }) => onToggle?.(currentTarget.open)}>
      <summary aria-label={label}>
        <span class="menu-name">{button}</span> <Icon name="chevron" />
      </summary>
      <div class="menu-panel">{children(close)}</div>
    </details>
  );
}
