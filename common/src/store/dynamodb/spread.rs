//! Over how many items a day's totals are spread: one, and more while writers conflict.

use std::collections::HashMap;

use super::client::random_fraction;
use crate::site::Site;

/// The most items of a day's totals, while many processes write at once.
pub(super) const MOST_SHARDS: u8 = 16;
/// After so many transactions without a conflict the shards are halved.
const HALVED_AFTER: u32 = 64;

/// How many shards this process uses for each site: one until a transaction conflicts.
#[derive(Debug, Default)]
pub(super) struct Spread {
    /// With the number of transactions since the last conflict or halving.
    shards: HashMap<Site, (u8, u32)>,
}

impl Spread {
    /// The shard to use now.
    pub(super) fn pick(&self, site: &Site) -> u8 {
        let shards = self.shards.get(site).map_or(1, |(shards, _)| *shards);
        (random_fraction() * f64::from(shards)) as u8
    }

    /// A transaction on these sites conflicted with another.
    pub(super) fn conflicted<'a>(&mut self, sites: impl Iterator<Item = &'a Site>) {
        for site in sites {
            let (shards, since) = self.shards.entry(site.clone()).or_insert((1, 0));
            *shards = (*shards * 2).min(MOST_SHARDS);
            *since = 0;
        }
    }

    /// A transaction on these sites did not.
    pub(super) fn succeeded<'a>(&mut self, sites: impl Iterator<Item = &'a Site>) {
        for site in sites {
            if let Some((shards, since)) = self.shards.get_mut(site) {
                *since += 1;
                if *since >= HALVED_AFTER {
                    (*shards, *since) = (*shards / 2, 0);
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
    fn there_are_shards_while_writers_conflict() {
        let site = Site::default();
        let mut spread = Spread::default();
        assert_eq!(spread.pick(&site), 0);
        for _ in 0..9 {
            spread.conflicted([&site].into_iter());
        }
        let picked: std::collections::BTreeSet<u8> = (0..2_000).map(|_| spread.pick(&site)).collect();
        assert_eq!(picked, (0..MOST_SHARDS).collect());
        for _ in 0..4 * HALVED_AFTER {
            spread.succeeded([&site].into_iter());
        }
        assert_eq!(spread.pick(&site), 0);
        assert!(spread.shards.is_empty(), "a site without conflicts takes no memory");
    }
}
