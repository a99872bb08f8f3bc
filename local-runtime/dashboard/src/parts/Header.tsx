/** What stays at the top: which site it is, whether it is live, and how the page looks. */

import { LANGUAGES, THEMES, chooseLanguage, chooseTheme, language, theme } from "../state/preferences";
import { shared } from "../session";
import { feed } from "../state/live";
import { NAMES, say } from "../text";
import { Icon, type IconName } from "./Icon";
import { ShareButton } from "./Share";
import { Sites } from "./Sites";

const THEME_ICONS: Record<(typeof THEMES)[number], IconName> = { system: "screen", light: "sun", dark: "moon" };

export function Header() {
  const words = say.value;
  const other = LANGUAGES[(LANGUAGES.indexOf(language.value) + 1) % LANGUAGES.length] ?? "en";
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
  const colours = `${words.theme}: ${words.themes[theme.value]}`;
  return (
    <header class="bar">
      {/* The address keeps what is behind `#`: a share link's token. */}
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        {words.skip}
      </a>
      <div class="bar-inside">
        <h1 class="brand">
          {/* The page's icon, which would be one more request. */}
          <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
            <rect width="32" height="32" rx="8" />
            <path d="M7 22V13m6 9V8m6 14v-6m6 6V11" />
          </svg>{" "}
          <span>maicivy</span>
        </h1>
        {/* A share link is for one site. */}
        {shared === null && <Sites />}
        <Connection />
        <div class="bar-choices">
          {shared === null && <ShareButton />}
          <button type="button" class="icon-button language" lang={other} title={NAMES[other]} onClick={() => chooseLanguage(other)}>
            {other.toUpperCase()} <span class="unseen">{NAMES[other]}</span>
          </button>
          <button type="button" class="icon-button colours" aria-label={colours} title={colours} onClick={() => chooseTheme(next)}>
            <Icon name={THEME_ICONS[theme.value]} />
          </button>
        </div>
      </div>
    </header>
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
  const [text, hint] = {
    live: [words.live, words.liveHint],
    absent: [words.polling, words.pollingHint],
    connecting: [words.connecting, undefined],
  }[state];
  return (
    <p class="connection" data-state={state} title={hint}>
      <i /> <span>{text}</span>
    </p>
  );
}
