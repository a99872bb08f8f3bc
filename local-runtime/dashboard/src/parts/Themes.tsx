/** The themes of the CV, most viewed first. */

import { themes } from "../state/figures";
import { period } from "../state/preferences";
import { say } from "../text";
import { show } from "../text/now";
import { Panel } from "./Panel";

export function Themes() {
  const words = say.value;
  const rows = themes.held.value.data ?? [];
  const most = Math.max(1, ...rows.map(({ views }) => views));
  return (
    <Panel id="themes" title={words.themesTitle} hint={words.periods[period.value]} of={themes}>
      {rows.length === 0 ? (
        <p class="empty">{words.themesEmpty}</p>
      ) : (
        <ol class="ranking">
          {rows.map(({ name, views, percentage }) => (
            <li key={name} data-theme-name={name} data-value={views}>
              <i style={{ width: `${(views / most) * 100}%` }} aria-hidden="true" />
              <span class="ranking-name">{name}</span>
              <span class="ranking-views">
                <span class="unseen">{words.themeViews(views, show.value.number(views))}</span>
                <span aria-hidden="true">{show.value.number(views)}</span>
              </span>
              <span class="ranking-share">{show.value.percent(percentage / 100)}</span>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}
