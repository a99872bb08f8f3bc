/** The whole page. */

import { useSignalEffect } from "@preact/signals";
import { current, now, retry } from "../state/figures";
import { site } from "../state/site";
import { events, newest } from "../state/timeline";
import { say } from "../text";
import { show } from "../text/now";
import { Banner } from "./Banner";
import { Figures } from "./Figures";
import { Header } from "./Header";
import { Heatmap } from "./Heatmap";
import { Icon } from "./Icon";
import { Letters } from "./Letters";
import { Now } from "./Now";
import { Periods } from "./Periods";
import { Themes } from "./Themes";
import { Timeline } from "./Timeline";
import { Welcome } from "./Welcome";

/** Nothing at all is known of the site, and the server has said so. */
function isEmpty(): boolean {
  const nothingListed = newest.held.value.data !== null && events.value.length === 0;
  return nothingListed && (["day", "month"] as const).every((period) => current[period].held.value.data?.events === 0);
}

/** The server does not want to be asked about this site, and never has answered. */
function isRefused(): boolean {
  const { data, failure } = current.day.held.value;
  return data === null && failure?.kind === "refused" && failure.wait === 0;
}

function Refused() {
  const { failure } = current.day.held.value;
  return (
    <section class="card welcome" aria-labelledby="refused-title">
      <h2 id="refused-title">{say.value.refused}</h2>
      <p>{failure?.message}</p>
      <button type="button" class="button" onClick={retry}>
        <Icon name="retry" /> {say.value.retry}
      </button>
    </section>
  );
}

export function App() {
  const words = say.value;
  useSignalEffect(() => {
    const visitors = now.held.value.data?.visitors;
    const name = site === "default" ? say.value.title : `${site} · ${say.value.title}`;
    document.title = visitors === undefined ? name : `${show.value.number(visitors)} · ${name}`;
  });
  return (
    <>
      <Header />
      <main id="main" tabIndex={-1}>
        {!isRefused() && <Banner />}
        {isRefused() ? (
          <Refused />
        ) : isEmpty() ? (
          <Welcome />
        ) : (
          <div class="page">
            <div class="page-main">
              <Now />
              <Periods />
              <Figures />
              <div class="pair">
                <Themes />
                <Letters />
              </div>
              <Heatmap />
            </div>
            <div class="page-side">
              <Timeline />
            </div>
          </div>
        )}
      </main>
      <footer class="foot">
        <p>
          {words.utc} {words.zone(show.value.zone())}
        </p>
        <nav aria-label={words.links}>
          <a href="/openapi.json">{words.api}</a>
          <a href="/metrics">{words.metrics}</a>
          <a href="/health">{words.health}</a>
        </nav>
      </footer>
    </>
  );
}
