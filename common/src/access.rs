//! Who may read figures, export them, and delete events: tokens, their scopes and their sites.
//!
//! Tokens are random, so that a plain SHA-256 of one can be configured: it cannot be undone.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::site::Site;

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
    /// Everything, `POST /cleanup` included.
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

/// The SHA-256 of a token; 64 hexadecimal digits in the configuration.
#[derive(Clone, PartialEq, Eq)]
struct Hash([u8; 32]);

impl Hash {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    fn hex(&self) -> String {
        hex(&self.0)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Not shown: logs need no more than the name.
impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

/// A token that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    caller: Arc<Caller>,
    hash: Hash,
}

/// A token as `ANALYTICS_TOKENS` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    name: String,
    scopes: BTreeSet<Scope>,
    /// Absent for all sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sites: Option<BTreeSet<String>>,
    hash: String,
}

impl Entry {
    /// A new token, and the entry that accepts it. The token is made of `secret` and stands nowhere else.
    #[must_use]
    pub fn new(name: String, scopes: BTreeSet<Scope>, sites: &BTreeSet<Site>, secret: &[u8; 32]) -> (String, Self) {
        // Letters that may stand in a header, a subprotocol and a shell as they are.
        let token = format!("mcv_{}", hex(secret));
        let hash = Hash::of(&token).hex();
        let sites = sites.iter().map(|site| site.as_str().to_owned()).collect::<BTreeSet<_>>();
        (token, Self { name, scopes, sites: Some(sites).filter(|sites| !sites.is_empty()), hash })
    }

    fn token(&self) -> Result<Token, String> {
        if self.name.is_empty() || self.name.len() > 64 {
            return Err("a name must have 1 to 64 characters".to_owned());
        }
        let wrong = |what: &str| format!("{:?} {what}", self.name);
        if self.scopes.is_empty() {
            return Err(wrong("must have scopes: read, export or admin"));
        }
        let parse = |sites: &BTreeSet<String>| {
            let sites: Option<BTreeSet<Site>> = sites.iter().map(|site| Site::parse(site)).collect();
            sites.filter(|sites| !sites.is_empty())
        };
        let sites = match &self.sites {
            None => None,
            Some(sites) => {
                Some(parse(sites).ok_or_else(|| wrong("has sites that are none; leave sites out for all of them"))?)
            }
        };
        let hash = Hash::parse(&self.hash).ok_or_else(|| wrong("has a hash that is not 64 hexadecimal digits"))?;
        Ok(Token { caller: Arc::new(Caller { scopes: self.scopes.clone(), sites }), hash })
    }
}

/// The most tokens of a configuration.
const MOST_TOKENS: usize = 1_000;

/// The tokens that are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens(Vec<Token>);

impl Tokens {
    /// Reads a JSON list of entries.
    ///
    /// # Errors
    /// What is wrong with it; hashes are not repeated.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries: Vec<Entry> = serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => {
                "each entry must have name, scopes and hash, may have sites, and has nothing else".to_owned()
            }
            _ => format!("it is no JSON, at line {} column {}", error.line(), error.column()),
        })?;
        if entries.len() > MOST_TOKENS {
            return Err(format!("there may be at most {MOST_TOKENS} tokens"));
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = entries.iter().find(|entry| !names.insert(&entry.name)) {
            return Err(format!("{:?} is there twice", twice.name));
        }
        entries.iter().map(Entry::token).collect::<Result<_, _>>().map(Self)
    }

    /// Accepts this token for everything, too.
    pub fn accept_admin(&mut self, token: &str) {
        let caller = Caller { scopes: BTreeSet::from([Scope::Admin]), sites: None };
        self.0.push(Token { caller: Arc::new(caller), hash: Hash::of(token) });
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `given` allows; takes the same time for every token that is accepted or not.
    #[must_use]
    pub fn caller(&self, given: &str) -> Option<Arc<Caller>> {
        let hash = Hash::of(given);
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.hash.0.ct_eq(&hash.0)) {
                found = Some(token);
            }
        }
        found.map(|token| Arc::clone(&token.caller))
    }
}

/// What the sender of a request may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    scopes: BTreeSet<Scope>,
    /// Which sites it may read; `None` for all.
    sites: Option<BTreeSet<Site>>,
}

impl Caller {
    /// Any sender where reads are open.
    #[must_use]
    pub fn anyone() -> Self {
        Self { scopes: BTreeSet::from([Scope::Read, Scope::Export]), sites: None }
    }

    /// Whether it may do what needs this scope.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, scopes: &[Scope], sites: &[&str], secret: u8) -> (String, Entry) {
        let sites = sites.iter().map(|site| Site::parse(site).unwrap()).collect();
        Entry::new(name.to_owned(), scopes.iter().copied().collect(), &sites, &[secret; 32])
    }

    #[test]
    fn tokens_are_told_by_their_hash_and_several_are_accepted_at_once() {
        let (old, first) = entry("old", &[Scope::Read], &["a.example"], 1);
        let (new, second) = entry("new", &[Scope::Admin], &[], 2);
        let text = serde_json::to_string(&[first, second]).unwrap();
        assert!(!text.contains(&old) && !text.contains(&new), "{text}");
        let tokens = Tokens::parse(&text).unwrap();
        let (old, new) = (tokens.caller(&old).unwrap(), tokens.caller(&new).unwrap());
        assert!(old.has(Scope::Read) && !old.has(Scope::Export) && !old.has(Scope::Admin) && old.sites().is_some());
        assert!(new.has(Scope::Read) && new.has(Scope::Export) && new.has(Scope::Admin) && new.sites().is_none());
        for wrong in ["", "mcv_", &text, &entry("x", &[Scope::Read], &[], 3).0] {
            assert_eq!(tokens.caller(wrong), None);
        }
    }

    #[test]
    fn mistakes_say_what_is_wrong_and_repeat_no_hash() {
        let hash = "ab".repeat(32);
        for (text, told) in [
            ("x".to_owned(), "no JSON"),
            (r#"[{"name":"a","scopes":["read"]}]"#.to_owned(), "must have name, scopes and hash"),
            (format!(r#"[{{"name":"a","scopes":["write"],"hash":"{hash}"}}]"#), "must have name"),
            (format!(r#"[{{"name":"a","scopes":[],"hash":"{hash}"}}]"#), "must have scopes"),
            (format!(r#"[{{"name":"","scopes":["read"],"hash":"{hash}"}}]"#), "1 to 64"),
            (format!(r#"[{{"name":"a","scopes":["read"],"hash":"{hash}0"}}]"#), "64 hexadecimal"),
            (format!(r#"[{{"name":"a","scopes":["read"],"sites":[],"hash":"{hash}"}}]"#), "leave sites out"),
            (format!(r#"[{{"name":"a","scopes":["read"],"sites":["A B"],"hash":"{hash}"}}]"#), "sites that are none"),
            (format!(r#"[{0},{0}]"#, format_args!(r#"{{"name":"a","scopes":["read"],"hash":"{hash}"}}"#)), "twice"),
        ] {
            let mistake = Tokens::parse(&text).unwrap_err();
            assert!(mistake.contains(told) && !mistake.contains(&hash), "{mistake}");
        }
    }
}
