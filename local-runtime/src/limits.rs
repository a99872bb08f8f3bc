//! The rate limit: a token bucket for each client address.
//!
//! | what is asked | bucket | cost |
//! |---|---|---|
//! | POST `/event` | events, `ANALYTICS_RATE_LIMIT` a minute | 1 before the body is read, so that junk is not free; then 1 for each further 2 KiB that are begun |
//! | POST `/events`, and `ANALYTICS_COLLECT_PATH` | events | 1 before the body is read; the batch then costs what its events cost |
//! | `/query/funnel`, `/query/retention`, `/heatmap` | questions, `ANALYTICS_READ_LIMIT` a minute | 5 |
//! | `/query`, `/themes`, `/timeline`, `/sites`, `/outcomes`, `/export/…`, Plausible's paths | questions | 2; an array of queries 2 for each |
//! | everything else of the API | questions | 1 |
//! | a page whose view is counted ([`PageViews`](crate::PageViews)) | events | 1; the page is served all the same |
//! | `/health` and what is below it, `/metrics` | probes, ten times `ANALYTICS_READ_LIMIT` a minute | 1 |
//! | `/openapi.json`, and what is answered with 401 or 404 | questions | 1 |
//! | all other paths | none | 0 |
//!
//! A full bucket holds a minute's worth. A batch that is larger than a full bucket needs, and
//! takes, a full one: it could never be sent otherwise.
//!
//! The networks of one IPv6 /48 share sixteen times as much, in each process by itself, because one
//! customer of a provider may have all of them.
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
use http::{Method, StatusCode};
use tokio_util::sync::CancellationToken;
use tower::Service;

use self::bucket::Buckets;
use crate::address::AddressKeys;

/// How often addresses are forgotten whose buckets are full again.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// How many probes there may be for each question: they are cheap, and a proxy's address may stand
/// for all clients.
const PROBES: u32 = 10;

/// The buckets of all addresses.
#[derive(Debug)]
pub(crate) struct Limits {
    app: App,
    shared: Option<Arc<dyn SharedLimits>>,
    keys: AddressKeys,
    events: Both,
    reads: Both,
    probes: Both,
}

/// The buckets of networks, and those of the IPv6 /48s that networks are part of.
#[derive(Debug)]
struct Both {
    networks: Buckets,
    wider: Buckets,
}

impl Both {
    fn new(a_minute: u32) -> Self {
        let most = |limit| Buckets::new(NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN));
        Self { networks: most(a_minute), wider: most(a_minute.saturating_mul(Network::WIDER.into())) }
    }

    fn forget(&self) {
        self.networks.forget();
        self.wider.forget();
    }
}

/// Which bucket a request draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Event,
    Batch,
    Queries,
    /// With its cost: what is read event by event, or from columns, costs more than totals.
    Read(u32),
    Probe,
}

/// What a query costs.
const QUERY: u32 = 2;

impl Kind {
    fn of(method: &Method, path: &str, collect_path: &str) -> Option<Self> {
        match Ingest::at(path, collect_path) {
            Some(Ingest::Event) if method == Method::POST => Some(Self::Event),
            Some(Ingest::Batch) if method == Method::POST => Some(Self::Batch),
            taken => match path.strip_prefix(BASE_PATH) {
                Some("/query") if method == Method::POST => Some(Self::Queries),
                Some("/query/funnel" | "/query/retention" | "/heatmap") => Some(Self::Read(5)),
                Some("/query" | "/themes" | "/timeline" | "/sites" | "/outcomes") => Some(Self::Read(QUERY)),
                Some(below) if below.starts_with("/export/") => Some(Self::Read(QUERY)),
                Some(_) => Some(Self::READ),
                None if path == "/metrics" || path.starts_with("/health") => Some(Self::Probe),
                None if path.starts_with("/api/") => Some(Self::Read(QUERY)),
                None => (taken.is_some() || path == "/openapi.json").then_some(Self::READ),
            },
        }
    }

    /// A question that costs one token.
    const READ: Self = Self::Read(1);

    /// What is charged before the request is looked at.
    const fn cost(self) -> u32 {
        match self {
            Self::Event | Self::Batch | Self::Probe => 1,
            Self::Queries => QUERY,
            Self::Read(cost) => cost,
        }
    }

    /// As the metric's label says it.
    const fn label(self) -> &'static str {
        match self {
            Self::Event | Self::Batch => "events",
            Self::Queries | Self::Read(_) => "reads",
            Self::Probe => "probes",
        }
    }
}

impl Limits {
    /// Full buckets, as large as the configuration says.
    pub(crate) fn new(app: &App) -> Self {
        Self {
            app: app.clone(),
            shared: app.store.limits(),
            keys: AddressKeys::default(),
            events: Both::new(app.config.rate_limit),
            reads: Both::new(app.config.read_limit),
            probes: Both::new(app.config.read_limit.saturating_mul(PROBES)),
        }
    }

    /// Forgets addresses that have been quiet, until `stop` is cancelled.
    pub(crate) async fn forget(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(FORGET_EVERY)).await.is_some() {
            self.events.forget();
            self.reads.forget();
            self.probes.forget();
        }
    }

    fn buckets(&self, kind: Kind) -> &Both {
        match kind {
            Kind::Event | Kind::Batch => &self.events,
            Kind::Queries | Kind::Read(_) => &self.reads,
            Kind::Probe => &self.probes,
        }
    }

    /// How many tokens a network's full bucket holds.
    fn most(&self, kind: Kind) -> u32 {
        self.buckets(kind).networks.most()
    }

    /// Charges the process's own buckets: first the network's, so that one that has nothing left takes
    /// nothing from its neighbours.
    fn charge_own(&self, kind: Kind, network: Network, tokens: u32) -> Result<(), u64> {
        self.counted(kind, self.buckets(kind).networks.charge(self.keys.key(network), tokens))?;
        self.charge_wider(kind, network, tokens)
    }

    /// Charges the bucket of the /48 that a network is part of.
    fn charge_wider(&self, kind: Kind, network: Network, tokens: u32) -> Result<(), u64> {
        let Some(wider) = network.wider() else { return Ok(()) };
        self.counted(kind, self.buckets(kind).wider.charge(self.keys.key(wider), tokens))
    }

    /// Charges the bucket that all processes share, or this process's own if that cannot be reached.
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
            Some(charged) => {
                self.counted(kind, charged)?;
                self.charge_wider(kind, network, tokens)
            }
            None => self.charge_own(kind, network, tokens),
        }
    }

    /// Charges the shared bucket, if that can be done without waiting; answers whether it was.
    fn charge_at_once(&self, shared: &dyn SharedLimits, kind: Kind, network: Network) -> bool {
        let key = self.app.identity.known_bucket_key(network.as_bytes(), self.app.now());
        key.is_some_and(|key| shared.charge_at_once(self.bucket(kind, key), kind.cost()))
    }

    fn bucket(&self, kind: Kind, key: u128) -> Bucket {
        Bucket { name: kind.label(), key, most: self.most(kind) }
    }

    fn counted(&self, kind: Kind, charged: Result<(), u64>) -> Result<(), u64> {
        charged.inspect_err(|_| {
            self.app.metrics.rate_limited_requests_total.with_label_values(&[kind.label()]).inc();
        })
    }

    /// What the handlers of events and `/query` charge when they have read the body. One event or query
    /// is paid for already, so that at most a full bucket less one is asked for.
    fn budget(self: &Arc<Self>, kind: Kind, network: Network) -> Budget {
        let limits = Arc::clone(self);
        Budget(Arc::new(move |more| -> Charge {
            let limits = Arc::clone(&limits);
            Box::pin(async move {
                let more = match kind {
                    Kind::Queries => more.saturating_mul(QUERY),
                    _ => more,
                };
                let more = more.min(limits.most(kind).saturating_sub(kind.cost()));
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
    S::Future: Send + 'static,
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
        if let Some(later) =
            kind.or(Some(Kind::Batch)).filter(|kind| matches!(kind, Kind::Event | Kind::Batch | Kind::Queries))
        {
            request.extensions_mut().insert(self.limits.budget(later, network));
        }
        let Some(kind) = kind else {
            let (served, limits) = (self.inner.call(request), Arc::clone(&self.limits));
            return Either::Right(Box::pin(async move {
                let response = served.await?;
                if ![StatusCode::NOT_FOUND, StatusCode::UNAUTHORIZED].contains(&response.status()) {
                    return Ok(response);
                }
                let charged = limits.charge_own(Kind::READ, network, 1);
                Ok(charged.map_or_else(|wait| refused(&limits.app, Kind::READ, wait), |()| response))
            }));
        };
        let Some(shared) = self.limits.shared.clone() else {
            return Either::Left(match self.limits.charge_own(kind, network, kind.cost()) {
                Ok(()) => Either::Left(self.inner.call(request)),
                Err(retry_after) => Either::Right(ready(Ok(refused(&self.limits.app, kind, retry_after)))),
            });
        };
        if self.limits.charge_at_once(&*shared, kind, network) {
            return Either::Left(match self.limits.charge_wider(kind, network, kind.cost()) {
                Ok(()) => Either::Left(self.inner.call(request)),
                Err(retry_after) => Either::Right(ready(Ok(refused(&self.limits.app, kind, retry_after)))),
            });
        }
        // The one that is ready is the one to call; its clone is made ready for the next.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let limits = Arc::clone(&self.limits);
        Either::Right(Box::pin(async move {
            match limits.charge_shared(&*shared, kind, network, kind.cost()).await {
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
        assert_eq!(kind(Method::POST, "/api/v1/analytics/query"), Some(Kind::Queries));
        for (path, cost) in [
            ("/api/v1/analytics/event", 1),
            ("/api/v1/analytics/stats", 1),
            ("/api/v1/analytics/cleanup", 1),
            ("/api/v1/analytics/query", 2),
            ("/api/v1/analytics/timeline", 2),
            ("/api/v1/analytics/export/themes", 2),
            ("/api/v1/stats/aggregate", 2),
            ("/api/v2/query", 2),
            ("/api/v1/analytics/query/funnel", 5),
            ("/api/v1/analytics/heatmap", 5),
        ] {
            assert_eq!(kind(Method::GET, path), Some(Kind::Read(cost)), "{path}");
        }
        for probe in ["/health", "/health/ready", "/metrics"] {
            assert_eq!(kind(Method::GET, probe), Some(Kind::Probe), "{probe}");
        }
        assert_eq!(kind(Method::GET, "/openapi.json"), Some(Kind::READ));
        for free in ["/", "/ws/analytics", "/script.js"] {
            assert_eq!(kind(Method::GET, free), None, "{free}");
        }
    }
}
