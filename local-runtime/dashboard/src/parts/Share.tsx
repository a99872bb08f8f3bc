/** Links that show the site's dashboard to others: made, listed and revoked by an administrator. */

import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Failure, address, asAdmin } from "../api";
import { site } from "../state/site";
import { say } from "../text";
import { show } from "../text/now";
import type { Share } from "../wire";
import * as wire from "../wire";
import { Dialog } from "./Dialog";
import { AdminRefusal } from "./Goals";
import { Icon } from "./Icon";
import { Skeleton } from "./Panel";
import { Snippet } from "./Snippet";

const open = signal(false);

export function ShareButton() {
  return (
    <button
      type="button"
      class="icon-button share"
      aria-label={say.value.share}
      title={say.value.share}
      onClick={() => {
        open.value = true;
      }}
    >
      <Icon name="link" />
    </button>
  );
}

export function ShareDialog() {
  return open.value ? <Links /> : null;
}

function Links() {
  const words = say.value;
  const links = useSignal<readonly Share[] | null>(null);
  const made = useSignal<Share | null>(null);
  const refused = useSignal<Failure | null>(null);
  const lifetime = useSignal("30d");
  const ask = async (question: () => Promise<void>): Promise<void> => {
    try {
      await question();
      refused.value = null;
    } catch (error) {
      refused.value = Failure.of(error);
    }
  };
  const list = (): Promise<void> => ask(async () => void (links.value = (await asAdmin("GET", "shares", { site }, null, wire.shares)).data));
  const make = (): Promise<void> =>
    ask(async () => {
      const body = { site, expires: lifetime.value || null };
      made.value = (await asAdmin("POST", "shares", {}, body, wire.share)).data;
      await list();
    });
  const revoke = (share: Share): Promise<void> =>
    ask(async () => {
      await asAdmin("DELETE", `shares/${share.id}`, {}, null, () => null);
      if (made.value?.id === share.id) made.value = null;
      await list();
    });
  useEffect(() => void list(), []);
  const close = (): void => {
    open.value = false;
  };
  const link = made.value?.link ?? null;
  return (
    <Dialog id="share" title={words.shareTitle(site)} close={close}>
      <p class="note">{words.shareText}</p>
      {refused.value && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void list();
          }}
        >
          <AdminRefusal failure={refused.value} />
          <p class="goals-end">
            <button type="submit" class="button primary">
              {words.goOn}
            </button>
          </p>
        </form>
      )}
      {links.value === null ? (
        refused.value === null && <Skeleton lines={3} />
      ) : (
        <>
          <p class="funnel-actions">
            <label class="funnel-saved">
              <span>{words.shareLifetime}</span>
              <select
                value={lifetime.value}
                onChange={({ currentTarget }) => {
                  lifetime.value = currentTarget.value;
                }}
              >
                {Object.entries(words.shareLifetimes).map(([value, name]) => (
                  <option key={value} value={value}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <button type="button" class="button primary" onClick={make}>
              <Icon name="link" /> {words.shareMake}
            </button>
          </p>
          {link !== null && (
            <>
              <Snippet title={words.shareMade} code={address(link).href} />
              <Snippet title={words.shareEmbed} code={`<iframe src="${address(link, { embed: 1 }).href.replaceAll("&", "&amp;")}" style="width: 100%; height: 1200px; border: 0" loading="lazy"></iframe>`} />
              <p class="note">{words.shareEmbedHint}</p>
            </>
          )}
          <h3>{words.shareLinks}</h3>
          {links.value.length === 0 && <p class="empty">{words.shareNone}</p>}
          <ul class="goals-list share-links">
            {links.value.map((share) => {
              const until = share.expiresAt === null ? words.shareLifetimes[""] : words.shareUntil(show.value.instant(share.expiresAt));
              const text = `${words.shareSince(show.value.instant(share.createdAt))}, ${until}`;
              return (
                <li key={share.id}>
                  <span>{text}</span>
                  <button type="button" class="button" aria-label={`${words.revoke}: ${text}`} onClick={() => revoke(share)}>
                    {words.revoke}
                  </button>
                </li>
              );
            })}
          </ul>
        </>
      )}
    </Dialog>
  );
}
