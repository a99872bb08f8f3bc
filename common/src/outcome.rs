//! What became of a received event, and why.

use std::fmt;

use uuid::Uuid;

use crate::site::Site;

/// Why a request, or one event of a batch, was turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the contract; `as_str` spells them")]
pub enum Code {
    InvalidPeriod,
    InvalidDate,
    InvalidLimit,
    InvalidOffset,
    InvalidCursor,
    InvalidHours,
    InvalidVisitor,
    InvalidQuery,
    InvalidSite,
    InvalidEvent,
    InvalidJson,
    InvalidShare,
    NameTaken,
    Conflict,
    MissingVisitor,
    PayloadTooLarge,
    RateLimited,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Unavailable,
    StoreFull,
    Internal,
}

impl Code {
    /// Those with which events are turned down one by one.
    pub const OF_EVENTS: [Self; 7] = [
        Self::InvalidEvent,
        Self::InvalidJson,
        Self::InvalidSite,
        Self::MissingVisitor,
        Self::PayloadTooLarge,
        Self::RateLimited,
        Self::StoreFull,
    ];

    /// The code on the wire, such as `INVALID_EVENT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidPeriod => "INVALID_PERIOD",
            Self::InvalidDate => "INVALID_DATE",
            Self::InvalidLimit => "INVALID_LIMIT",
            Self::InvalidOffset => "INVALID_OFFSET",
            Self::InvalidCursor => "INVALID_CURSOR",
            Self::InvalidHours => "INVALID_HOURS",
            Self::InvalidVisitor => "INVALID_VISITOR",
            Self::InvalidQuery => "INVALID_QUERY",
            Self::InvalidSite => "INVALID_SITE",
            Self::InvalidEvent => "INVALID_EVENT",
            Self::InvalidJson => "INVALID_JSON",
            Self::InvalidShare => "INVALID_SHARE",
            Self::NameTaken => "NAME_TAKEN",
            Self::Conflict => "CONFLICT",
            Self::MissingVisitor => "MISSING_VISITOR",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::Unavailable => "UNAVAILABLE",
            Self::StoreFull => "STORE_FULL",
            Self::Internal => "INTERNAL",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The sender's mistake: a code for programs, and what is wrong and what is allowed for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Which kind of mistake.
    pub code: Code,
    /// The site that the event named, as far as it could be read.
    pub site: Option<Site>,
    /// What is wrong and what is allowed; never a value that could identify someone.
    pub message: String,
}

impl Refusal {
    /// A refusal that says `message`.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, site: None, message: message.into() }
    }

    /// The same with the place of the mistake before what is wrong there.
    #[must_use]
    pub fn at(self, place: &str) -> Self {
        Self { message: format!("{place} {}", self.message), ..self }
    }
}

/// Why a good event was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// The user agent is a known bot's.
    Bot,
    /// The visitor asked not to be tracked: `DNT: 1` or `Sec-GPC: 1`.
    OptOut,
    /// A page of an origin sent it that `ANALYTICS_ALLOWED_ORIGINS` does not list.
    Origin,
    /// Its address is in one of the networks of `ANALYTICS_IGNORE`.
    Ignored,
}

impl Filter {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bot, Self::OptOut, Self::Origin, Self::Ignored];

    /// The reason on the wire and in labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::OptOut => "opt_out",
            Self::Origin => "origin",
            Self::Ignored => "ignored",
        }
    }
}

/// What became of one received event. Each ends in exactly one of these, which is counted:
/// `received = stored + duplicate + filtered + rejected + failed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Durable and counted.
    Stored(Uuid),
    /// Was stored before; nothing was counted again.
    Duplicate(Uuid),
    /// Good, and left out on purpose.
    Filtered(Filter),
    /// The sender's mistake.
    Rejected(Refusal),
    /// Our fault; it may be sent again with the same `event_id`.
    Failed,
}

impl Outcome {
    /// What it counts as if the event was not stored; `None` if it was.
    #[must_use]
    pub const fn not_stored(&self) -> Option<NotStored> {
        match self {
            Self::Stored(_) => None,
            Self::Duplicate(_) => Some(NotStored::Duplicate),
            Self::Filtered(filter) => Some(NotStored::Filtered(*filter)),
            Self::Rejected(refusal) => Some(NotStored::Rejected(refusal.code)),
            Self::Failed => Some(NotStored::Failed),
        }
    }

    /// Whether the store had no room for it.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Rejected(Refusal { code: Code::StoreFull, .. }))
    }
}

/// What became of an event that was not stored: a closed set, so that counters by it are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotStored {
    /// It was stored before.
    Duplicate,
    /// It was left out on purpose.
    Filtered(Filter),
    /// It was the sender's mistake.
    Rejected(Code),
    /// It was our fault.
    Failed,
}

impl NotStored {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let filtered = Filter::ALL.into_iter().map(Self::Filtered);
        let rejected = Code::OF_EVENTS.into_iter().map(Self::Rejected);
        [Self::Duplicate, Self::Failed].into_iter().chain(filtered).chain(rejected)
    }

    /// The outcome on the wire and in labels.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Filtered(_) => "filtered",
            Self::Rejected(_) => "rejected",
            Self::Failed => "failed",
        }
    }

    /// The reason on the wire and in labels; empty where there is only one.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Duplicate | Self::Failed => "",
            Self::Filtered(filter) => filter.as_str(),
            Self::Rejected(code) => code.as_str(),
        }
    }

    /// One text of both, as engines store it. It never changes.
    #[must_use]
    pub fn name(self) -> String {
        format!("{}/{}", self.outcome(), self.reason())
    }

    /// From that text; `None` if it is none of them, such as one of a newer release.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|outcome| outcome.name() == name)
    }
}
