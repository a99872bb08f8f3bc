//! Ids for lines that have none, such that importing a line again is seen.

use std::collections::HashMap;

use common::site::Site;
use common::time::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Gives the lines of a file their event ids.
///
/// An id is the line's time and SHA-256 over the site, the line, and how many lines like it the
/// file had before, cut to a version 8 UUID (RFC 9562). The time comes first, as in version 7,
/// so that lines of one time lie together in an index: they are stored, and later deleted,
/// together. So a file that has grown, was moved or packed gives the same
/// ids again, and a line that truly stands there twice counts twice. What cannot be seen: two
/// equal lines of one second that a rotation put in two files count once.
#[derive(Debug)]
pub struct Fingerprints {
    site: Site,
    /// How often a line came, by 8 bytes of its hash: 12 bytes a page view, and not the line.
    seen: HashMap<u64, u32>,
}

impl Fingerprints {
    /// For files of this site.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self { site, seen: HashMap::new() }
    }

    /// Begins another file.
    pub fn next_file(&mut self) {
        self.seen.clear();
    }

    /// The id of the file's next line, and the time that stands in it, not moved.
    pub fn id(&mut self, time: Timestamp, line: &[u8]) -> Uuid {
        let site = self.site.as_str().as_bytes();
        // A slug is shorter than 256 bytes, so its length ends it unmistakably.
        let hash = Sha256::new().chain_update([site.len() as u8]).chain_update(site).chain_update(line);
        let digest: [u8; 32] = hash.clone().finalize().into();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        let seen = self.seen.entry(u64::from_be_bytes(first)).or_insert(0);

        // The count is always four bytes, so it cannot be taken for the end of a line.
        let digest: [u8; 32] = hash.chain_update(seen.to_be_bytes()).finalize().into();
        *seen = seen.saturating_add(1);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[..6].copy_from_slice(&time.millis().to_be_bytes()[2..]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_known_again_and_repeats_are_told_apart() {
        let time = Timestamp::from_millis(1_431_857_105_000);
        let mut ids = Fingerprints::new(Site::default());
        let first = [b"a", b"b", b"a", b"a"].map(|line| ids.id(time, line));
        ids.next_file();
        let second = [b"a", b"b", b"a", b"a"].map(|line| ids.id(time, line));
        assert_eq!(first, second);
        let distinct: std::collections::HashSet<_> = first.into_iter().collect();
        assert_eq!(distinct.len(), 4);
        assert_eq!(first[0].get_version_num(), 8);
        assert!(ids.id(Timestamp::from_millis(1_431_857_104_999), b"z") < first[0], "earlier lines sort first");
    }

    #[test]
    fn sites_have_ids_of_their_own() {
        let id = |site: &str| Fingerprints::new(Site::parse(site).unwrap()).id(Timestamp::from_millis(0), b"a");
        assert_ne!(id("a"), id("b"));
    }
}
