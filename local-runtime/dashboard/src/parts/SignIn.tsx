/** Asks for a token where the server shows its figures to some only. */

import { useSignal } from "@preact/signals";
import { feed } from "../state/live";
import { closed, reopen } from "../state/report";
import { token } from "../session";
import { say } from "../text";
import { Icon } from "./Icon";

export function SignIn() {
  const words = say.value;
  const typed = useSignal("");
  const submit = (event: Event): void => {
    event.preventDefault();
    token.value = typed.value.trim() || null;
    reopen();
    feed.restart();
  };
  const isWrong = token.value !== null;
  return (
    <section class="card welcome sign-in" aria-labelledby="sign-in-title">
      <h2 id="sign-in-title">{words.signInTitle}</h2>
      {isWrong && <p role="alert">{closed.value?.code === "FORBIDDEN" ? words.tokenOfOther : words.tokenWrong}</p>}
      <form onSubmit={submit}>
        <label>
          {words.token}
          <input
            type="password"
            name="token"
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            required
            onInput={({ currentTarget }) => {
              typed.value = currentTarget.value;
            }}
          />
        </label>
        <button type="submit" class="button primary">
          <Icon name="check" /> {words.signIn}
        </button>
      </form>
      <p class="note">{words.tokenKept}</p>
    </section>
  );
}
