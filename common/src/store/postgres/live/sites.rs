//! Which sites Redis has right, as far as this process knows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

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
    /// In which of the databases that were met the mark was last seen to belong to the events.
    incarnation: u64,
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
            let (rest, position) = std::str::from_utf8(mark).ok()?.rsplit_once(':')?;
            let (owner, _) = rest.rsplit_once(':')?;
            position.parse().ok().filter(|_| owner == store)
        });
        position.map_or(Self::Missing, Self::At)
    }

    /// The event at the mark, if it names one.
    pub(super) fn last(mark: &[u8]) -> Option<Uuid> {
        let (rest, _) = std::str::from_utf8(mark).ok()?.rsplit_once(':')?;
        rest.rsplit_once(':')?.1.parse().ok()
    }

    /// What comes after the store in a mark at `position`: the event there if it is known, so that
    /// a store whose events are others by now, because it was restored, is told from this one.
    pub(super) fn place(last: Option<Uuid>, position: u64) -> String {
        last.map_or_else(|| format!("-:{position}"), |last| format!("{last}:{position}"))
    }
}

/// All sites that this process has dealt with.
#[derive(Debug, Default)]
pub(super) struct Sites {
    states: Mutex<HashMap<Site, State>>,
    /// The database in which the marks of all sites were seen to belong to the events.
    incarnation: AtomicU64,
}

impl Sites {
    fn lock(&self) -> MutexGuard<'_, HashMap<Site, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All marks belong to the events of this database, but for those that were found not to.
    pub(super) fn belong(&self, incarnation: u64) {
        self.incarnation.store(incarnation, Ordering::Release);
    }

    /// Whether a site's mark was looked at before, and in another database than this one.
    pub(super) fn suspects(&self, site: &Site, incarnation: u64) -> bool {
        let looked_at = self.lock().get(site).map_or(0, |state| state.incarnation);
        looked_at.max(self.incarnation.load(Ordering::Acquire)) != incarnation
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

    /// Events up to `at` are applied, and PostgreSQL, in this incarnation, has no more: the site
    /// needs nothing any more, unless more was held back meanwhile, or somebody has found since
    /// that it must be rebuilt. Answers what it needs.
    pub(super) fn healed(&self, site: &Site, at: u64, incarnation: u64) -> Need {
        let mut sites = self.lock();
        let state = sites.entry(site.clone()).or_default();
        if state.wanted <= at && state.need != Need::Rebuild {
            *state = State { need: Need::Nothing, wanted: 0, floor: state.floor.max(at), incarnation };
        }
        state.need
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
            (&b"s:-:12"[..], Mark::At(12)),
            (b"s:x:0", Mark::At(0)),
            (b"t:-:12", Mark::Missing),
            (b"s:12", Mark::Missing),
            (b"s:-:", Mark::Missing),
            (b"s:-:-1", Mark::Missing),
            (b"\xff:1", Mark::Missing),
            (b"", Mark::Missing),
        ] {
            assert_eq!(Mark::parse(Some(mark), "s"), parsed, "{mark:?}");
        }
        assert_eq!(Mark::parse(None, "s"), Mark::Missing);
        let event = Uuid::from_u128(7);
        for last in [None, Some(event)] {
            let mark = format!("s:{}", Mark::place(last, 9));
            assert_eq!((Mark::parse(Some(mark.as_bytes()), "s"), Mark::last(mark.as_bytes())), (Mark::At(9), last));
        }
    }

    #[test]
    fn a_site_heals_when_all_that_was_held_back_is_applied() {
        let (sites, site) = (Sites::default(), Site::default());
        assert!(sites.admit(&site, 5));
        sites.applied(&site, 5);
        sites.require(&site, Need::Events, 8);
        assert!(!sites.admit(&site, 9));
        assert_eq!(sites.healed(&site, 8, 1), Need::Events, "9 was held back");
        assert_eq!(sites.healed(&site, 9, 1), Need::Nothing);
        assert!(sites.admit(&site, 10));
        sites.require(&site, Need::Rebuild, 10);
        sites.require(&site, Need::Events, 10);
        assert_eq!(sites.need(&site), Need::Rebuild, "the greater need stays");
        assert_eq!(sites.healed(&site, 10, 1), Need::Rebuild, "which telling the rest does not help");
        sites.rebuilt(&site);
        assert_eq!(sites.healed(&site, 10, 1), Need::Nothing);
    }

    #[test]
    fn another_database_makes_every_site_suspect_until_it_was_looked_at() {
        let (sites, site, other) = (Sites::default(), Site::default(), Site::parse("other").unwrap());
        sites.belong(1);
        assert!(!sites.suspects(&site, 1));
        assert!(sites.suspects(&site, 2));
        sites.require(&site, Need::Events, 5);
        assert_eq!(sites.healed(&site, 5, 2), Need::Nothing);
        assert!(!sites.suspects(&site, 2));
        assert!(sites.suspects(&other, 2));
        sites.belong(2);
        assert!(!sites.suspects(&other, 2));
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
        assert_eq!(sites.healed(&site, 9, 1), Need::Nothing);
        assert!(!sites.trust(&site, Mark::Missing), "flushed");
        assert_eq!(sites.need(&site), Need::Rebuild);
    }
}
