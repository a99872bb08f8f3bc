/** A number that moves to its new value instead of jumping there. */

import { useEffect, useRef } from "preact/hooks";
import { still } from "../state/preferences";

const DURATION_MS = 450;

interface Props {
  value: number;
  show: (value: number) => string;
  /** Shares are not whole. */
  fraction?: boolean;
  /** For whoever reads the page by machine. */
  name?: string;
}

export function Count({ value, show, fraction = false, name }: Props) {
  const element = useRef<HTMLSpanElement>(null);
  const shown = useRef(value);
  useEffect(() => {
    const from = shown.current;
    const begin = performance.now();
    let frame = 0;
    const put = (number: number): void => {
      shown.current = number;
      if (element.current) element.current.textContent = show(number);
    };
    const step = (time: number): void => {
      const part = Math.min(1, (time - begin) / DURATION_MS);
      const eased = 1 - (1 - part) ** 3;
      const between = from + (value - from) * eased;
      put(part === 1 ? value : fraction ? between : Math.round(between));
      if (part < 1) frame = requestAnimationFrame(step);
    };
    if (from === value || still() || document.hidden) put(value);
    else frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [value, show, fraction]);
  return <span class="count" ref={element} data-figure={name} data-value={value} />;
}
