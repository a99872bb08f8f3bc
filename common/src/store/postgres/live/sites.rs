//! Which sites Redis has right, as far as this process knows.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::site::Site;

/// What a site needs before Redis may answer for it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Need {
    /// Nothing.
    #[default]
    Nothing,
    /// Events that PostgreSQL has and Redis has not.
    Events,
    /// A rebuild.
    Rebuild,
}

#[derive(Debug, Default)]
struct State {
    need: Need,
    /// The greatest position that was held back while the site needed care.
    wanted: u64,
    /// The greatest position that this process knows to be applied: an answer as of an earlier
    /// one would take back what was said.
    floor: u64,
}

/// The mark of how far a site was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// There is none, or another store's.
    Missing,
    /// So far.
    At(u64),
}

impl Mark {
    /// Reads a mark, of which only those of `store` count.
    pub(super) fn parse(mark: Option<&[u8]>, store: &str) -> Self {
        let position = mark.and_then(|mark| {
            let (owner, position) = std::str::from_utf8(mark).ok()?.rsplit_once(':')?;
            position.parse().ok().filter(|_| owner == store)
        });
        position.map_or(Self::Missing, Self::At)
    }
}

/// All sites that this process has dealt with.
#[derive(Debug, Default)]
pub(super) struct Sites(Mutex<HashMap<Site, State>>);

impl Sites {
    fn lock(&self) -> MutexGuard<'_, HashMap<Site, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a site needs.
    pub(super) fn need(&self, site: &Site) -> Need {
        self.lock().get(site).map_or(Need::Nothing, |state| state.need)
    }

    /// Whether events up to `to` may be sent to Redis; if not, they are noted as held back.
    pub(super) fn admit(&self, site: &Site, to: u64) -> bool {
        let mut sites = self.lock();
        let state = sites.entry(site.clone()).or_default();
        if state.need != Need::Nothing {
            state.wanted = state.wanted.max(to);
        }
        state.need == Need::Nothing
    }

    /// Notes a need, unless there is a greater one, and events that are held back.
    pub(super) fn require(&self, site: &Site, need: Need, to: u64) {
        let mut sites = self.lock();
        let state = sites.entry(site.clone()).or_default();
        state.need = state.need.max(need);
        state.wanted = state.wanted.max(to);
    }

    /// A site was rebuilt as of some position: whatever was known of it is void.
    pub(super) fn rebuilt(&self, site: &Site) {
        let mut sites = self.lock();
        let state = sites.entry(site.clone()).or_default();
        state.need = Need::Events;
        state.floor = 0;
    }

    /// Events up to `to` are applied.
    pub(super) fn applied(&self, site: &Site, to: u64) {
        let mut sites = self.lock();
        let state = sites.entry(site.clone()).or_default();
        state.floor = state.floor.max(to);
    }

    /// Events up to `at` are applied, and PostgreSQL has no more: the site needs nothing any
    /// more, unless more was held back meanwhile. Answers whether it is well.
    pub(super) fn healed(&self, site: &Site, at: u64) -> bool {
        let mut sites = self.lock();
        let state = sites.entry(site.clone()).or_default();
        if state.wanted <= at && state.need != Need::Rebuild {
            *state = State { need: Need::Nothing, wanted: 0, floor: state.floor.max(at) };
        }
        state.need == Need::Nothing
    }

    /// Whether an answer under this mark may be given; notes what the site needs if not.
    pub(super) fn trust(&self, site: &Site, mark: Mark) -> bool {
        let mut sites = self.lock();
        let Some(state) = sites.get_mut(site) else { return mark != Mark::Missing };
        match mark {
            _ if state.need != Need::Nothing => {}
            Mark::At(position) if position >= state.floor => return true,
            // An older Redis than there was: a restored one, or a replica that lagged behind.
            Mark::At(_) => {
                state.need = Need::Events;
                state.wanted = state.wanted.max(state.floor);
            }
            // A site that never was applied has no mark either.
            Mark::Missing if state.floor == 0 => {}
            Mark::Missing => state.need = Need::Rebuild,
        }
        false
    }

    /// Sites that need care.
    pub(super) fn in_need(&self) -> Vec<(Site, Need)> {
        let sites = self.lock();
        let in_need = sites.iter().filter(|(_, state)| state.need != Need::Nothing);
        in_need.map(|(site, state)| (site.clone(), state.need)).collect()
    }

    /// Whether any site needs care.
    pub(super) fn any_in_need(&self) -> bool {
        self.lock().values().any(|state| state.need != Need::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_others_are_none() {
        for (mark, parsed) in [
            (&b"s:12"[..], Mark::At(12)),
            (b"s:0", Mark::At(0)),
            (b"t:12", Mark::Missing),
            (b"s:", Mark::Missing),
            (b"s:-1", Mark::Missing),
            (b"\xff:1", Mark::Missing),
            (b"", Mark::Missing),
        ] {
            assert_eq!(Mark::parse(Some(mark), "s"), parsed, "{mark:?}");
        }
        assert_eq!(Mark::parse(None, "s"), Mark::Missing);
    }

    #[test]
    fn a_site_heals_when_all_that_was_held_back_is_applied() {
        let (sites, site) = (Sites::default(), Site::default());
        assert!(sites.admit(&site, 5));
        sites.applied(&site, 5);
        sites.require(&site, Need::Events, 8);
        assert!(!sites.admit(&site, 9));
        assert!(!sites.healed(&site, 8), "9 was held back");
        assert!(sites.healed(&site, 9));
        assert!(sites.admit(&site, 10));
        sites.require(&site, Need::Rebuild, 10);
        sites.require(&site, Need::Events, 10);
        assert_eq!(sites.need(&site), Need::Rebuild, "the greater need stays");
        assert!(!sites.healed(&site, 10));
        sites.rebuilt(&site);
        assert!(sites.healed(&site, 10));
    }

    #[test]
    fn answers_never_go_back() {
        let (sites, site) = (Sites::default(), Site::default());
        assert!(sites.trust(&site, Mark::At(3)), "nothing is known yet");
        assert!(!sites.trust(&site, Mark::Missing));
        sites.applied(&site, 5);
        assert!(sites.trust(&site, Mark::At(5)));
        assert!(!sites.trust(&site, Mark::At(4)), "restored from an older copy");
        assert_eq!(sites.need(&site), Need::Events);
        assert!(!sites.trust(&site, Mark::At(9)), "not before it is cared for");
        assert!(sites.healed(&site, 9));
        assert!(!sites.trust(&site, Mark::Missing), "flushed");
        assert_eq!(sites.need(&site), Need::Rebuild);
    }
}
