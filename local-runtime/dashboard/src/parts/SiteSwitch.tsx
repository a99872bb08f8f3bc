/** Which site is looked at. Sites are not listed anywhere: one knows their names. */

import { useEffect, useRef, useState } from "preact/hooks";
import { SITE_PATTERN, addressOf, parseSite, recent, site } from "../state/site";
import { say } from "../text";
import { Icon } from "./Icon";

export function SiteSwitch() {
  const words = say.value;
  const menu = useRef<HTMLDetailsElement>(null);
  const [name, setName] = useState("");

  useEffect(() => {
    const close = (event: Event): void => {
      const element = menu.current;
      if (!element?.open) return;
      const leaves = event instanceof KeyboardEvent ? event.key === "Escape" : !element.contains(event.target as Node);
      if (!leaves) return;
      element.open = false;
      if (event instanceof KeyboardEvent) element.querySelector("summary")?.focus();
    };
    const events = ["pointerdown", "keydown"] as const;
    for (const type of events) addEventListener(type, close);
    return () => {
      for (const type of events) removeEventListener(type, close);
    };
  }, []);

  const open = (event: Event): void => {
    event.preventDefault();
    const chosen = parseSite(name);
    if (chosen) location.assign(addressOf(chosen));
  };

  return (
    <details class="menu site" ref={menu}>
      <summary aria-label={`${words.site}: ${site}. ${words.changeSite}`}>
        <span class="site-name">{site}</span> <Icon name="chevron" />
      </summary>
      <div class="menu-panel">
        <form onSubmit={open}>
          <label>
            {words.siteField}
            <input
              type="text"
              value={name}
              onInput={({ currentTarget }) => setName(currentTarget.value.toLowerCase())}
              pattern={SITE_PATTERN}
              title={words.siteRule}
              placeholder="cv.example.com"
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              required
            />
          </label>
          <button type="submit" class="button primary">
            {words.siteOpen}
          </button>
        </form>
        <p id="recent-sites">{words.siteRecent}</p>
        <ul aria-labelledby="recent-sites">
          {recent().map((known) => (
            <li key={known}>
              <a href={addressOf(known)} aria-current={known === site ? "page" : undefined}>
                {known}
                {known === site && <Icon name="check" />}
              </a>
            </li>
          ))}
        </ul>
      </div>
    </details>
  );
}
