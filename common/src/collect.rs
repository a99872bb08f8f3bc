//! The write path: each event is parsed, filtered, given a visitor and an id, appended,
//! and accounted for.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use tracing::Instrument;

use crate::App;
use crate::bots::is_bot;
use crate::config::IdentityMode;
use crate::event::{Event, SentEvent};
use crate::measure::facts::Facts;
use crate::outcome::{Code, Filter, Outcome, Refusal};
use crate::site::Site;
use crate::store::Appended;
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
    let count = sent.len();
    let task = {
        let app = app.clone();
        async move {
            let outcomes = settle(&app, &sender, sent, now).await;
            outcomes.iter().for_each(|outcome| app.metrics.settle(outcome));
            outcomes
        }
    };
    // What it logs belongs to the invocation, where there is one.
    let task = tokio::spawn(task.in_current_span());
    match task.await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            tracing::error!(error = %error, "collecting events failed");
            let outcomes = vec![Outcome::Failed; count];
            outcomes.iter().for_each(|outcome| app.metrics.settle(outcome));
            outcomes
        }
    }
}

async fn settle(app: &App, sender: &Sender, sent: Vec<Result<SentEvent, Refusal>>, now: Timestamp) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(sent.len());
    let mut events = Vec::with_capacity(sent.len());
    for event in sent {
        match admit(app, sender, event, now).await {
            Ok(event) => {
                outcomes.push(Outcome::Stored(event.id));
                events.push(event);
            }
            Err(outcome) => outcomes.push(outcome),
        }
    }
    if events.is_empty() {
        return outcomes;
    }
    let appended = match app.store.append(events.clone(), now).await {
        Ok(appended) => appended,
        Err(error) => {
            tracing::error!(error = error_text(&error), events = events.len(), "events could not be stored");
            for outcome in &mut outcomes {
                if let Outcome::Stored(_) = outcome {
                    *outcome = Outcome::Failed;
                }
            }
            return outcomes;
        }
    };
    let mut results = events.iter().zip(appended);
    for outcome in &mut outcomes {
        if let Outcome::Stored(id) = *outcome {
            match results.next() {
                Some((event, Appended::Stored { new_visitor })) => app.metrics.stored(event, new_visitor),
                Some((_, Appended::Duplicate)) => *outcome = Outcome::Duplicate(id),
                Some((_, Appended::TooManySites)) => *outcome = Outcome::Rejected(too_many_sites()),
                None => *outcome = Outcome::Failed,
            }
        }
    }
    outcomes
}

/// Cheap checks first: what is wrong, what is unwanted, who it is.
async fn admit(app: &App, sender: &Sender, sent: Result<SentEvent, Refusal>, now: Timestamp) -> Result<Event, Outcome> {
    let sent = sent.map_err(Outcome::Rejected)?;
    allowed_site(app, &sent.site).map_err(Outcome::Rejected)?;
    if let Some(filter) = unwanted(app, sender) {
        return Err(Outcome::Filtered(filter));
    }
    let created_at = sent.timestamp.unwrap_or(now);
    let view = sent.view_id.filter(|view| view.is_fresh(created_at));
    // Both reports of a view have one time, so that they are of one visitor at midnight too.
    let created_at = view.map_or(created_at, |view| view.requested_at().min(created_at));
    let visitor = match sent.visitor {
        Some(named) => named,
        None => visitor(app, sender, &sent.site, created_at, now).await?,
    };
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
        facts: Facts::default(),
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
/// The outcome of the event when no visitor can be told, or it is a bot.
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

/// Whether events and questions may name this site.
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
