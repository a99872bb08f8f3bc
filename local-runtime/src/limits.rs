//! The rate limit: a token bucket for each client address.
//!
//! | what is asked | bucket | cost |
//! |---|---|---|
//! | POST `/event` | events, `ANALYTICS_RATE_LIMIT` a minute | 1 |
//! | POST `/events` | events | 1 before the body is read, so that junk is not free; the batch then costs its size |
//! | everything else of the API | questions, `ANALYTICS_READ_LIMIT` a minute | 1 |
//! | all other paths | none | 0 |
//!
//! A full bucket holds a minute's worth. A batch that is larger than a full bucket needs, and
//! takes, a full one: it could never be sent otherwise.

mod bucket;

use std::future::{Ready, ready};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use common::App;
use common::http::{ApiError, BASE_PATH, EventBudget};
use futures_util::future::Either;
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
    keys: AddressKeys,
    events: Arc<Buckets>,
    reads: Buckets,
}

/// Which bucket a request draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Event,
    Batch,
    Read,
}

impl Kind {
    fn of(method: &Method, path: &str) -> Option<Self> {
        match (method, path.strip_prefix(BASE_PATH)?) {
            (&Method::POST, "/event") => Some(Self::Event),
            (&Method::POST, "/events") => Some(Self::Batch),
            _ => Some(Self::Read),
        }
    }

    /// As the metric's label says it.
    const fn label(self) -> &'static str {
        match self {
            Self::Event | Self::Batch => "events",
            Self::Read => "reads",
        }
    }
}

impl Limits {
    /// Full buckets, as large as the configuration says.
    pub(crate) fn new(app: &App) -> Self {
        let a_minute = |limit| NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN);
        Self {
            app: app.clone(),
            keys: AddressKeys::default(),
            events: Arc::new(Buckets::new(a_minute(app.config.rate_limit))),
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

    fn charge(&self, kind: Kind, request: &mut Request) -> Result<(), ApiError> {
        let key = self.keys.of(request, &self.app);
        let buckets = if kind == Kind::Read { &self.reads } else { &*self.events };
        buckets.charge(key, 1).map_err(|retry_after| {
            self.app.metrics.rate_limited_requests_total.with_label_values(&[kind.label()]).inc();
            ApiError::RateLimited { retry_after }
        })?;
        if kind == Kind::Batch {
            request.extensions_mut().insert(self.budget(key));
        }
        Ok(())
    }

    /// What the handler of `/events` charges when it has counted the batch. One event is paid
    /// for already, so that at most a full bucket less one is asked for.
    fn budget(&self, key: u64) -> EventBudget {
        let (events, metrics) = (Arc::clone(&self.events), Arc::clone(&self.app.metrics));
        EventBudget(Arc::new(move |more| {
            let more = more.min(events.most() - 1);
            events.charge(key, more).inspect_err(|_| {
                metrics.rate_limited_requests_total.with_label_values(&[Kind::Batch.label()]).inc();
            })
        }))
    }
}

/// The layer: turns a request away when its sender's bucket is empty.
#[derive(Debug, Clone)]
pub(crate) struct Limited<S> {
    pub(crate) inner: S,
    pub(crate) limits: Arc<Limits>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for Limited<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Some(kind) = Kind::of(request.method(), request.uri().path())
            && let Err(error) = self.limits.charge(kind, &mut request)
        {
            return Either::Right(ready(Ok(error.into_response())));
        }
        Either::Left(self.inner.call(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_their_buckets() {
        let kind = |method, path: &str| Kind::of(&method, path);
        assert_eq!(kind(Method::POST, "/api/v1/analytics/event"), Some(Kind::Event));
        assert_eq!(kind(Method::POST, "/api/v1/analytics/events"), Some(Kind::Batch));
        assert_eq!(kind(Method::GET, "/api/v1/analytics/event"), Some(Kind::Read));
        assert_eq!(kind(Method::GET, "/api/v1/analytics/stats"), Some(Kind::Read));
        assert_eq!(kind(Method::POST, "/api/v1/analytics/cleanup"), Some(Kind::Read));
        for free in ["/", "/health", "/metrics", "/ws/analytics", "/script.js"] {
            assert_eq!(kind(Method::GET, free), None, "{free}");
        }
    }
}
