//! The keys that tokens are checked with: fixed ones, or those of an address, fetched when they are needed.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::store::StoreError;
use crate::time::{SECOND, Timestamp};

/// The most bytes of a key set.
const MOST_BYTES: usize = 64 * 1024;
/// The most keys of a key set.
const MOST_KEYS: usize = 100;
/// How long keys are gone by before they are fetched again, in milliseconds: a key that the provider has
/// withdrawn is not accepted for longer, unless the address cannot be reached.
const MAX_AGE: i64 = 600 * SECOND;
/// How long it takes at least from one fetch to the next, in milliseconds, whatever tokens are sent.
const MIN_PAUSE: i64 = 30 * SECOND;
/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// A key, and the one algorithm that it is for.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Reads a key set. Keys that are not for signatures, or for other algorithms, are passed over; so are
/// secrets, which have no place in a public set.
///
/// # Errors
/// When it is no key set, is too large, or has no key of use.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Key>, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("a key set may have at most {MOST_BYTES} bytes"));
    }
    let set: JwkSet = serde_json::from_slice(text).map_err(|error| format!("it is no key set (JWKS): {error}"))?;
    let keys: Vec<Key> = set.keys.iter().filter_map(key).take(MOST_KEYS).collect();
    if keys.is_empty() {
        return Err("it has no key for RS256, ES256 or EdDSA".to_owned());
    }
    Ok(keys)
}

fn key(jwk: &Jwk) -> Option<Key> {
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let common = &jwk.common;
    let is_named = common.key_algorithm.as_ref().is_none_or(|other| *other == named);
    let signs = common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
    (is_named && signs).then_some(())?;
    Some(Key { id: common.key_id.clone(), algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
}

/// The keys, and where they come from.
#[derive(Debug)]
pub(super) struct Keys {
    known: RwLock<Known>,
    address: Option<Address>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    fetched: Option<Timestamp>,
    asked: Option<Timestamp>,
}

#[derive(Debug)]
struct Address {
    uri: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<bytes::Bytes>>,
    asking: Mutex<()>,
}

impl Keys {
    pub(super) fn fixed(keys: Vec<Key>) -> Arc<Self> {
        Arc::new(Self { known: RwLock::new(Known { keys: Arc::new(keys), ..Known::default() }), address: None })
    }

    pub(super) fn at(uri: Uri) -> Result<Arc<Self>, String> {
        let https = crate::https::connector(FETCH_TIMEOUT).map_err(|error| error.to_string())?;
        let client = Client::builder(TokioExecutor::new()).build(https);
        let address = Some(Address { uri, client, asking: Mutex::new(()) });
        Ok(Arc::new(Self { known: RwLock::default(), address }))
    }

    /// The key with this id, or without an id the only one for the algorithm. Keys are fetched when there
    /// are none, when they are old, and when the one that is asked for is not among them, but never more
    /// often than every [`MIN_PAUSE`]. While they cannot be fetched, or another request fetches them, the
    /// old ones are used.
    ///
    /// # Errors
    /// When there was never a key.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Option<Key>, StoreError> {
        let mut known = self.known();
        if self.address.is_some() {
            let is_missing = known.find(id, algorithm).is_none();
            let is_old = known.fetched.is_none_or(|fetched| passed(fetched, now) >= MAX_AGE);
            if is_missing || is_old && !self.is_fetching() {
                let keys = Arc::clone(self);
                // A task of its own: a client that leaves must not end it for the others.
                let _ = tokio::spawn(async move { keys.fetch(now).await }).await;
                known = self.known();
            }
            if known.fetched.is_none() {
                let reason = "the keys of tokens could not be fetched from ANALYTICS_JWT_KEYS".to_owned();
                return Err(StoreError::Unavailable { engine: "jwks", reason });
            }
        }
        Ok(known.find(id, algorithm).cloned())
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, note: impl FnOnce(&mut Known)) {
        note(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn is_fetching(&self) -> bool {
        self.address.as_ref().is_some_and(|address| address.asking.try_lock().is_err())
    }

    /// Fetches the keys, unless that was tried a moment ago; one request at a time.
    async fn fetch(&self, now: Timestamp) {
        let Some(address) = &self.address else { return };
        let _one = address.asking.lock().await;
        if self.known().asked.is_some_and(|asked| passed(asked, now) < MIN_PAUSE) {
            return;
        }
        self.note(|known| known.asked = Some(now));
        match timeout(FETCH_TIMEOUT, address.fetch()).await.unwrap_or_else(|_| Err("it takes too long".to_owned())) {
            Ok(keys) => self.note(|known| {
                known.keys = Arc::new(keys);
                known.fetched = Some(now);
            }),
            Err(error) => {
                tracing::warn!(error, "the keys of tokens could not be fetched; those that are known stay in use");
            }
        }
    }
}

impl Known {
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let named = id.and_then(|id| self.keys.iter().find(|key| key.id.as_deref() == Some(id)));
        named.or_else(|| {
            // A secret has no id, whatever its tokens say. Of several keys that fit none is meant.
            let mut fitting = self.keys.iter().filter(|key| key.algorithm == algorithm);
            let only = fitting.next().filter(|_| fitting.next().is_none());
            only.filter(|key| id.is_none() || key.id.is_none())
        })
    }
}

/// Milliseconds between two instants: a clock that was set back counts as time that has passed.
fn passed(from: Timestamp, to: Timestamp) -> i64 {
    to.millis().saturating_sub(from.millis()).saturating_abs()
}

impl Address {
    async fn fetch(&self) -> Result<Vec<Key>, String> {
        let answer = self.client.get(self.uri.clone()).await.map_err(|error| error.to_string())?;
        if !answer.status().is_success() {
            return Err(format!("it answers {}", answer.status().as_u16()));
        }
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await.map_err(|error| error.to_string())?;
        parse(&body.to_bytes())
    }
}
