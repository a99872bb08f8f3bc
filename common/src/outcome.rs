//! What became of a received event, and why.

use std::fmt;

use uuid::Uuid;

/// Why a request, or one event of a batch, was turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the contract; `as_str` spells them")]
pub enum Code {
    InvalidPeriod,
    InvalidDate,
    InvalidLimit,
    InvalidOffset,
    InvalidCursor,
    InvalidHours,
    InvalidQuery,
    InvalidSite,
    InvalidEvent,
    InvalidJson,
    MissingVisitor,
    PayloadTooLarge,
    RateLimited,
    Unauthorized,
    NotFound,
    MethodNotAllowed,
    Unavailable,
    Internal,
}

impl Code {
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
            Self::InvalidQuery => "INVALID_QUERY",
            Self::InvalidSite => "INVALID_SITE",
            Self::InvalidEvent => "INVALID_EVENT",
            Self::InvalidJson => "INVALID_JSON",
            Self::MissingVisitor => "MISSING_VISITOR",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::Unavailable => "UNAVAILABLE",
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
    /// What is wrong and what is allowed; never a value that could identify someone.
    pub message: String,
}

impl Refusal {
    /// A refusal that says `message`.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Why a good event was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
