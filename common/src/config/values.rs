//! What a variable can say, where it is more than a number or a text.

use std::fmt;
use std::path::PathBuf;

use super::DynamoDbUrl;
use super::reader::without_password;

/// Where events are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A database file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(String),
    /// A DynamoDB table, its endpoint and region if they are not the platform's.
    DynamoDb(DynamoDbUrl),
}

/// Without a password, as it may stand in a log.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
            Self::DynamoDb(table) => write!(f, "dynamodb:{table}"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What happens to visitors who bring no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityMode {
    /// They are told apart for a day by a salted hash.
    Cookieless,
    /// They are turned away with `MISSING_VISITOR`.
    Explicit,
}

/// Where trusted proxies name the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`: a list to which each proxy appends the address that it saw.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): the same with names, `for` among them.
    Forwarded,
    /// `X-Real-IP`: one address, which the proxy replaces.
    XRealIp,
    /// `CF-Connecting-IP`: the same, as Cloudflare calls it.
    CfConnectingIp,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}
