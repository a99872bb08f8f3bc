//! The tokens of the configuration.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Caller, Hash, Scope};
use crate::site::Site;

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
        let token = super::token("mcv_", secret);
        let hash = super::hex(&Hash::of(&token).0);
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
        Ok(Token { caller: Arc::new(Caller { sites, ..Caller::with(&self.name, self.scopes.clone()) }), hash })
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
        self.0.push(Token {
            caller: Arc::new(Caller::with("ANALYTICS_ADMIN_TOKEN", [Scope::Admin])),
            hash: Hash::of(token),
        });
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
            if token.hash.is(&hash) {
                found = Some(token);
            }
        }
        found.map(|token| Arc::clone(&token.caller))
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
