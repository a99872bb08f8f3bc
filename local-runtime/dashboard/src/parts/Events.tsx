/** What visitors did besides reading: every event by name, links, downloads, forms, properties, funnels, return. */

import { api } from "../api";
import { chosen, open, property, showProperty } from "../state/cards";
import { cards, eventNames, funnelQuery, funnelSteps, retention, retentionQuery } from "../state/figures";
import { events } from "../state/timeline";
import { say } from "../text";
import { metricText } from "../text/names";
import { show } from "../text/now";
import { Card } from "./Card";
import { Csv } from "./Csv";
import { Funnel } from "./Funnel";
import { EditGoals } from "./Goals";

/** A missing page is no aim, although it counts as one where a site has no goals of its own. */
const NO_AIMS = ["not_found"];

/** Page views have a card of their own, and reports are no events of interest. */
const PASSED_OVER = ["page_view", "scroll", "hover"];

export function Events() {
  const words = say.value;
  const panel = chosen("events")?.panel;
  if (panel === "funnel") {
    return (
      <Card name="events" of={null} csv={funnelSteps.value.length > 0 && <Csv of={api("query/funnel", { format: "csv" })} body={funnelQuery()} name="funnel" what={words.tabs.funnel ?? ""} small />}>
        <Funnel />
      </Card>
    );
  }
  if (panel === "retention") {
    return (
      <Card name="events" of={retention} csv={<Csv of={api("query/retention", { format: "csv" })} body={retentionQuery()} name="return" what={words.tabs.retention ?? ""} small />}>
        <Retention />
      </Card>
    );
  }
  if (open.events.value === "property") {
    return <Card name="events" of={chosen("events") ? cards.events : null} above={<PropertyForm />} />;
  }
  if (open.events.value === "goal") {
    const above = (
      <p class="funnel-actions">
        <EditGoals />
      </p>
    );
    return <Card name="events" without={NO_AIMS} above={above} />;
  }
  return <Card name="events" without={open.events.value === "event" ? PASSED_OVER : []} />;
}

/** Which property: of those that were seen in the timeline, or another one. */
function PropertyForm() {
  const words = say.value;
  const { event, key } = property.value;
  const keys = [...new Set(events.value.filter(({ type }) => event === "" || type === event).flatMap(({ data }) => Object.keys(data)))].sort();
  const names = [...new Set([...eventNames.value, ...events.value.map(({ type }) => type), event])].filter((name) => name !== "").sort();
  return (
    <form class="property" onSubmit={(submitted) => submitted.preventDefault()}>
      <label>
        <span>{words.tabs.event}</span>
        <select value={event} onChange={({ currentTarget }) => showProperty(currentTarget.value, key)}>
          <option value="">{words.allEvents}</option>
          {names.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>{words.tabs.property}</span>
        <input type="text" list="property-keys" maxLength={100} value={key} placeholder="plan" autocapitalize="none" onChange={({ currentTarget }) => showProperty(event, currentTarget.value.trim())} />
        <datalist id="property-keys">
          {keys.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      </label>
    </form>
  );
}

function Retention() {
  const words = say.value;
  const cohorts = retention.held.value.data ?? [];
  if (cohorts.length === 0) return <p class="empty">{words.noReturn}</p>;
  const weeks = Math.max(...cohorts.map(({ rates }) => rates.length));
  return (
    <>
      <p class="note">{words.returnHint}</p>
      <div class="table retention" tabIndex={0} role="region" aria-label={words.tabs.retention}>
        <table>
          <thead>
            <tr>
              <th scope="col">{words.units.week}</th>
              <th scope="col">{words.metrics.visitors}</th>
              {Array.from({ length: weeks }, (_, week) => (
                <th key={week} scope="col">
                  {words.weeksLater(week)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {cohorts.map(({ week, visitors, rates, running }) => (
              <tr key={week}>
                <th scope="row">{show.value.day(week)}</th>
                <td>{show.value.number(visitors)}</td>
                {rates.map((rate, at) => (
                  <td key={at} data-running={running && at === rates.length - 1} style={{ "--rate": `${Math.round(rate ?? 0)}%` }}>
                    {metricText("percentage", rate)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
