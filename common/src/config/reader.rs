//! Reads variables one by one and keeps the mistakes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;

use super::origin::origin;
use super::{AddressHeader, DynamoDbUrl, StoreUrl, VARIABLES, sqlite};
use crate::access::Tokens;
use crate::http::BASE_PATH;
use crate::measure::goals::GoalList;
use crate::measure::zone::Zone;

/// Variables whose values are secrets: mistakes in them do not repeat the value.
const SECRET: [&str; 3] = ["ANALYTICS_ADMIN_TOKEN", "ANALYTICS_JWT_KEYS", "ANALYTICS_JWT_SECRET"];
/// How many characters of a wrong value are repeated.
const MOST_REPEATED: usize = 200;

/// The most bytes of a file that a variable names.
const MOST_FILE: u64 = 1 << 20;

/// Variables and the mistakes in them.
#[derive(Debug)]
pub(super) struct Reader {
    vars: BTreeMap<String, String>,
    mistakes: Vec<String>,
}

impl Reader {
    pub(super) fn new(vars: BTreeMap<String, String>) -> Self {
        let mut mistakes = Vec::new();
        for name in vars.keys() {
            let ours = name.starts_with("ANALYTICS_") && !name.starts_with("ANALYTICS_TEST_");
            if ours && !VARIABLES.iter().any(|variable| variable.name == name) {
                let near = VARIABLES.iter().max_by(|a, b| {
                    let likeness = |other: &str| strsim::jaro_winkler(name, other);
                    likeness(a.name).total_cmp(&likeness(b.name))
                });
                let hint = near.map(|near| format!("; did you mean {}?", near.name)).unwrap_or_default();
                mistakes.push(format!("{name} is not known{hint}"));
            }
        }
        Self { vars, mistakes }
    }

    pub(super) fn mistake(&mut self, mistake: String) {
        self.mistakes.push(mistake);
    }

    pub(super) fn finish(self) -> Vec<String> {
        self.mistakes
    }

    fn given(&self, name: &str) -> Option<String> {
        self.vars.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Where events are; says of a DynamoDB table which part is wrong.
    pub(super) fn store(&mut self) -> StoreUrl {
        let table = self.given("ANALYTICS_STORE");
        if let Some(Err(mistake)) =
            table.as_deref().and_then(|text| text.strip_prefix("dynamodb:")).map(DynamoDbUrl::parse)
        {
            self.mistake(format!("in ANALYTICS_STORE {mistake}"));
            self.vars.remove("ANALYTICS_STORE");
        }
        if let Some(hint) = table.as_deref().and_then(sqlite::hint) {
            let shown = shown(table.as_deref().unwrap_or_default());
            self.mistake(format!("ANALYTICS_STORE is {shown}: {hint}"));
            self.vars.remove("ANALYTICS_STORE");
        }
        self.parse("ANALYTICS_STORE", "sqlite:PATH, postgres://… or dynamodb:TABLE", store_url)
    }

    /// A list of origins; names each that no browser sends.
    pub(super) fn origins(&mut self, name: &str) -> Vec<String> {
        let given = self.given(name).unwrap_or_default();
        let items = given.split(',').map(str::trim).filter(|item| !item.is_empty());
        let mut origins = Vec::new();
        for item in items {
            match origin(item) {
                Ok(origin) => origins.push(origin),
                Err(why) => self.mistake(format!("{name} has {item:?}, which {why}; an origin is https://example.com")),
            }
        }
        origins
    }

    /// Goals, given as a list or as the file that has it; says of each what is wrong with it.
    pub(super) fn goals(&mut self) -> GoalList {
        let name = "ANALYTICS_GOALS";
        let Some(given) = self.given(name) else { return GoalList::default() };
        let text = if given.starts_with('[') { Ok(given) } else { file(&given) };
        let parsed = text.and_then(|text| GoalList::parse(&text).map_err(|mistakes| mistakes.join("; ")));
        parsed.unwrap_or_else(|mistake| {
            self.mistake(format!("{name} is not a list of goals: {mistake}"));
            GoalList::default()
        })
    }

    /// The tokens that are accepted, given as a list or as the file that has it, and the one of admin calls.
    pub(super) fn tokens(&mut self) -> Tokens {
        let name = "ANALYTICS_TOKENS";
        let mut tokens = self.given(name).map_or_else(Tokens::default, |given| {
            // What is no list may be a token, and is not repeated.
            let unread = |_| "it is neither a JSON list nor a file that can be read".to_owned();
            let text = if given.starts_with('[') { Ok(given) } else { file(&given).map_err(unread) };
            text.and_then(|text| Tokens::parse(&text)).unwrap_or_else(|mistake| {
                self.mistake(format!("{name} is not a list of tokens: {mistake}"));
                Tokens::default()
            })
        });
        let admin = self.optional("ANALYTICS_ADMIN_TOKEN", "at least 16 characters", |text| {
            (text.len() >= 16).then(|| text.to_owned())
        });
        if let Some(token) = admin {
            tokens.accept_admin(&token);
        }
        tokens
    }

    /// A variable without which there is nothing.
    pub(super) fn optional<T>(&mut self, name: &str, rule: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let given = self.given(name)?;
        let value = parse(&given);
        if value.is_none() {
            let is = if SECRET.contains(&name) { String::new() } else { format!(", and is {}", shown(&given)) };
            self.mistake(format!("{name} must be {rule}{is}"));
        }
        value
    }

    /// A variable with a default, which also stands in after a mistake.
    ///
    /// # Panics
    /// When the default itself is a mistake: every test would notice.
    pub(super) fn parse<T>(&mut self, name: &str, rule: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        if let Some(value) = self.optional(name, rule, &parse) {
            return value;
        }
        let default = VARIABLES.iter().find(|variable| variable.name == name).map_or("", |variable| variable.default);
        match parse(default) {
            Some(value) => value,
            None => panic!("the default of {name} is not {rule}"),
        }
    }

    pub(super) fn number<T: FromStr + PartialOrd + fmt::Display>(&mut self, name: &str, range: RangeInclusive<T>) -> T {
        let rule = format!("a whole number from {} to {}", range.start(), range.end());
        self.parse(name, &rule, |text| text.parse().ok().filter(|number| range.contains(number)))
    }

    pub(super) fn list<T>(&mut self, name: &str, rule: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        self.optional(name, rule, |text| {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(&parse).collect()
        })
        .unwrap_or_default()
    }
}

/// What is in a file that a variable names.
pub(super) fn file(path: &str) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("the file {path} cannot be read: {error}"))?.len();
    if size > MOST_FILE {
        return Err(format!("the file {path} has more than {MOST_FILE} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("the file {path} cannot be read: {error}"))
}

/// A wrong value as a mistake repeats it: without a password, quoted, and cut.
fn shown(value: &str) -> String {
    let value = without_password(value);
    let cut: String = value.chars().take(MOST_REPEATED).collect();
    let more = if cut.len() < value.len() { "…" } else { "" };
    format!("{cut:?}{more}")
}

/// An address without user, password and parameters; everything else as it is.
pub(super) fn without_password(value: &str) -> String {
    if value.starts_with("sqlite:") || value.starts_with("dynamodb:") {
        return value.to_owned();
    }
    if value.to_lowercase().contains("password") && !value.contains("://") {
        return "…".to_owned();
    }
    let (scheme, rest) = value.split_once("://").map_or(("", value), |(scheme, rest)| (scheme, rest));
    let separator = if scheme.is_empty() { "" } else { "://" };
    // The last one: a password that was not escaped may hold another.
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, rest)| ("…@", rest));
    let (rest, parameters) = match rest.split_once('?') {
        Some((rest, _)) if !scheme.is_empty() => (rest, "?…"),
        _ => (rest, ""),
    };
    format!("{scheme}{separator}{user}{rest}{parameters}")
}

pub(super) fn store_url(text: &str) -> Option<StoreUrl> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Some(StoreUrl::Postgres(text.to_owned()));
    }
    match text.split_once(':')? {
        ("sqlite", path) if !path.is_empty() && sqlite::hint(text).is_none() => Some(StoreUrl::Sqlite(path.into())),
        ("dynamodb", table) => DynamoDbUrl::parse(table).ok().map(StoreUrl::DynamoDb),
        _ => None,
    }
}

pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

pub(super) fn address_header(text: &str) -> Option<AddressHeader> {
    match text.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => Some(AddressHeader::XForwardedFor),
        "forwarded" => Some(AddressHeader::Forwarded),
        "x-real-ip" => Some(AddressHeader::XRealIp),
        "cf-connecting-ip" => Some(AddressHeader::CfConnectingIp),
        _ => None,
    }
}

/// What begins with these is served already.
const SERVED: [&str; 8] =
    ["/health", "/metrics", "/ws", "/dashboard", "/assets", "/openapi.json", "/script.js", BASE_PATH];

pub(super) fn collect_path(text: &str) -> Option<String> {
    let below = |root: &&str| text.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let valid = text.len() <= 100 && text.strip_prefix('/')?.split('/').all(is_segment) && !SERVED.iter().any(below);
    valid.then(|| text.to_owned())
}

pub(super) fn script_name(text: &str) -> Option<String> {
    let valid = text.len() <= 64 && is_segment(text) && text.strip_suffix(".js")?.bytes().any(|byte| byte != b'.');
    valid.then(|| text.to_owned())
}

/// Whether it can stand between two slashes as it is, and is no way to another folder.
fn is_segment(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && text.bytes().all(plain) && text != "." && text != ".."
}

/// Without the database any name will do: nothing that needs the zone is part of the program.
pub(super) fn time_zone(text: &str) -> Option<Zone> {
    if cfg!(feature = "queries") { Zone::parse(text) } else { Some(Zone::UTC) }
}

pub(super) fn time_of_day(text: &str) -> Option<(u8, u8)> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| (part.len() == 2).then(|| part.parse::<u8>().ok()).flatten();
    Some((digits(hour)?, digits(minute)?)).filter(|(hour, minute)| *hour < 24 && *minute < 60)
}
