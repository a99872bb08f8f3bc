/** The whole page. */

import { effect, signal, useSignalEffect } from "@preact/signals";
import { address } from "../api";
import { cards, chart, eventNames, page, tiles } from "../state/figures";
import { editing } from "../state/goals";
import { feed, now } from "../state/live";
import { closed, outage } from "../state/report";
import { isEmpty, known, site } from "../state/site";
import { say } from "../text";
import { show } from "../text/now";
import { embedded, zone } from "../view/view";
import { Banner } from "./Banner";
import { Card } from "./Card";
import { Counted } from "./Counted";
import { Details } from "./Details";
import { Events } from "./Events";
import { GoalsDialog } from "./Goals";
import { Header } from "./Header";
import { Live } from "./Live";
import { PageView } from "./PageView";
import { Setup } from "./Setup";
import { ShareDialog } from "./Share";
import { SignIn } from "./SignIn";
import { Tiles } from "./Tiles";
import { Timeline } from "./Timeline";
import { Toolbar } from "./Toolbar";

export function App() {
  const words = say.value;
  useSignalEffect(() => {
    const visitors = now.value?.visitors;
    const name = site === "default" ? say.value.title : `${site} · ${say.value.title}`;
    document.title = visitors === undefined ? name : `${show.value.number(visitors)} · ${name}`;
  });
  return (
    <>
      {embedded ? <h1 class="unseen">{site === "default" ? words.title : site}</h1> : <Header />}
      <main id="main" tabIndex={-1}>
        <Banner />
        {closed.value !== null ? <SignIn /> : known.held.value.failure?.kind === "refused" ? <Refused /> : isEmpty() ? <Setup /> : <Page />}
      </main>
      {!embedded && whole.value && <Foot />}
      <Details />
      <ShareDialog />
      {editing.value && <GoalsDialog now={editing.value} />}
    </>
  );
}

function Foot() {
  const words = say.value;
  // Where there is no feed, as in the cloud, these are not there either.
  const links = feed.state.value === "absent" ? {} : { "openapi.json": words.api, metrics: words.metricsLink, health: words.health };
  return (
    <footer class="foot">
      <p>{words.zone(zone.value, show.value.zone())}</p>
      {Object.keys(links).length > 0 && (
        <nav aria-label={words.links}>
          {Object.entries(links).map(([path, name]) => (
            <a key={path} href={address(path).href}>
              {name}
            </a>
          ))}
        </nav>
      )}
    </footer>
  );
}

/** Whether what is further down is drawn, too: slow machines take long for it, so the first figures go before. */
const whole = signal(false);
const FRAME_MS = 50;
effect(() => {
  if (whole.peek()) return;
  const first = [tiles.held.value, chart.held.value];
  if (first.every(({ data }) => data !== null) || first.some(({ failure }) => failure !== null)) setTimeout(() => (whole.value = true), FRAME_MS);
});

function Page() {
  return (
    <div class={outage.value === null ? "page" : "page stale"}>
      <Toolbar />
      <Live />
      <Tiles />
      {whole.value ? <Further /> : <div class="further" />}
    </div>
  );
}

function Further() {
  const hasCv = (cards.cv.held.value.data?.total ?? 0) > 0 || eventNames.value.includes("letter_generate");
  return (
    <>
      <Counted />
      {page.value !== null && <PageView path={page.value} />}
      <div class="grid">
        <Card name="sources" />
        <Card name="pages" />
        <Card name="locations" />
        <Card name="devices" />
        <Events />
        {hasCv && <Card name="cv" />}
      </div>
      <Timeline />
    </>
  );
}

/** The server does not know this site. */
function Refused() {
  const words = say.value;
  return (
    <section class="card welcome" aria-labelledby="refused-title">
      <h2 id="refused-title">{words.unknownSite(site)}</h2>
      <p>{words.siteRule}</p>
    </section>
  );
}

