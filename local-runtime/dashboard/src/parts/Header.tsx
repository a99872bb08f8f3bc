/** What stays at the top: where one is, what is chosen, and whether it is live. */

import { LANGUAGES, THEMES, chooseLanguage, chooseTheme, language, period, theme } from "../state/preferences";
import { feed } from "../state/live";
import { MESSAGES, say } from "../text";
import { PERIODS } from "../wire";
import icon from "../icon.svg";
import { Icon, type IconName } from "./Icon";
import { Segments } from "./Segments";
import { SiteSwitch } from "./SiteSwitch";

const THEME_ICONS: Record<(typeof THEMES)[number], IconName> = { system: "screen", light: "sun", dark: "moon" };

export function Header() {
  const words = say.value;
  return (
    <header class="bar">
      <a class="skip" href="#main">
        {words.skip}
      </a>
      <div class="bar-inside">
        <h1 class="brand">
          <img src={icon} alt="" width="26" height="26" /> <span>maicivy</span>
        </h1>
        <SiteSwitch />
        <Connection />
        <div class="bar-period">
          <Segments
            name="period"
            label={words.period}
            values={PERIODS}
            chosen={period.value}
            show={(value) => words.periods[value]}
            choose={(value) => {
              period.value = value;
            }}
          />
        </div>
        <div class="bar-choices">
          <Segments
            name="language"
            label={words.language}
            values={LANGUAGES}
            chosen={language.value}
            show={(value) => value.toUpperCase()}
            spoken={(value) => MESSAGES[value].name}
            choose={chooseLanguage}
          />
          <ThemeSwitch />
        </div>
      </div>
    </header>
  );
}

function ThemeSwitch() {
  const words = say.value;
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
  const label = `${words.theme}: ${words.themes[theme.value]}`;
  return (
    <button type="button" class="icon-button" aria-label={label} title={label} onClick={() => chooseTheme(next)}>
      <Icon name={THEME_ICONS[theme.value]} />
    </button>
  );
}

function Connection() {
  const words = say.value;
  const state = feed.state.value;
  if (state === "waiting") {
    return (
      <button type="button" class="connection" data-state={state} title={words.waitingHint} onClick={() => feed.start()}>
        <i /> <span>{words.reconnecting}</span>
        <span class="unseen">. {words.reconnect}</span>
      </button>
    );
  }
  return (
    <p class="connection" data-state={state} title={state === "live" ? words.liveHint : undefined}>
      <i /> <span>{state === "live" ? words.live : words.connecting}</span>
    </p>
  );
}
