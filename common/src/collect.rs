//! The write path: each event is parsed, filtered, given a visitor and an id, appended,
//! and accounted for.

use std::error::Error;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tracing::Instrument;

use crate::App;
use crate::bots::is_bot;
use crate::config::IdentityMode;
use crate::event::{Event, SentEvent};
use crate::measure::facts::{Facts, Headers, Observed, Place};
use crate::outcome::{Code, Filter, NotStored, Outcome, Refusal};
use crate::site::Site;
use crate::store::{Appended, StoreError};
use crate::time::Timestamp;
use crate::visitor::VisitorId;

/// Who sent a request, as far as the request tells. Lives no longer than the request.
#[derive(Clone, Default)]
pub struct Sender {
    /// The client's address, never that of a trusted proxy.
    pub address: Option<IpAddr>,
    /// The user agent, cut to a sane length.
    pub user_agent: Option<Arc<str>>,
    /// The visitor named by `X-Visitor-Id`, or what is wrong with it.
    pub visitor: Option<Result<VisitorId, Refusal>>,
    /// The visitor of the cookie `maicivy_session`.
    pub session: Option<VisitorId>,
    /// Whether it asks not to be tracked.
    pub opt_out: bool,
    /// Whether it is a page of an origin that is not allowed.
    pub foreign_origin: bool,
    /// What its headers tell of the browser and the place.
    pub headers: Headers,
}

/// Never shows the address or the user agent.
impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("opt_out", &self.opt_out).finish_non_exhaustive()
    }
}

/// Takes the events of one request and says what became of each, in their order. Every
/// event is counted as received, and then by its outcome, even if the client goes away.
pub async fn collect(app: &App, sender: Sender, sent: Vec<Result<SentEvent, Refusal>>, now: Timestamp) -> Vec<Outcome> {
    app.metrics.receive(sent.len());
    let app = app.clone();
    let collected = async move {
        let count = sent.len();
        let settled = AssertUnwindSafe(settle(&app, &sender, sent, now)).catch_unwind().await;
        let outcomes = settled.unwrap_or_else(|_| {
            tracing::error!("collecting events panicked");
            vec![Outcome::Failed; count]
        });
        outcomes.iter().for_each(|outcome| app.metrics.settle(outcome));
        outcomes
    };
    // What it logs belongs to the invocation, where there is one, also if it goes on without it.
    ToTheEnd(Some(Box::pin(collected.in_current_span()))).await
}

/// A future that goes on in a task of its own when it is dropped before its end.
struct ToTheEnd<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send> Future for ToTheEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T: Send> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        // Without a runtime the process is about to end.
        if let (Some(rest), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(rest);
        }
    }
}

async fn settle(app: &App, sender: &Sender, sent: Vec<Result<SentEvent, Refusal>>, now: Timestamp) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(sent.len());
    let mut events = Vec::with_capacity(sent.len());
    let place = app.place(sender.address);
    for event in sent {
        let site = match &event {
            Ok(event) => Some(event.site.clone()),
            Err(refusal) => refusal.site.clone(),
        };
        match admit(app, sender, place.as_ref(), event, now).await {
            Ok(event) => {
                outcomes.push(Outcome::Stored(event.id));
                events.push(event);
            }
            Err(outcome) => {
                // A site that is not listed has no counters, whatever else is wrong with the event.
                if let (Some(site), Some(reason)) = (site, outcome.not_stored())
                    && allowed_site(app, &site).is_ok()
                {
                    app.not_stored.add(&site, reason, now);
                }
                outcomes.push(outcome);
            }
        }
    }
    if events.is_empty() {
        return outcomes;
    }
    let appended = match app.append(&events, now).await {
        Ok(appended) => appended,
        Err(StoreError::Full { .. }) => {
            // Logged once, when the limit is reached.
            let full = NotStored::Rejected(Code::StoreFull);
            events.iter().for_each(|event| app.not_stored.add(&event.site, full, now));
            for outcome in &mut outcomes {
                if let Outcome::Stored(_) = outcome {
                    *outcome = Outcome::Rejected(store_full());
                }
            }
            return outcomes;
        }
        Err(error) => {
            tracing::error!(error = error_text(&error), events = events.len(), "events could not be stored");
            events.iter().for_each(|event| app.not_stored.add(&event.site, NotStored::Failed, now));
            for outcome in &mut outcomes {
                if let Outcome::Stored(_) = outcome {
                    *outcome = Outcome::Failed;
                }
            }
            return outcomes;
        }
    };
    if appended.contains(&Appended::Stored) {
        app.metrics.last_commit_timestamp_seconds.set(now.seconds());
    }
    let mut results = events.iter().zip(appended);
    for outcome in &mut outcomes {
        if let Outcome::Stored(id) = *outcome {
            match results.next() {
                Some((event, Appended::Stored)) => app.metrics.stored(event, now),
                Some((event, Appended::Duplicate)) => {
                    app.not_stored.add(&event.site, NotStored::Duplicate, now);
                    *outcome = Outcome::Duplicate(id);
                }
                Some((_, Appended::TooManySites)) => *outcome = Outcome::Rejected(too_many_sites()),
                None => *outcome = Outcome::Failed,
            }
        }
    }
    outcomes
}

/// Cheap checks first: what is wrong, what is unwanted, who it is.
async fn admit(
    app: &App,
    sender: &Sender,
    place: Option<&Place>,
    sent: Result<SentEvent, Refusal>,
    now: Timestamp,
) -> Result<Event, Outcome> {
    let sent = sent.map_err(Outcome::Rejected)?;
    allowed_site(app, &sent.site).map_err(Outcome::Rejected)?;
    if let Some(filter) = unwanted(app, sender) {
        return Err(Outcome::Filtered(filter));
    }
    let created_at = sent.timestamp.unwrap_or(now);
    let explicit = sent.visitor.is_some() || sender.visitor.is_some() || sender.session.is_some();
    let view = sent.view_id.filter(|view| view.is_fresh(created_at));
    // Both reports of a view have one time, so that they are of one visitor at midnight too.
    let created_at = view.map_or(created_at, |view| view.requested_at().min(created_at));
    let visitor = match sent.visitor {
        Some(named) => named,
        None => visitor(app, sender, &sent.site, created_at, now).await?,
    };
    let facts = Facts::derive(&Observed {
        user_agent: sender.user_agent.as_deref().unwrap_or_default(),
        headers: &sender.headers,
        context: &sent.context,
        place,
        explicit,
        page_url: sent.page_url.as_ref(),
        referrer: sent.referrer.as_ref(),
        ad_click: sent.ad_click,
        site: sent.site.as_str(),
        origins: &app.config.allowed_origins,
    });
    Ok(Event {
        id: match view {
            Some(view) => view.event_id(visitor),
            None => sent.id.unwrap_or_else(|| app.source.event_id(now)),
        },
        site: sent.site,
        visitor,
        event_type: sent.event_type,
        data: sent.data,
        page_url: sent.page_url,
        referrer: sent.referrer,
        created_at,
        facts,
    })
}

/// Why nothing that this sender sends is stored, if that is so.
fn unwanted(app: &App, sender: &Sender) -> Option<Filter> {
    let is_ignored = |address: IpAddr| app.config.ignored.iter().any(|network| network.contains(&address));
    if sender.foreign_origin {
        Some(Filter::Origin)
    } else if sender.address.is_some_and(is_ignored) {
        Some(Filter::Ignored)
    } else {
        (sender.opt_out && app.config.honor_opt_out).then_some(Filter::OptOut)
    }
}

/// Who sends an event of this time that names no visitor.
///
/// # Errors
/// The outcome of the event when no visitor can be determined, or it is a bot.
pub async fn visitor(
    app: &App,
    sender: &Sender,
    site: &Site,
    created_at: Timestamp,
    now: Timestamp,
) -> Result<VisitorId, Outcome> {
    if let Some(named) = &sender.visitor {
        return named.clone().map_err(Outcome::Rejected);
    }
    if sender.user_agent.as_deref().is_some_and(is_bot) {
        return Err(Outcome::Filtered(Filter::Bot));
    }
    if let Some(session) = sender.session {
        return Ok(session);
    }
    match (app.config.identity, sender.address, sender.user_agent.as_deref()) {
        (IdentityMode::Cookieless, Some(address), Some(user_agent)) => {
            let visitor = app.identity.visitor(site, address, user_agent, created_at.day(), now).await;
            visitor.map_err(|error| {
                tracing::error!(error = error_text(&error), "the salt of the day could not be had");
                Outcome::Failed
            })
        }
        _ => Err(Outcome::Rejected(Refusal::new(
            Code::MissingVisitor,
            "no visitor can be told: send visitor_id, the header X-Visitor-Id, the cookie maicivy_session, \
             or, where the site allows cookieless visitors, a User-Agent",
        ))),
    }
}

/// Whether events and questions may name this site. Requests that read ask
/// [`Params::may_read`](crate::http::Params::may_read) instead, which knows who asks.
///
/// # Errors
/// `INVALID_SITE` when the configuration lists sites and this is none of them.
pub fn allowed_site(app: &App, site: &Site) -> Result<(), Refusal> {
    match &app.config.sites {
        Some(sites) if !sites.contains(site) => {
            Err(Refusal::new(Code::InvalidSite, "site must be one of those that this service measures"))
        }
        _ => Ok(()),
    }
}

fn store_full() -> Refusal {
    Refusal::new(Code::StoreFull, "the store is full; send the same events with the same event_id again later")
}

fn too_many_sites() -> Refusal {
    Refusal::new(
        Code::InvalidSite,
        format!("site is new, and there may be at most {} sites; list yours in ANALYTICS_SITES", Site::MOST),
    )
}

/// An error and its causes in one line, for the log and for the operator. A cause that the
/// error before it repeats at its end stands there once.
#[must_use]
pub fn error_text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use axum::Router;
    use axum::extract::FromRequestParts;
    use http::Request;

    use super::*;
    use crate::http::PeerAddress;
    use crate::testing::TestApp;

    const NOW: &str = "2025-12-08T12:00:00Z";

    /// The facts of an event that a proxy at 10.0.0.1 sends on with these headers.
    async fn facts(vars: &[(&str, &str)], headers: &[(&str, &str)], event: &str) -> Facts {
        let test = TestApp::start(vars, |_| Router::new(), NOW).await;
        let mut request = Request::post("/").extension(PeerAddress([10, 0, 0, 1].into()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let Ok(sender) = Sender::from_request_parts(&mut head, &test.app).await;
        let now = test.app.now();
        admit(&test.app, &sender, None, SentEvent::parse(event, now), now).await.unwrap().facts
    }

    const HEADERS: [(&str, &str); 5] = [
        (
            "user-agent",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        ),
        ("sec-ch-ua-platform-version", "\"15.0.0\""),
        ("sec-ch-ua-platform", "\"Windows\""),
        ("accept-language", "en-GB,en;q=0.9"),
        ("cf-ipcountry", "GB"),
    ];

    const EVENT: &str = r#"{"event_type":"page_view","page_url":"https://cv.example/?gclid=1","referrer":
        "https://www.google.com/","context":{"timezone":"Europe/Paris","screen_width":1440,"language":"fr"}}"#;

    #[tokio::test]
    async fn facts_are_derived_of_request_and_event() {
        let facts = facts(&[("ANALYTICS_TRUSTED_PROXIES", "10.0.0.0/8")], &HEADERS, EVENT).await;
        assert_eq!(facts.arrival.to_stored(), "Google\tPaid Search\twww.google.com/");
        assert_eq!(facts.client.to_stored(), "GB\t\t\ten\tdesktop\tChrome\t142\tWindows\t11\tXL");
    }

    #[tokio::test]
    async fn countries_of_senders_who_are_not_trusted_do_not_count() {
        let facts = facts(&[], &HEADERS, EVENT).await;
        assert_eq!(facts.client.fields().country, "FR");
    }

    #[tokio::test]
    async fn visitors_who_are_named_are_explicit() {
        let visitor = r#"{"event_type":"a","visitor_id":"3f2504e0-4f89-41d3-9a0c-0305e82c3301"}"#;
        assert!(facts(&[], &[], visitor).await.client.fields().explicit);
        let header = ("x-visitor-id", "3f2504e0-4f89-41d3-9a0c-0305e82c3301");
        assert!(facts(&[], &[header], r#"{"event_type":"a"}"#).await.client.fields().explicit);
        let cookie = ("cookie", "maicivy_session=3f2504e0-4f89-41d3-9a0c-0305e82c3301");
        assert!(facts(&[], &[cookie], r#"{"event_type":"a"}"#).await.client.fields().explicit);
        assert!(!facts(&[], &HEADERS, r#"{"event_type":"a"}"#).await.client.fields().explicit);
    }

    #[tokio::test]
    async fn the_origin_tells_whose_page_a_path_is() {
        let event = r#"{"event_type":"a","page_url":"/b","referrer":"https://shop.example/a"}"#;
        let origin = ("origin", "https://shop.example");
        let headers = [HEADERS.as_slice(), &[origin]].concat();
        assert_eq!(facts(&[], &headers, event).await.arrival.fields().source, "Direct / None");
        assert_eq!(facts(&[], &HEADERS, event).await.arrival.fields().source, "shop.example");
    }

    #[tokio::test]
    async fn a_full_store_takes_no_events_until_some_are_deleted() {
        const LIMIT: u64 = 2 << 20;
        let limit = |config: &mut crate::config::Config| config.max_store = Some(LIMIT);
        let test = TestApp::start_with(&[], limit, |_| Router::new(), NOW).await;
        let text = "x".repeat(8_000);
        let body =
            format!(r#"{{"event_type":"a","visitor_id":"{}","event_data":{{"x":"{text}"}}}}"#, uuid::Uuid::max());
        let send = async || {
            let sent = (0..50).map(|_| SentEvent::parse(&body, test.app.now())).collect();
            // The size is asked for again.
            test.source.set(test.app.now().plus(3_000));
            collect(&test.app, Sender::default(), sent, test.app.now()).await
        };
        let mut batches = 0;
        let refused = loop {
            let outcomes = send().await;
            if outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Stored(_))) {
                break outcomes;
            }
            batches += 1;
        };
        assert!(refused.iter().all(Outcome::is_full), "{refused:?}");
        assert!((1..=5).contains(&batches), "{batches} batches of 400 KB");
        let text = test.app.metrics.text().unwrap();
        assert!(text.contains("outcomes_total{outcome=\"rejected\",reason=\"STORE_FULL\"} 50"), "{text}");

        let now = test.app.now();
        while !test.app.store.delete_before(now.plus(2 * crate::time::DAY).day(), now).await.unwrap().done {}
        let outcomes = send().await;
        assert!(matches!(outcomes[0], Outcome::Stored(_) | Outcome::Duplicate(_)), "{outcomes:?}");
    }

    #[tokio::test]
    async fn what_is_dropped_before_its_end_goes_on() {
        let (go_on, waiting) = tokio::sync::oneshot::channel();
        let (done, ended) = tokio::sync::oneshot::channel();
        let mut future = ToTheEnd(Some(Box::pin(async move {
            waiting.await.unwrap();
            done.send(7).unwrap();
        })));
        assert_eq!((&mut future).now_or_never(), None);
        drop(future);
        go_on.send(()).unwrap();
        assert_eq!(ended.await, Ok(7));
    }
}
