//! Who may read figures, export them, and change what is stored: tokens, JSON web tokens and share links,
//! their scopes and their sites.

#[cfg(feature = "jwt")]
mod jwt;
mod plans;
mod shares;
mod tokens;

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

pub use self::plans::{Entitlements, Plans, entitlement};
use self::shares::Shares;
pub use self::shares::{MOST as MOST_SHARES, Share, lifetime};
pub use self::tokens::{Entry, Tokens};
use crate::App;
use crate::config::Config;
use crate::identity::PseudonymOf;
use crate::site::Site;
use crate::store::StoreError;
use crate::time::Timestamp;

/// Whether reads need a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAuth {
    /// Whatever can reach the service may read.
    Open,
    /// Reads need a token with the scope.
    Token,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Figures, queries, the timeline, the live feed, and `/metrics`.
    Read,
    /// `GET /export/…`.
    Export,
    /// Everything, `POST /cleanup` and the data of single visitors included.
    Admin,
}

impl Scope {
    /// The scope as it is configured.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Export => "export",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scope = [Self::Read, Self::Export, Self::Admin].into_iter().find(|scope| scope.as_str() == text);
        scope.ok_or("a scope is read, export or admin")
    }
}

/// A token of random bytes: letters that may stand in a header, a subprotocol, an address and a shell as
/// they are.
fn token(prefix: &str, secret: &[u8; 32]) -> String {
    format!("{prefix}{}", hex(secret))
}

/// The SHA-256 of a token; 64 hexadecimal digits where it is written down. Tokens are random, so that a
/// plain hash cannot be undone.
#[derive(Clone, PartialEq, Eq)]
struct Hash([u8; 32]);

impl Hash {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Compares in the same time for all hashes.
    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The first half.
    fn id(&self) -> Uuid {
        Uuid::from_bytes(self.0.first_chunk().copied().unwrap_or_default())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// Not shown: logs need no more than the name.
impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a hash has 64 hexadecimal digits"))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What the sender of a request may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What the log calls it.
    name: Arc<str>,
    scopes: BTreeSet<Scope>,
    /// Which sites it may read; `None` for all.
    sites: Option<BTreeSet<Site>>,
    /// From when on it may do nothing; `None` for never.
    until: Option<Timestamp>,
    /// Which endpoints it may use.
    entitlements: Entitlements,
    /// The share link that it came by.
    share: Option<Uuid>,
    /// What the events that it is shown can be linked by.
    pseudonyms: PseudonymOf,
}

impl Caller {
    /// Any sender where reads are open.
    #[must_use]
    pub fn anyone() -> Self {
        Self { pseudonyms: PseudonymOf::Event, ..Self::with("anyone", [Scope::Read, Scope::Export]) }
    }

    /// With these scopes, for all sites.
    fn with(name: &str, scopes: impl Into<BTreeSet<Scope>>) -> Self {
        Self {
            name: name.into(),
            scopes: scopes.into(),
            sites: None,
            until: None,
            entitlements: None,
            share: None,
            pseudonyms: PseudonymOf::Day,
        }
    }

    /// What the log calls it: the name of a configured token, or else the kind of token. Whom a JSON web token
    /// was given to is not said.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may do what needs this scope.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Whether its plan has this entitlement.
    #[must_use]
    pub fn is_entitled_to(&self, entitlement: &str) -> bool {
        self.entitlements.as_ref().is_none_or(|entitlements| entitlements.contains(entitlement))
    }

    /// The sites that it may read; `None` for all.
    #[must_use]
    pub const fn sites(&self) -> Option<&BTreeSet<Site>> {
        self.sites.as_ref()
    }

    /// Whether it may read this site.
    #[must_use]
    pub fn may_read(&self, site: &Site) -> bool {
        self.sites.as_ref().is_none_or(|sites| sites.contains(site))
    }

    /// What the events that it is shown can be linked by.
    #[must_use]
    pub const fn pseudonyms(&self) -> PseudonymOf {
        self.pseudonyms
    }
}

/// What tells callers, besides the configuration.
#[derive(Debug)]
pub struct Access {
    shares: Shares,
    #[cfg(feature = "jwt")]
    jwt: Option<jwt::Jwt>,
}

impl Access {
    /// # Errors
    /// When the keys of JSON web tokens cannot be used.
    #[cfg_attr(not(feature = "jwt"), allow(unused_variables, clippy::unnecessary_wraps, reason = "without JWT"))]
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        Ok(Self {
            shares: Shares::new(),
            #[cfg(feature = "jwt")]
            jwt: config.jwt.as_ref().map(|jwt| jwt::Jwt::new(jwt, &config.plans)).transpose()?,
        })
    }
}

impl App {
    /// What a request with this token may do; `None` if the token is not accepted.
    ///
    /// # Errors
    /// When the store is needed and cannot answer.
    pub(crate) async fn caller(&self, token: &str) -> Result<Option<Arc<Caller>>, StoreError> {
        let now = self.now();
        let mut caller = self.config.tokens.caller(token);
        if caller.is_none() && token.starts_with(shares::PREFIX) {
            caller = self.access.shares.caller(&*self.store, token).await?;
        }
        #[cfg(feature = "jwt")]
        if let (None, Some(jwt)) = (&caller, &self.access.jwt) {
            caller = jwt.caller(token, now).await?;
        }
        Ok(caller.filter(|caller| caller.until.is_none_or(|until| now < until)))
    }

    /// Whether a caller that was admitted some time ago may still read: its link may have expired or have
    /// been revoked.
    ///
    /// # Errors
    /// When the store is needed and cannot answer.
    pub async fn still_admits(&self, caller: &Caller) -> Result<bool, StoreError> {
        if caller.until.is_some_and(|until| until <= self.now()) {
            return Ok(false);
        }
        match caller.share {
            Some(id) => self.access.shares.has(&*self.store, id).await,
            None => Ok(true),
        }
    }
}
