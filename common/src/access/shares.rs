//! Share links: each shows one site's dashboard to all who have it, until it expires or is revoked.
//!
//! A link is a random token, of which the store keeps the SHA-256 only. The first half of the hash is the
//! link's id: a token is found by its id and accepted by its whole hash.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Caller, Hash, Scope};
use crate::App;
use crate::identity::PseudonymOf;
use crate::site::Site;
use crate::store::{RecordKind, Store, StoreError};
use crate::time::{DAY, HOUR, Timestamp};

/// What the token of a link begins with.
pub(super) const PREFIX: &str = "mcs_";
/// The most links of a store.
pub const MOST: usize = 1_000;
/// For how long a process goes by what it has read about a link: a revoked link is refused by all
/// processes after this time at the latest.
const KNOWN_FOR: Duration = Duration::from_secs(10);
/// How many links a process remembers, those included that do not exist.
const MOST_KNOWN: u64 = 10_000;
/// How long a link may last, in days.
const MOST_DAYS: i64 = 3_650;

/// A share link as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Share {
    /// Its name for revoking it, from which its token does not follow.
    pub id: Uuid,
    /// The site that it shows.
    #[schema(value_type = String)]
    pub site: Site,
    /// When it was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it expires; `null` for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

impl Share {
    /// What follows the dashboard's address in a link with this token. Browsers do not send fragments, so
    /// the token is in no log of a proxy.
    #[must_use]
    pub fn link(&self, token: &str) -> String {
        format!("?site={}#share={token}", self.site)
    }
}

/// A share link as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    site: String,
    hash: Hash,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

/// Reads `30d` or `12h`, from an hour to ten years; answers milliseconds.
///
/// # Errors
/// Says what is allowed.
pub fn lifetime(text: &str) -> Result<i64, &'static str> {
    let parse = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit = match unit {
            "h" => HOUR,
            "d" => DAY,
            _ => return None,
        };
        let number: i64 = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
        number.checked_mul(unit).filter(|millis| (HOUR..=MOST_DAYS * DAY).contains(millis))
    };
    parse().ok_or("a link lasts for a number of hours or days, such as 12h or 30d, at most 3650d")
}

impl App {
    /// Creates a link to a site's dashboard that lasts so many milliseconds, or for good. Answers its token,
    /// which is stored nowhere; `None` when there are [`MOST`] links.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn share(&self, site: &Site, lifetime: Option<i64>) -> Result<Option<(String, Share)>, StoreError> {
        if self.shares().await?.len() >= MOST {
            return Ok(None);
        }
        let token = super::token(PREFIX, &self.source.secret());
        let hash = Hash::of(&token);
        let created_at = self.now();
        let expires_at = lifetime.map(|lifetime| created_at.plus(lifetime));
        let share = Share { id: hash.id(), site: site.clone(), created_at, expires_at };
        let stored = Stored { site: site.as_str().to_owned(), hash, created_at, expires_at };
        let record = serde_json::to_vec(&stored).unwrap_or_else(|error| panic!("a record is no JSON: {error}"));
        self.store.put_record(RecordKind::Share, share.id, record).await?;
        tracing::info!(share.id = %share.id, site.id = %site, "a share link was created");
        Ok(Some((token, share)))
    }

    /// The links that have not expired, oldest first.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn shares(&self) -> Result<Vec<Share>, StoreError> {
        let now = self.now();
        let mut shares = all(&*self.store).await?;
        shares.retain(|share| share.expires_at.is_none_or(|expires| expires > now));
        shares.sort_by_key(|share| (share.created_at, share.id));
        Ok(shares)
    }

    /// Revokes a link; answers whether it was there. Every process refuses it after ten seconds at the
    /// latest, this one mostly at once.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn revoke_share(&self, id: Uuid) -> Result<bool, StoreError> {
        let revoked = self.store.delete_record(RecordKind::Share, id).await?;
        self.access.shares.0.invalidate(&id).await;
        if revoked {
            tracing::info!(share.id = %id, "a share link was revoked");
        }
        Ok(revoked)
    }

    /// Deletes links that have expired.
    pub(crate) async fn delete_expired_shares(&self, now: Timestamp) -> Result<(), StoreError> {
        for share in all(&*self.store).await? {
            if share.expires_at.is_some_and(|expires| expires <= now) {
                self.store.delete_record(RecordKind::Share, share.id).await?;
            }
        }
        Ok(())
    }
}

async fn all(store: &dyn Store) -> Result<Vec<Share>, StoreError> {
    let records = store.records(RecordKind::Share).await?;
    let read = |(id, bytes): (Uuid, Vec<u8>)| {
        let Stored { site, created_at, expires_at, .. } = serde_json::from_slice(&bytes).ok()?;
        Some(Share { id, site: Site::parse(&site)?, created_at, expires_at })
    };
    Ok(records.into_iter().filter_map(read).collect())
}

/// What a process has read about links lately.
#[derive(Debug)]
pub(super) struct Shares(Cache<Uuid, Option<Arc<Known>>>);

#[derive(Debug)]
struct Known {
    hash: Hash,
    caller: Arc<Caller>,
}

impl Shares {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MOST_KNOWN).time_to_live(KNOWN_FOR).build())
    }

    /// What the link with this token allows.
    pub(super) async fn caller(&self, store: &dyn Store, token: &str) -> Result<Option<Arc<Caller>>, StoreError> {
        let hash = Hash::of(token);
        let known = self.read(store, hash.id()).await?;
        Ok(known.filter(|known| known.hash.is(&hash)).map(|known| Arc::clone(&known.caller)))
    }

    /// Whether the link is still there.
    pub(super) async fn has(&self, store: &dyn Store, id: Uuid) -> Result<bool, StoreError> {
        Ok(self.read(store, id).await?.is_some())
    }

    async fn read(&self, store: &dyn Store, id: Uuid) -> Result<Option<Arc<Known>>, StoreError> {
        if let Some(known) = self.0.get(&id).await {
            return Ok(known);
        }
        let read = |bytes: Vec<u8>| {
            let stored: Stored = serde_json::from_slice(&bytes).ok()?;
            let caller = Caller {
                sites: Some([Site::parse(&stored.site)?].into()),
                until: stored.expires_at,
                share: Some(id),
                pseudonyms: PseudonymOf::Event,
                ..Caller::with("share link", [Scope::Read])
            };
            Some(Arc::new(Known { hash: stored.hash, caller: Arc::new(caller) }))
        };
        let known = store.record(RecordKind::Share, id).await?.and_then(read);
        self.0.insert(id, known.clone()).await;
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_hours_and_days() {
        assert_eq!(lifetime("1h"), Ok(HOUR));
        assert_eq!(lifetime("30d"), Ok(30 * DAY));
        assert_eq!(lifetime("3650d"), Ok(3_650 * DAY));
        for wrong in ["", "d", "0h", "3651d", "30", "30 d", "-1d", "+1d", "1.5d", "1w", "30é", "99999999999999999999d"]
        {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
