//! Automatic page views: a tower layer that any axum site can put around its routes.
//!
//! It tracks a `page_view` for every answered request that
//! - is a GET of a page: the path is not under `/api`, `/ws`, `/health`, `/metrics` or
//!   `/dashboard`, is none of those passed over by [`PageViews::passing_over`], and does not
//!   end like an asset (`.css`, `.png`, …);
//! - is a visit, by the browser itself, or by htmx or Turbo, which fetch whole pages: not what is
//!   fetched ahead or for a preview (`Sec-Purpose` and its kin), in part (`Range`), or by a script
//!   for a part of a page (`Sec-Fetch-Dest`, `HX-Request`, `Turbo-Frame`);
//! - succeeded with HTML, or with 304 because the browser has the HTML.
//!
//! The tracker in the page reports the same views, unless something blocks it. Each is counted
//! once: the layer names the view in the answer, in the header `Server-Timing`, which the tracker
//! can read and repeats ([`common::view_id`]); and for a visit by htmx or Turbo the layer waits
//! some seconds for the tracker's report, and counts the visit only when none comes.
//!
//! Who the visitor is, and whether a bot or an opt-out is filtered, is decided by
//! [`common::collect`], as for any event. That happens after the answer is on its way, so
//! that no page waits for it; [`PageViews::drain`] waits for what is under way.
//!
//! ```
//! # fn site(app: common::App) -> axum::Router {
//! use axum::response::Html;
//! use axum::routing::get;
//! use local_runtime::PageViews;
//!
//! axum::Router::new().route("/", get(|| async { Html("<h1>CV</h1>") })).layer(PageViews::new(app))
//! # }
//! ```

mod eligible;
mod reported;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::FromRequestParts;
use common::App;
use common::collect::{Sender, allowed_site, collect, visitor};
use common::event::SentEvent;
use common::event_type::EventType;
use common::http::Budget;
use common::measure::facts::has_click_id;
use common::outcome::Outcome;
use common::site::Site;
use common::time::Timestamp;
use common::url::Url;
use common::view_id::ViewId;
use futures_util::future::{BoxFuture, Either};
use http::request::Parts as Head;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;
use tower::{Layer, Service};

/// How many page views may be on their way to the store; beyond that they are counted as
/// failed and given up, so that a store that hangs cannot fill the memory.
const MOST_UNDER_WAY: usize = 1_024;

/// The most bytes of a host that are looked at: those of a name and a port.
const LONGEST_HOST: usize = 260;

use self::eligible::Navigation;
pub(crate) use self::eligible::is_of_the_product;
use self::reported::{Feed, is_reported};

/// The header in which answers name the view, and the name of the entry.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const ENTRY: &str = "maicivy";

/// The layer; clones share everything.
#[derive(Debug, Clone)]
pub struct PageViews(Arc<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    app: App,
    site: Site,
    passed_over: Vec<String>,
    under_way: TaskTracker,
    room: Arc<Semaphore>,
    /// Whether nothing is to be waited for any more.
    draining: watch::Sender<bool>,
}

impl PageViews {
    /// Counts for the default site, or for the first of the configured ones where they do not
    /// include it.
    #[must_use]
    pub fn new(app: App) -> Self {
        let first = || app.config.sites.as_ref().and_then(|sites| sites.first()).cloned();
        let site = Site::default();
        let site = if allowed_site(&app, &site).is_ok() { site } else { first().unwrap_or(site) };
        Self(Arc::new(Parts {
            app,
            site,
            passed_over: Vec::new(),
            under_way: TaskTracker::new(),
            room: Arc::new(Semaphore::new(MOST_UNDER_WAY)),
            draining: watch::Sender::new(false),
        }))
    }

    /// Counts for this site.
    #[must_use]
    pub fn for_site(self, site: Site) -> Self {
        Self(Arc::new(Parts { site, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// Does not count exactly these paths.
    #[must_use]
    pub fn passing_over(self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let passed_over = paths.into_iter().map(Into::into).collect();
        Self(Arc::new(Parts { passed_over, ..Arc::unwrap_or_clone(self.0) }))
    }

    /// Waits until everything tracked so far is stored, or given up. Reports of the tracker that
    /// have not come yet are not waited for.
    pub async fn drain(&self) {
        self.0.under_way.close();
        self.0.draining.send_replace(true);
        self.0.under_way.wait().await;
        self.0.draining.send_replace(false);
        self.0.under_way.reopen();
    }

    fn wants<B>(&self, request: &Request<B>) -> Option<Navigation> {
        let is_passed_over = self.0.passed_over.iter().any(|path| path == request.uri().path());
        eligible::request(request).filter(|_| !is_passed_over)
    }

    /// What the request tells, taken before the site answers it.
    async fn sight(&self, head: &mut Head) -> (Sender, SentEvent) {
        let Ok::<_, Infallible>(mut sender) = Sender::from_request_parts(head, &self.0.app).await;
        // The page belongs to the host that it is asked of.
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        sender.headers.origin = host.or(head.uri.host()).filter(|host| host.len() <= LONGEST_HOST).map(Into::into);
        let mut view = SentEvent::new(self.0.site.clone(), EventType::PageView);
        view.page_url = head.uri.path_and_query().map(|page| Url::new(page.as_str()));
        view.ad_click = head.uri.path_and_query().is_some_and(|page| has_click_id(page.as_str()));
        let referrer = head.headers.get(header::REFERER).map(|value| String::from_utf8_lossy(value.as_bytes()));
        view.referrer = referrer.filter(|referrer| !referrer.is_empty()).map(|referrer| Url::new(&referrer));
        (sender, view)
    }

    /// Names the view in the headers of its answer, for the tracker.
    fn name(&self, view: &mut SentEvent, now: Timestamp, headers: &mut HeaderMap) {
        let id = ViewId::new(now, self.0.app.source.event_id(now));
        if let Ok(entry) = HeaderValue::try_from(format!("{ENTRY};desc=\"{id}\"")) {
            headers.append(SERVER_TIMING, entry);
            view.view_id = Some(id);
        }
    }

    /// Sends the view on its way and returns at once. With a feed, it is left out if the tracker
    /// reports it. A view beyond its sender's budget is rejected.
    fn track(&self, sender: Sender, view: SentEvent, now: Timestamp, feed: Option<Feed>, budget: Option<Budget>) {
        let app = self.0.app.clone();
        let Ok(place) = Arc::clone(&self.0.room).try_acquire_owned() else {
            app.metrics.receive(1);
            app.metrics.settle(&Outcome::Failed);
            return;
        };
        let mut draining = self.0.draining.subscribe();
        self.0.under_way.spawn(async move {
            let is_reported = match (feed, visitor(&app, &sender, &view.site, now, now).await) {
                (Some(mut feed), Ok(visitor)) => {
                    let stop = async { draining.wait_for(|draining| *draining).await.map(drop).unwrap_or_default() };
                    is_reported(&app, &mut feed, &view, visitor, now, stop).await
                }
                _ => false,
            };
            let charged = match budget {
                Some(Budget(charge)) if !is_reported => {
                    let charged = charge(1).await.is_ok();
                    if !charged {
                        app.metrics.limit(1);
                    }
                    charged
                }
                _ => !is_reported,
            };
            if charged {
                collect(&app, sender, vec![Ok(view)], now).await;
            }
            drop(place);
        });
    }
}

impl<S> Layer<S> for PageViews {
    type Service = Tracked<S>;

    fn layer(&self, site: S) -> Tracked<S> {
        Tracked { site, views: self.clone() }
    }
}

/// A site whose page views are tracked.
#[derive(Debug, Clone)]
pub struct Tracked<S> {
    site: S,
    views: PageViews,
}

impl<S, B, R> Service<Request<B>> for Tracked<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<R>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.site.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(navigation) = self.views.wants(&request) else {
            return Either::Left(self.site.call(request));
        };
        // The service that was polled ready is the one to call; the clone may not be.
        let clone = self.site.clone();
        let mut site = std::mem::replace(&mut self.site, clone);
        let views = self.views.clone();
        Either::Right(Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let (sender, mut view) = views.sight(&mut head).await;
            let budget = head.extensions.get::<Budget>().cloned();
            let feed = (navigation == Navigation::Script).then(|| views.0.app.store.subscribe());
            let mut response = site.call(Request::from_parts(head, body)).await?;
            if eligible::response(&response) {
                // Read here: tasks need not begin in the order in which they are spawned.
                let now = views.0.app.now();
                if feed.is_none() {
                    views.name(&mut view, now, response.headers_mut());
                }
                views.track(sender, view, now, feed, budget);
            }
            Ok(response)
        }))
    }
}

#[cfg(test)]
mod tests;
