/** The sites that there are, each with a week of visitors. */

import { useState } from "preact/hooks";
import { SITE_PATTERN, addressOf, listing, parseSite, site, sites } from "../state/site";
import { say } from "../text";
import { show } from "../text/now";
import { Icon } from "./Icon";
import { Menu } from "./Menu";
import { Body } from "./Panel";

export function Sites() {
  const words = say.value;
  const [name, setName] = useState("");
  const open = (event: Event): void => {
    event.preventDefault();
    const chosen = parseSite(name);
    if (chosen) location.assign(addressOf(chosen));
  };
  return (
    <Menu
      name="site"
      label={`${words.site}: ${site}. ${words.changeSite}`}
      button={site}
      onToggle={(open) => {
        listing.value = open;
      }}
    >
      {() => (
        <>
          {listing.value && (
            <Body of={sites} lines={3}>
              <ul class="sites" aria-label={words.sites}>
                {sites.held.value.data?.map(({ name, lastEvent, visitors }) => (
                  <li key={name}>
                    <a href={addressOf(name)} aria-current={name === site ? "page" : undefined}>
                      <span class="sites-name">{name}</span>
                      <Sparkline values={visitors} />
                      <span class="note">{lastEvent === null ? words.noEvent : words.lastEvent(show.value.ago(Date.now() - lastEvent))}</span>
                    </a>
                  </li>
                ))}
              </ul>
            </Body>
          )}
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
              <Icon name="check" /> {words.siteOpen}
            </button>
          </form>
        </>
      )}
    </Menu>
  );
}

const [WIDTH, HEIGHT] = [84, 24];

/** Seven days of visitors, as a line. */
function Sparkline({ values }: { values: readonly number[] }) {
  const most = Math.max(1, ...values);
  const points = values.map((value, at) => `${((at / (values.length - 1)) * WIDTH).toFixed(1)},${(HEIGHT - 2 - (value / most) * (HEIGHT - 4)).toFixed(1)}`);
  const sum = values.reduce((sum, value) => sum + value, 0);
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={say.value.sparkline(sum, show.value.number(sum))}>
      <polyline points={points.join(" ")} />
    </svg>
  );
}
