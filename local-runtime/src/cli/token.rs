//! `token`: makes a token for `ANALYTICS_TOKENS`.

use clap::Args;
use common::access::{Entry, Scope};
use common::site::Site;
use common::source::{Source, System};

use super::Failure;

/// What the new token is for.
#[derive(Debug, Args)]
pub(super) struct Token {
    /// What it is called in the configuration
    #[arg(long, value_parser = name)]
    name: String,
    /// What it allows: read, export or admin, which is everything; may be repeated
    #[arg(long = "scope", required = true, value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// Only this site; may be repeated [default: all sites]
    #[arg(long = "site", value_name = "SITE", value_parser = super::import::site)]
    sites: Vec<Site>,
}

impl Token {
    /// The token, which stands nowhere else, and the entry that accepts it.
    pub(super) fn make(self) -> Result<String, Failure> {
        let (scopes, sites) = (self.scopes.into_iter().collect(), self.sites.into_iter().collect());
        let (token, entry) = Entry::new(self.name, scopes, &sites, &System.secret());
        let entry = serde_json::to_string(&entry).map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(format!("token  {token}\nentry  {entry}"))
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    let valid = (1..=64).contains(&text.chars().count());
    valid.then(|| text.to_owned()).ok_or("a name has 1 to 64 characters")
}
