/** The pages that an event's visitor has read today. */

import { useEffect } from "preact/hooks";
import { followed, path } from "../state/path";
import { say } from "../text";
import { readable } from "../text/address";
import { show } from "../text/now";
import { Body } from "./Panel";

export function Path({ visitor }: { visitor: string }) {
  const words = say.value;
  const open = followed.value === visitor;
  useEffect(
    () => () => {
      if (followed.peek() === visitor) followed.value = null;
    },
    [visitor],
  );
  return (
    <div class="path">
      <button
        type="button"
        class="button"
        aria-expanded={open}
        onClick={() => {
          followed.value = open ? null : visitor;
        }}
      >
        {words.path}
      </button>
      {open && <Views />}
    </div>
  );
}

function Views() {
  const words = say.value;
  const { data, failure, outdated } = path.held.value;
  // Where reads are open, events of one visitor cannot be linked.
  if (failure?.code === "INVALID_VISITOR") return <p class="note">{words.pathOpen}</p>;
  const { views, cut } = (!outdated && data) || { views: null, cut: false };
  return (
    <Body of={path} lines={3}>
      {cut && <p class="note">{words.pathCut}</p>}
      {views?.length === 0 && !cut ? (
        <p class="note">{words.pathEmpty}</p>
      ) : (
        <ol>
          {views?.map(({ id, at, page }) => (
            <li key={id}>
              <time dateTime={new Date(at).toISOString()}>{show.value.clock(at)}</time> <bdi>{page === null ? words.unnamed : readable(page)}</bdi>
            </li>
          ))}
        </ol>
      )}
    </Body>
  );
}
