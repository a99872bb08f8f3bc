//! The envelope of answers, and the answers that are still right.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use serde::Serialize;

use crate::App;
use crate::http::ApiError;

/// A success: `{"success":true,"data":…,"meta":…}`, `meta` only where there is any.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Answer<D, M = ()> {
    success: bool,
    data: D,
    #[serde(skip_serializing_if = "Meta::is_none")]
    meta: Meta<M>,
}

/// What an endpoint says about its data, and what the store says about itself.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
struct Meta<M> {
    #[serde(flatten)]
    of_data: Option<M>,
    /// Whether the store misses something that it can do without for a while; only then is it
    /// there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    degraded: bool,
}

impl<M> Meta<M> {
    const fn is_none(&self) -> bool {
        self.of_data.is_none() && !self.degraded
    }
}

impl<D: Serialize> Answer<D> {
    /// An answer without meta.
    #[must_use]
    pub const fn new(data: D) -> Self {
        Self { success: true, data, meta: Meta { of_data: None, degraded: false } }
    }
}

impl<D: Serialize, M: Serialize> Answer<D, M> {
    /// An answer with meta.
    #[must_use]
    pub const fn with_meta(data: D, meta: M) -> Self {
        Self { success: true, data, meta: Meta { of_data: Some(meta), degraded: false } }
    }
}

/// Answers to questions, each for one version of the store, and as long as there is room: a
/// question asked again between two commits costs no query, and one asked by many at the same
/// time costs one.
#[derive(Debug)]
pub struct Answers(Cache<(String, u64), Bytes>);

impl Answers {
    /// Room for answers, in bytes.
    const ROOM: u64 = 4 * 1024 * 1024;

    pub(crate) fn new() -> Self {
        let weight =
            |(key, _): &(String, u64), body: &Bytes| u32::try_from(key.len() + body.len() + 64).unwrap_or(u32::MAX);
        // Least recently used goes first: those of old versions are never asked for again.
        Self(Cache::builder().max_capacity(Self::ROOM).weigher(weight).eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl App {
    /// Answers a question: with the answer that is kept under `key`, if nothing was stored since,
    /// or else by asking. The key must name everything that the answer depends on, but for
    /// what is stored: endpoint, parameters, and the period or instant asked for.
    ///
    /// # Errors
    /// Those of `ask`; they are not kept.
    pub async fn answer<D, M, F>(&self, key: String, ask: F) -> Result<Response, ApiError>
    where
        D: Serialize,
        M: Serialize,
        F: Future<Output = Result<Answer<D, M>, ApiError>>,
    {
        Ok(json(StatusCode::OK, self.answer_json(key, ask).await?))
    }

    /// The body of [`Self::answer`].
    ///
    /// # Errors
    /// Those of `ask`; they are not kept.
    pub async fn answer_json<D, M, F>(&self, key: String, ask: F) -> Result<Bytes, ApiError>
    where
        D: Serialize,
        M: Serialize,
        F: Future<Output = Result<Answer<D, M>, ApiError>>,
    {
        let ask = async {
            let mut answer = ask.await?;
            answer.meta.degraded = !self.store.degraded().is_empty();
            Ok(to_bytes(&answer))
        };
        // The version is read first: an answer that is newer than it does no harm.
        match self.store.version() {
            Some(version) => self.answers.0.try_get_with((key, version), ask).await.map_err(ApiError::Shared),
            None => ask.await,
        }
    }
}

impl<D: Serialize, M: Serialize> IntoResponse for Answer<D, M> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, to_bytes(&self))
    }
}

/// An answer whose body is JSON already.
#[must_use]
pub fn json(status: StatusCode, body: Bytes) -> Response {
    // Room for those that layers add, too.
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Serialising our own types cannot fail: their keys are strings and their numbers finite.
fn to_bytes(answer: &impl Serialize) -> Bytes {
    serde_json::to_vec(answer).unwrap_or_else(|error| panic!("an answer is no JSON: {error}")).into()
}
