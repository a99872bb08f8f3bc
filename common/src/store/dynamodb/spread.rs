//! Over how many items the counters of a day are spread: as few as go.

use std::collections::HashMap;

use super::client::chance;
use crate::site::Site;

/// Shards of a day's totals and values at most, while many processes write at once.
pub(super) const MOST_SHARDS: u8 = 16;
/// After so many transactions without a conflict, half the shards will do.
const CALM: u32 = 64;

/// Over how many shards this process spreads each site's counters: one as long as nobody is in
/// its way.
#[derive(Debug, Default)]
pub(super) struct Spread {
    shards: HashMap<Site, (u8, u32)>,
}

impl Spread {
    /// The shard to use now.
    pub(super) fn pick(&self, site: &Site) -> u8 {
        let shards = self.shards.get(site).map_or(1, |(shards, _)| *shards);
        (chance() * f64::from(shards)) as u8
    }

    /// Others were in the way of a transaction on these sites.
    pub(super) fn collided<'a>(&mut self, sites: impl Iterator<Item = &'a Site>) {
        for site in sites {
            let (shards, calm) = self.shards.entry(site.clone()).or_insert((1, 0));
            *shards = (*shards * 2).min(MOST_SHARDS);
            *calm = 0;
        }
    }

    /// Nobody was.
    pub(super) fn succeeded<'a>(&mut self, sites: impl Iterator<Item = &'a Site>) {
        for site in sites {
            if let Some((shards, calm)) = self.shards.get_mut(site) {
                *calm += 1;
                if *calm >= CALM {
                    (*shards, *calm) = (*shards / 2, 0);
                }
            }
        }
        self.shards.retain(|_, (shards, _)| *shards > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_for_as_long_as_writers_collide() {
        let site = Site::default();
        let mut spread = Spread::default();
        assert_eq!(spread.pick(&site), 0);
        for _ in 0..9 {
            spread.collided([&site].into_iter());
        }
        let picked: std::collections::BTreeSet<u8> = (0..2_000).map(|_| spread.pick(&site)).collect();
        assert_eq!(picked, (0..MOST_SHARDS).collect());
        for _ in 0..4 * CALM {
            spread.succeeded([&site].into_iter());
        }
        assert_eq!(spread.pick(&site), 0);
        assert!(spread.shards.is_empty(), "a quiet site takes no memory");
    }
}
