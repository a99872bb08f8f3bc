/** Has the outline of a page recorded, which is drawn beneath its clicks. */

import { useRef } from "preact/hooks";
import { asking, guess, outline, record, recording } from "../state/outline";
import { say } from "../text";

export function OutlineForm({ path }: { path: string }) {
  const words = say.value;
  const address = useRef<HTMLInputElement>(null);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (address.current) record(address.current.value, path);
  };
  return (
    <div class="outline-form">
      <button
        type="button"
        class="button"
        aria-expanded={asking.value}
        onClick={() => {
          asking.value = !asking.value;
          recording.value = "idle";
        }}
      >
        {outline.value ? words.outlineAgain : words.outlineDraw}
      </button>
      {asking.value && (
        <form onSubmit={submit}>
          <label>
            {words.outlineAddress}
            <input ref={address} type="url" required pattern="https?://.+" defaultValue={guess.value} key={guess.value} autocomplete="off" spellcheck={false} />
          </label>
          <button type="submit" class="button">
            {words.outlineOpen}
          </button>
        </form>
      )}
      {asking.value && <p class="note">{words.outlineHint}</p>}
      <p class="note" role="status">
        {words.outlineStates[recording.value]}
      </p>
    </div>
  );
}
