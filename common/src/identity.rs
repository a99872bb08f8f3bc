//! Who a cookieless visitor is for a day, and what is shown of any visitor outside.
//!
//! A visitor without an id of its own is HMAC-SHA-256 over site, address and user agent, keyed
//! by a random salt of the UTC day and cut to a UUID. When the salt is destroyed, 48 hours
//! after the day began, it cannot be computed again, not even for an address that is guessed.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use crate::event::Event;
use crate::site::Site;
use crate::source::Source;
use crate::store::{Secret, SecretName, Store, StoreError};
use crate::time::{DAY, Day, Timestamp};
use crate::visitor::{Pseudonym, VisitorId};

/// How long the salt of a day lives, from the day's begin: 48 hours.
const SALT_LIFE: i64 = 2 * DAY;

/// Derives visitors and pseudonyms; remembers the few secrets that it needs until they expire.
#[derive(Debug)]
pub struct Identity {
    store: Arc<dyn Store>,
    source: Arc<dyn Source>,
    known: RwLock<Vec<Known>>,
}

/// A secret that is remembered.
#[derive(Debug)]
struct Known {
    name: SecretName,
    expires: Option<Timestamp>,
    key: Key,
}

impl Known {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

impl Identity {
    /// How many secrets are remembered: the pseudonym key and the salts of three days are in
    /// everyday use; an import goes through more.
    const REMEMBERED: usize = 128;

    /// Over the secrets of this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, source: Arc<dyn Source>) -> Self {
        Self { store, source, known: RwLock::default() }
    }

    /// The cookieless visitor with this address and user agent, on the day of their event.
    ///
    /// # Errors
    /// When the store cannot answer the day's salt.
    pub async fn visitor(
        &self,
        site: &Site,
        address: IpAddr,
        user_agent: &str,
        day: Day,
        now: Timestamp,
    ) -> Result<VisitorId, StoreError> {
        // The salt of a day long gone, as imports need it, lives for 48 hours from now.
        let planned = day.start().plus(SALT_LIFE);
        let expires = if planned > now { planned } else { now.plus(SALT_LIFE) };
        let salt = self.secret(SecretName::Salt(day), Some(expires), now).await?;
        let address = match address.to_canonical() {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        Ok(salt.uuid(&[site.as_str().as_bytes(), &address, user_agent.as_bytes()]).into())
    }

    /// The key of a client's token buckets, the same in all processes on a store; like visitors
    /// it lasts for a day, and cannot be undone once the day's salt is destroyed. `network` is
    /// whatever tells clients apart.
    ///
    /// # Errors
    /// When the store cannot answer the day's salt.
    pub async fn bucket_key(&self, network: &[u8], now: Timestamp) -> Result<u128, StoreError> {
        let expires = now.day().start().plus(SALT_LIFE);
        let salt = self.secret(SecretName::Salt(now.day()), Some(expires), now).await?;
        Ok(bucket_key(&salt, network))
    }

    /// As [`Self::bucket_key`], if the store need not be asked.
    #[must_use]
    pub fn known_bucket_key(&self, network: &[u8], now: Timestamp) -> Option<u128> {
        Some(bucket_key(&self.known_secret(SecretName::Salt(now.day()), now)?, network))
    }

    /// The key that turns visitors into pseudonyms.
    ///
    /// # Errors
    /// When the store cannot answer it.
    pub async fn pseudonyms(&self, of: PseudonymOf, now: Timestamp) -> Result<Pseudonyms, StoreError> {
        Ok(Pseudonyms { key: self.secret(SecretName::Pseudonyms, None, now).await?, of })
    }

    async fn secret(&self, name: SecretName, expires: Option<Timestamp>, now: Timestamp) -> Result<Key, StoreError> {
        if let Some(known) = self.known_secret(name, now) {
            return Ok(known);
        }
        let fresh = Secret { bytes: self.source.secret(), expires };
        let secret = self.store.secret(name, fresh, now).await?;
        let key = Key::new(&secret.bytes);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.name != name && known.is_alive(now));
        if known.len() >= Self::REMEMBERED {
            known.remove(0);
        }
        known.push(Known { name, expires: secret.expires, key: key.clone() });
        Ok(key)
    }

    fn known_secret(&self, name: SecretName, now: Timestamp) -> Option<Key> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|known| known.name == name && known.is_alive(now)).map(|known| known.key.clone())
    }

    /// Destroys expired salts, here and in the store; answers how many the store held.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn destroy_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|known| known.is_alive(now));
        self.store.destroy_secrets(now).await
    }
}

fn bucket_key(salt: &Key, network: &[u8]) -> u128 {
    // Two parts, where visitors have three: no bucket's key is a visitor.
    salt.uuid(&[b"bucket", network]).as_u128()
}

/// Turns visitors into what is shown of them.
#[derive(Debug, Clone)]
pub struct Pseudonyms {
    key: Key,
    of: PseudonymOf,
}

/// What a pseudonym stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PseudonymOf {
    /// One event: readers may be strangers.
    Event,
    /// A visitor of a site for a day: readers are known.
    Day,
}

impl Pseudonyms {
    /// What is shown in place of an event's visitor: another one for every event where readers may be strangers. If
    /// it were the same for all events of a visitor, any page could send an event of its own from the
    /// visitor's browser, look up the pseudonym of that event, and read what else the visitor did. For
    /// readers with a token of their own, it is the same for a visitor's events of a day (UTC).
    #[must_use]
    pub fn of(&self, event: &Event) -> Pseudonym {
        let (site, visitor) = (event.site.as_str().as_bytes(), event.visitor.as_bytes());
        Pseudonym(match self.of {
            PseudonymOf::Event => self.key.uuid(&[site, visitor, event.id.as_bytes()]),
            PseudonymOf::Day => {
                let day = event.created_at.day().to_string();
                self.key.uuid(&[site, visitor, day.as_bytes()])
            }
        })
    }
}

/// A secret, ready for use: hashing the padded key is half of the work of so short a message.
#[derive(Clone)]
struct Key(Hmac<Sha256>);

/// Never shows the secret.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    fn new(secret: &[u8; 32]) -> Self {
        // An HMAC key shorter than the hash's block is padded with zeros (RFC 2104, section 2).
        let mut block = [0; 64];
        block[..32].copy_from_slice(secret);
        Self(<Hmac<Sha256> as KeyInit>::new(&block.into()))
    }

    /// HMAC-SHA-256 (RFC 2104, FIPS 180-4) of the parts, each behind its length so that no two
    /// lists of parts look alike, cut to a version 8 UUID (RFC 9562).
    fn uuid(&self, parts: &[&[u8]]) -> Uuid {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}
