//! The rate limit: a token bucket for each client address.
//!
//! | what is asked | bucket | cost |
//! |---|---|---|
//! | POST `/event` | events, `ANALYTICS_RATE_LIMIT` a minute | 1 |
//! | POST `/events`, and `ANALYTICS_COLLECT_PATH` | events | 1 before the body is read, so that junk is not free; the batch then costs its size |
//! | POST `/query` | questions, `ANALYTICS_READ_LIMIT` a minute | 1; an array then costs its size |
//! | everything else of the API | questions | 1 |
//! | a page whose view is counted ([`PageViews`](crate::PageViews)) | events | 1; the page is served all the same |
//! | all other paths | none | 0 |
//!
//! A full bucket holds a minute's worth. A batch that is larger than a full bucket needs, and
//! takes, a full one: it could never be sent otherwise.
//!
//! Where the store has buckets that all processes share, those count; while it cannot tell, and
//! with other stores, the process has its own.

mod bucket;

use std::future::{Ready, ready};
use std::mem;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use common::App;
use common::http::{ApiError, BASE_PATH, Budget, Charge, Ingest, Network};
use common::store::{Bucket, SharedLimits};
use futures_util::future::{BoxFuture, Either};
use http::Method;
use tokio_util::sync::CancellationToken;
use tower::Service;

use self::bucket::Buckets;
use crate::address::AddressKeys;

/// How often addresses are forgotten whose buckets are full again.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// The buckets of all addresses.
#[derive(Debug)]
pub(crate) struct Limits {
    app: App,
    shared: Option<Arc<dyn SharedLimits>>,
    keys: AddressKeys,
    events: Buckets,
    reads: Buckets,
}

/// Which bucket a request draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Event,
    Batch,
    Queries,
    Read,
}

impl Kind {
    fn of(method: &Method, path: &str, collect_path: &str) -> Option<Self> {
        match Ingest::at(path, collect_path) {
            Some(Ingest::Event) if method == Method::POST => Some(Self::Event),
            Some(Ingest::Batch) if method == Method::POST => Some(Self::Batch),
            taken => match path.strip_prefix(BASE_PATH) {
                Some("/query") if method == Method::POST => Some(Self::Queries),
                below => (taken.is_some() || below.is_some()).then_some(Self::Read),
            },
        }
    }

    /// As the metric's label says it.
    const fn label(self) -> &'static str {
        match self {
            Self::Event | Self::Batch => "events",
            Self::Queries | Self::Read => "reads",
        }
    }
}

impl Limits {
    /// Full buckets, as large as the configuration says.
    pub(crate) fn new(app: &App) -> Self {
        let a_minute = |limit| NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN);
        Self {
            app: app.clone(),
            shared: app.store.limits(),
            keys: AddressKeys::default(),
            events: Buckets::new(a_minute(app.config.rate_limit)),
            reads: Buckets::new(a_minute(app.config.read_limit)),
        }
    }

    /// Forgets addresses that have been quiet, until told to stop.
    pub(crate) async fn forget(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(FORGET_EVERY)).await.is_some() {
            self.events.forget();
            self.reads.forget();
        }
    }

    fn buckets(&self, kind: Kind) -> &Buckets {
        match kind {
            Kind::Event | Kind::Batch => &self.events,
            Kind::Queries | Kind::Read => &self.reads,
        }
    }

    /// Charges the process's own bucket.
    fn charge_own(&self, kind: Kind, network: Network, tokens: u32) -> Result<(), u64> {
        self.counted(kind, self.buckets(kind).charge(self.keys.key(network), tokens))
    }

    /// Charges the bucket that all processes share, or the own one if nobody can tell.
    async fn charge_shared(
        &self,
        shared: &dyn SharedLimits,
        kind: Kind,
        network: Network,
        tokens: u32,
    ) -> Result<(), u64> {
        let charged = match self.app.identity.bucket_key(network.as_bytes(), self.app.now()).await {
            Ok(key) => shared.charge(self.bucket(kind, key), tokens).await,
            // Without the day's salt there is no key; the request itself will say why.
            Err(_) => None,
        };
        match charged {
            Some(charged) => self.counted(kind, charged),
            None => self.charge_own(kind, network, tokens),
        }
    }

    /// Charges the shared bucket, if that can be done without waiting; answers whether it was.
    fn charge_at_once(&self, shared: &dyn SharedLimits, kind: Kind, network: Network) -> bool {
        let key = self.app.identity.known_bucket_key(network.as_bytes(), self.app.now());
        key.is_some_and(|key| shared.charge_at_once(self.bucket(kind, key), 1))
    }

    fn bucket(&self, kind: Kind, key: u128) -> Bucket {
        Bucket { name: kind.label(), key, most: self.buckets(kind).most() }
    }

    fn counted(&self, kind: Kind, charged: Result<(), u64>) -> Result<(), u64> {
        charged.inspect_err(|_| {
            self.app.metrics.rate_limited_requests_total.with_label_values(&[kind.label()]).inc();
        })
    }

    /// What the handlers of `/events` and `/query` charge when they have counted the batch. One event or
    /// query is paid for already, so that at most a full bucket less one is asked for.
    fn budget(self: &Arc<Self>, kind: Kind, network: Network) -> Budget {
        let limits = Arc::clone(self);
        Budget(Arc::new(move |more| -> Charge {
            let limits = Arc::clone(&limits);
            Box::pin(async move {
                let more = more.min(limits.buckets(kind).most() - 1);
                match &limits.shared {
                    Some(shared) => limits.charge_shared(&**shared, kind, network, more).await,
                    None => limits.charge_own(kind, network, more),
                }
            })
        }))
    }
}

/// Turns away a request whose body was not read: one event, if it would have been any.
fn refused(app: &App, kind: Kind, retry_after: u64) -> Response {
    if matches!(kind, Kind::Event | Kind::Batch) {
        app.metrics.limit(1);
    }
    ApiError::RateLimited { retry_after }.into_response()
}

/// The layer: turns a request away when its sender's bucket is empty.
#[derive(Debug, Clone)]
pub(crate) struct Limited<S> {
    pub(crate) inner: S,
    pub(crate) limits: Arc<Limits>,
}

impl<S> Service<Request> for Limited<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = S::Error;
    /// Only where others have to be asked does a request pay for a future of its own.
    type Future =
        Either<Either<S::Future, Ready<Result<Response, S::Error>>>, BoxFuture<'static, Result<Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let kind = Kind::of(request.method(), request.uri().path(), &self.limits.app.config.collect_path);
        let network = Network::of_client(request.extensions(), request.headers(), &self.limits.app.config);
        // What costs more than one is counted later; pages may turn out to be views.
        if let Some(later) = kind.or(Some(Kind::Batch)).filter(|kind| matches!(kind, Kind::Batch | Kind::Queries)) {
            request.extensions_mut().insert(self.limits.budget(later, network));
        }
        let Some(kind) = kind else { return Either::Left(Either::Left(self.inner.call(request))) };
        let Some(shared) = self.limits.shared.clone() else {
            return Either::Left(match self.limits.charge_own(kind, network, 1) {
                Ok(()) => Either::Left(self.inner.call(request)),
                Err(retry_after) => Either::Right(ready(Ok(refused(&self.limits.app, kind, retry_after)))),
            });
        };
        if self.limits.charge_at_once(&*shared, kind, network) {
            return Either::Left(Either::Left(self.inner.call(request)));
        }
        // The one that is ready is the one to call; its clone is made ready for the next.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let limits = Arc::clone(&self.limits);
        Either::Right(Box::pin(async move {
            match limits.charge_shared(&*shared, kind, network, 1).await {
                Ok(()) => inner.call(request).await,
                Err(retry_after) => Ok(refused(&limits.app, kind, retry_after)),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_their_buckets() {
        let kind = |method, path: &str| Kind::of(&method, path, "/m/n");
        assert_eq!(kind(Method::POST, "/api/v1/analytics/event"), Some(Kind::Event));
        assert_eq!(kind(Method::POST, "/api/v1/analytics/events"), Some(Kind::Batch));
        assert_eq!(kind(Method::POST, "/m/n"), Some(Kind::Batch));
        assert_eq!(kind(Method::POST, "/m/n/event"), Some(Kind::Event));
        assert_eq!(kind(Method::POST, "/m/n/events"), Some(Kind::Batch));
        assert_eq!(kind(Method::GET, "/api/v1/analytics/event"), Some(Kind::Read));
        assert_eq!(kind(Method::GET, "/api/v1/analytics/stats"), Some(Kind::Read));
        assert_eq!(kind(Method::POST, "/api/v1/analytics/cleanup"), Some(Kind::Read));
        assert_eq!(kind(Method::POST, "/api/v1/analytics/query"), Some(Kind::Queries));
        assert_eq!(kind(Method::GET, "/api/v1/analytics/query"), Some(Kind::Read));
        assert_eq!(kind(Method::POST, "/api/v1/analytics/query/funnel"), Some(Kind::Read));
        for free in ["/", "/health", "/metrics", "/ws/analytics", "/script.js"] {
            assert_eq!(kind(Method::GET, free), None, "{free}");
        }
    }
}
