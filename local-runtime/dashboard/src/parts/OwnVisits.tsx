/** Has the site's pages in this browser count nothing: the tracker that is in them remembers it. */

import { useRef } from "preact/hooks";
import { read, write } from "../state/preferences";
import { site } from "../state/site";
import { say } from "../text";

export function OwnVisits() {
  const words = say.value;
  const address = useRef<HTMLInputElement>(null);
  const guess = read(`origin ${site}`) ?? (site.includes(".") ? `https://${site}` : "");
  /** A page of the site is opened, because what it keeps is its own: other sites can neither read nor change it. */
  const visit = (how: "off" | "on"): void => {
    if (!address.current?.reportValidity()) return;
    const url = new URL(address.current.value);
    url.hash = `maicivy-${how}`;
    write(`origin ${site}`, url.origin);
    open(url, "_blank", "noopener");
  };
  return (
    <form
      class="own-visits"
      onSubmit={(event) => {
        event.preventDefault();
        visit("off");
      }}
    >
      <label>
        {words.ownVisits}
        <input ref={address} type="url" required pattern="https?://.+" placeholder="https://" defaultValue={guess} autocomplete="off" spellcheck={false} />
      </label>
      <button type="submit" class="button">
        {words.ownVisitsOff}
      </button>
      <button type="button" class="button" onClick={() => visit("on")}>
        {words.ownVisitsOn}
      </button>
      <p class="note">{words.ownVisitsHint}</p>
    </form>
  );
}
