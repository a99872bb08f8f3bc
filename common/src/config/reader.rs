//! Reads variables one by one and keeps the mistakes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;

use super::origin::origin;
use super::{AddressHeader, DynamoDbUrl, StoreUrl, VARIABLES};

/// Names, not values: a value may be a secret, so mistakes do not repeat it.
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
        self.parse("ANALYTICS_STORE", "sqlite:PATH, postgres://… or dynamodb:TABLE", store_url)
    }

    /// Where browsers may send from; names each that no browser sends.
    pub(super) fn origins(&mut self) -> Vec<String> {
        let name = "ANALYTICS_ALLOWED_ORIGINS";
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

    /// A variable without which there is nothing.
    pub(super) fn optional<T>(&mut self, name: &str, rule: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = parse(&self.given(name)?);
        if value.is_none() {
            self.mistake(format!("{name} must be {rule}"));
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

pub(super) fn store_url(text: &str) -> Option<StoreUrl> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Some(StoreUrl::Postgres(text.to_owned()));
    }
    match text.split_once(':')? {
        ("sqlite", path) if !path.is_empty() => Some(StoreUrl::Sqlite(path.into())),
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

pub(super) fn time_of_day(text: &str) -> Option<(u8, u8)> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| (part.len() == 2).then(|| part.parse::<u8>().ok()).flatten();
    Some((digits(hour)?, digits(minute)?)).filter(|(hour, minute)| *hour < 24 && *minute < 60)
}
