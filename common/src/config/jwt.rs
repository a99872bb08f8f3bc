//! How JSON web tokens are checked.

use std::fmt;

use http::Uri;

use super::reader::{Reader, file};

/// The fewest characters of a secret: what HS256 signs with is guessed offline.
const FEWEST: usize = 32;

/// Whose tokens are accepted, and what they are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtConfig {
    /// The keys.
    pub keys: JwtKeys,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be, or have.
    pub audience: String,
}

/// Where the keys are.
#[derive(Clone, PartialEq, Eq)]
pub enum JwtKeys {
    /// The secret of HS256.
    Secret(String),
    /// A key set, as JSON.
    Set(String),
    /// A key set to be fetched.
    Url(Uri),
}

/// Shows no secret.
impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret"),
            Self::Set(_) => f.write_str("Set"),
            Self::Url(_) => f.write_str("Url"),
        }
    }
}

impl Reader {
    /// How JSON web tokens are checked, if any are accepted.
    pub(super) fn jwt(&mut self) -> Option<JwtConfig> {
        let secret = self.optional("ANALYTICS_JWT_SECRET", "at least 32 characters", |text| {
            (text.len() >= FEWEST).then(|| JwtKeys::Secret(text.to_owned()))
        });
        let rule = "an https:// address of a key set (http:// at the loopback), a file with one, or one as JSON";
        let keys = self.optional("ANALYTICS_JWT_KEYS", rule, keys);
        let [issuer, audience] = ["ANALYTICS_JWT_ISSUER", "ANALYTICS_JWT_AUDIENCE"]
            .map(|name| self.optional(name, "a text", |text| Some(text.to_owned())));
        let keys = match (keys, secret) {
            (Some(_), Some(_)) => {
                self.mistake("ANALYTICS_JWT_KEYS and ANALYTICS_JWT_SECRET exclude each other".to_owned());
                return None;
            }
            (keys, secret) => keys.or(secret),
        };
        match (keys, issuer, audience) {
            (None, None, None) => None,
            (Some(keys), Some(issuer), Some(audience)) => Some(JwtConfig { keys, issuer, audience }),
            _ => {
                let needed = "ANALYTICS_JWT_KEYS or ANALYTICS_JWT_SECRET, ANALYTICS_JWT_ISSUER and \
                              ANALYTICS_JWT_AUDIENCE go together: all of them or none";
                self.mistake(needed.to_owned());
                None
            }
        }
    }
}

fn keys(text: &str) -> Option<JwtKeys> {
    if text.starts_with('{') {
        return Some(JwtKeys::Set(text.to_owned()));
    }
    if !text.contains("://") {
        return Some(JwtKeys::Set(file(text).ok()?));
    }
    let url: Uri = text.parse().ok()?;
    let is_loopback = matches!(url.host()?, "127.0.0.1" | "[::1]" | "localhost");
    let is_safe = url.scheme_str() == Some("https") || (url.scheme_str() == Some("http") && is_loopback);
    is_safe.then_some(JwtKeys::Url(url))
}
