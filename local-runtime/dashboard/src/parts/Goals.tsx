/** The editor of goals and funnels. */

import { useSignal } from "@preact/signals";
import type { Failure } from "../api";
import { adminToken } from "../session";
import { FEWEST_STEPS, MOST, edit, editing, goals, save } from "../state/goals";
import { say } from "../text";
import { refusalText } from "../text/names";
import type { Funnel, Goal } from "../wire";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { Steps, Suggestions, TargetFields } from "./Target";

type Lists = NonNullable<typeof editing.value>;

export function GoalsDialog({ now }: { now: Lists }) {
  const close = (): void => {
    editing.value = null;
  };
  return (
    <Dialog id="goals" title={say.value.goalsTitle} close={close}>
      <Editor now={now} close={close} />
    </Dialog>
  );
}

function Editor({ now, close }: { now: Lists; close: () => void }) {
  const words = say.value;
  const refused = useSignal<Failure | null>(null);
  const saving = useSignal(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    saving.value = true;
    refused.value = await save();
    saving.value = false;
  };
  const setGoals = (list: Goal[]): void => {
    editing.value = { ...now, goals: list };
  };
  const setFunnels = (list: Funnel[]): void => {
    editing.value = { ...now, funnels: list };
  };
  const configured = goals.held.value.data?.configured ?? [];
  return (
    <form onSubmit={submit}>
      <p class="note">{words.goalsHint}</p>
      <h3>{words.tabs.goal}</h3>
      {configured.length > 0 && <p class="note">{words.configuredGoals(configured.join(", "))}</p>}
      <ul class="goals-list">
        {now.goals.map((goal, at) => {
          const put = (by: Goal[]): void => setGoals(now.goals.flatMap((other, place) => (place === at ? by : [other])));
          const label = words.goalNumber(at + 1);
          return (
            <li key={at}>
              <input type="text" class="goals-name" aria-label={`${label}: ${words.nameField}`} placeholder={words.nameField} value={goal.name} maxLength={200} required onInput={({ currentTarget }) => put([{ ...goal, name: currentTarget.value }])} />
              <TargetFields label={label} target={goal} change={(to) => put([{ name: goal.name, ...to }])} />
              <button type="button" class="icon-button" aria-label={`${words.remove}: ${goal.name || label}`} onClick={() => put([])}>
                <Icon name="cross" />
              </button>
            </li>
          );
        })}
      </ul>
      {now.goals.length < MOST.goals && (
        <button type="button" class="button" onClick={() => setGoals([...now.goals, { name: "", event: "" }])}>
          {words.addGoal}
        </button>
      )}
      <h3>{words.tabs.funnel}</h3>
      {now.funnels.map((funnel, at) => {
        const put = (by: Funnel[]): void => setFunnels(now.funnels.flatMap((other, place) => (place === at ? by : [other])));
        const label = words.funnelNumber(at + 1);
        return (
          <fieldset key={at}>
            <legend class="unseen">{funnel.name || label}</legend>
            <p class="funnel-actions">
              <input type="text" class="goals-name" aria-label={`${label}: ${words.nameField}`} placeholder={words.nameField} value={funnel.name} maxLength={200} required onInput={({ currentTarget }) => put([{ ...funnel, name: currentTarget.value }])} />
              <button type="button" class="icon-button" aria-label={`${words.remove}: ${funnel.name || label}`} onClick={() => put([])}>
                <Icon name="cross" />
              </button>
            </p>
            <Steps steps={funnel.steps} fewest={FEWEST_STEPS} most={MOST.steps} change={(steps) => put([{ ...funnel, steps }])} />
          </fieldset>
        );
      })}
      {now.funnels.length < MOST.funnels && (
        <button type="button" class="button" onClick={() => setFunnels([...now.funnels, { name: "", steps: [{ page: "/" }, { event: "" }] }])}>
          {words.addFunnel}
        </button>
      )}
      <Suggestions />
      {refused.value && <AdminRefusal failure={refused.value} />}
      <p class="goals-end">
        <button type="submit" class="button primary" disabled={saving.value}>
          <Icon name="check" /> {words.save}
        </button>
        <button type="button" class="button" onClick={close}>
          {words.cancel}
        </button>
      </p>
    </form>
  );
}

/** Opens the editor. */
export function EditGoals() {
  return (
    <button type="button" class="button" onClick={() => void edit()}>
      {say.value.editGoals}
    </button>
  );
}

/** Why the server refused what only an administrator may do, and a field for the token that it wants. */
export function AdminRefusal({ failure }: { failure: Failure }) {
  const words = say.value;
  if (failure.code !== "UNAUTHORIZED" && failure.code !== "FORBIDDEN") {
    return (
      <p class="goals-refused" role="alert">
        {failure.kind === "refused" ? refusalText(failure) : words.failed[failure.kind]}
      </p>
    );
  }
  return (
    <div class="goals-refused">
      <p role="alert">{words.adminNeeded}</p>
      <label>
        {words.adminToken}
        <input
          type="password"
          autocomplete="off"
          value={adminToken.value ?? ""}
          onInput={({ currentTarget }) => {
            adminToken.value = currentTarget.value.trim() || null;
          }}
        />
      </label>
      <p class="note">
        {words.adminHint} {words.tokenKept}
      </p>
    </div>
  );
}
