//! Visitors, stored and shown.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

/// An opaque UUID that stands for a visitor; never derived reversibly from an address.
///
/// This is the stored one. Outside only its pseudonym is shown (see [`crate::identity`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VisitorId(Uuid);

impl VisitorId {
    /// Parses any common spelling of a UUID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// Its sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl From<Uuid> for VisitorId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

/// What is shown of an event's visitor: of no use for sending events in their name, nor for linking
/// the events of one visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Pseudonym(pub(crate) Uuid);

impl Pseudonym {
    /// Parses any common spelling of a UUID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
