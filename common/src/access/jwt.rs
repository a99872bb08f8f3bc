//! JSON web tokens of an identity provider.
//!
//! A key decides about the algorithm of its tokens, never a token's header; `none` is no algorithm. Times
//! are compared here, since the clock is the application's.

mod cryptography;
mod keys;

use std::collections::BTreeSet;
use std::sync::{Arc, Once};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use self::keys::{Key, Keys};
use super::{Caller, Plans, Scope};
use crate::config::{JwtConfig, JwtKeys};
use crate::site::Site;
use crate::store::StoreError;
use crate::time::{SECOND, Timestamp};

/// How far the provider's clock may be from ours, in milliseconds.
const MAX_CLOCK_SKEW: i64 = 60 * SECOND;
/// The most bytes of a token.
const MOST_BYTES: usize = 8 * 1024;

/// What tells tokens of the configured issuer.
#[derive(Debug)]
pub(super) struct Jwt {
    issuer: String,
    audience: String,
    keys: Arc<Keys>,
    plans: Plans,
}

/// Claims besides those that the library checks. Others are none of our business.
#[derive(Debug, Deserialize)]
struct Claims {
    /// Seconds since 1970, fractions allowed.
    exp: f64,
    nbf: Option<f64>,
    /// Names separated by spaces; those of other services are passed over.
    #[serde(default)]
    scope: String,
    /// Absent for all sites.
    sites: Option<Vec<String>>,
    plan: Option<String>,
}

impl Jwt {
    /// # Errors
    /// When the keys cannot be read, or the system has no TLS to fetch them with.
    pub(super) fn new(config: &JwtConfig, plans: &Plans) -> Result<Self, String> {
        static CRYPTOGRAPHY: Once = Once::new();
        CRYPTOGRAPHY.call_once(cryptography::install);
        let keys = match &config.keys {
            JwtKeys::Secret(secret) => {
                let key = DecodingKey::from_secret(secret.as_bytes()).map_err(|error| error.to_string())?;
                Keys::fixed(vec![Key { id: None, algorithm: Algorithm::HS256, key }])
            }
            JwtKeys::Set(text) => Keys::fixed(keys::parse(text.as_bytes())?),
            JwtKeys::Url(url) => Keys::at(url.clone())?,
        };
        let (issuer, audience) = (config.issuer.clone(), config.audience.clone());
        Ok(Self { issuer, audience, keys, plans: plans.clone() })
    }

    /// What this token allows at `now`; `None` when it is not accepted.
    ///
    /// # Errors
    /// When no key was ever had from the configured address.
    pub(super) async fn caller(&self, token: &str, now: Timestamp) -> Result<Option<Arc<Caller>>, StoreError> {
        if token.len() > MOST_BYTES {
            return Ok(None);
        }
        let Ok(header) = decode_header(token) else { return Ok(None) };
        let Some(key) = self.keys.find(header.kid.as_deref(), header.alg, now).await? else { return Ok(None) };
        Ok(self.claims(token, &key, now).map(|claims| Arc::new(self.allowed(claims))))
    }

    fn claims(&self, token: &str, key: &Key, now: Timestamp) -> Option<Claims> {
        let mut validation = Validation::new(key.algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_exp = false;
        let claims: Claims = decode(token, &key.key, &validation).ok()?.claims;
        let begins = claims.nbf.map_or(i64::MIN, |nbf| millis(nbf).saturating_sub(MAX_CLOCK_SKEW));
        (begins <= now.millis() && now < ends(&claims)).then_some(claims)
    }

    fn allowed(&self, claims: Claims) -> Caller {
        let scopes: BTreeSet<Scope> = claims.scope.split(' ').filter_map(|scope| scope.parse().ok()).collect();
        let until = Some(ends(&claims));
        // Names that are no sites give access to none.
        let sites = claims.sites.map(|sites| sites.iter().filter_map(|site| Site::parse(site)).collect());
        let entitlements = claims.plan.and_then(|plan| self.plans.of(&plan));
        Caller { sites, until, entitlements, ..Caller::with("JSON web token", scopes) }
    }
}

/// The instant from which a token is not accepted any more.
fn ends(claims: &Claims) -> Timestamp {
    Timestamp::from_millis(millis(claims.exp).saturating_add(MAX_CLOCK_SKEW))
}

/// A cast keeps within the bounds of the type.
fn millis(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}
