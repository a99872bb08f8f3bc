//! Query parameters, parsed and bounded; none is ever silently replaced.

use std::convert::Infallible;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::App;
use crate::access::Caller;
use crate::collect::allowed_site;
use crate::identity::PseudonymOf;
use crate::outcome::{Code, Refusal};
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::time::{Day, Timestamp};

/// The parameters of a request's query, and who asks. Of a name that stands there twice, the first counts.
#[derive(Debug, Clone, Default)]
pub struct Params {
    values: Vec<(String, String)>,
    /// `None` where no check stood before the route: then no site may be read.
    caller: Option<Arc<Caller>>,
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

impl Params {
    /// Those of this request; bytes that are no UTF-8 become U+FFFD and then fail where they matter.
    #[must_use]
    pub fn of(request: &Parts) -> Self {
        let caller = request.extensions.get::<Arc<Caller>>().map(Arc::clone);
        Self { caller, ..Self::parse(request.uri.query().unwrap_or_default()) }
    }

    pub(crate) fn parse(query: &str) -> Self {
        Self { values: form_urlencoded::parse(query.as_bytes()).into_owned().collect(), caller: None }
    }

    /// All of them, in the order in which they were sent.
    #[must_use]
    pub fn all(&self) -> &[(String, String)] {
        &self.values
    }

    /// A parameter as it was sent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `site`, or the default one.
    ///
    /// # Errors
    /// `INVALID_SITE` when it is no slug, or not one of the configured sites; `FORBIDDEN` when the caller may
    /// not read it.
    pub fn site(&self, app: &App) -> Result<Site, Refusal> {
        self.site_named(app, self.get("site"))
    }

    /// The site of this name, as a body has it; `default` without one.
    ///
    /// # Errors
    /// As [`Self::site`].
    pub fn site_named(&self, app: &App, name: Option<&str>) -> Result<Site, Refusal> {
        let site = match name {
            None => Site::default(),
            Some(text) => Site::parse(text)
                .ok_or_else(|| Refusal::new(Code::InvalidSite, format!("site must be {}", Site::RULE)))?,
        };
        self.may_read(app, &site)?;
        Ok(site)
    }

    /// Whether the sender of the request may read this site.
    ///
    /// # Errors
    /// `INVALID_SITE` when it is not one of the configured sites; `FORBIDDEN` when the caller may not read it.
    pub fn may_read(&self, app: &App, site: &Site) -> Result<(), Refusal> {
        allowed_site(app, site)?;
        let may = self.caller.as_ref().is_some_and(|caller| caller.may_read(site));
        may.then_some(())
            .ok_or_else(|| Refusal::new(Code::Forbidden, "site must be one of those that the token is for"))
    }

    /// Who sent the request; `None` where no check stood before the route.
    #[must_use]
    pub const fn caller(&self) -> Option<&Arc<Caller>> {
        self.caller.as_ref()
    }

    /// What the events that the sender is shown can be linked by.
    #[must_use]
    pub fn pseudonyms(&self) -> PseudonymOf {
        self.caller.as_ref().map_or(PseudonymOf::Event, |caller| caller.pseudonyms())
    }

    /// The same for two requests that may read the same sites, as part of an answer's key.
    #[must_use]
    pub fn readers(&self) -> String {
        format!("{:?}", self.caller.as_ref().map(|caller| caller.sites()))
    }

    /// `period`, if it is there.
    ///
    /// # Errors
    /// `INVALID_PERIOD` when it is none.
    pub fn period(&self) -> Result<Option<Period>, Refusal> {
        self.get("period")
            .map(|text| {
                Period::parse(text)
                    .ok_or_else(|| Refusal::new(Code::InvalidPeriod, "period must be day, week or month"))
            })
            .transpose()
    }

    /// `period`, or the day, at `date`, or at `now`.
    ///
    /// # Errors
    /// `INVALID_PERIOD` or `INVALID_DATE`.
    pub fn period_key(&self, now: Timestamp) -> Result<PeriodKey, Refusal> {
        let day = match self.get("date") {
            None => now.day(),
            Some(text) => Day::parse(text).ok_or_else(|| {
                Refusal::new(Code::InvalidDate, "date must be a day from 1970-01-01 to 9999-12-31, as YYYY-MM-DD")
            })?,
        };
        Ok(PeriodKey::of(self.period()?.unwrap_or(Period::Day), day))
    }

    /// A whole number within bounds, or `default`.
    ///
    /// # Errors
    /// `code`, naming the bounds.
    pub fn number<T>(&self, name: &str, range: RangeInclusive<T>, default: T, code: Code) -> Result<T, Refusal>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let Some(text) = self.get(name) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            Refusal::new(code, format!("{name} must be a whole number from {} to {}", range.start(), range.end()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_their_range() {
        let limit = |query| Params::parse(query).number("limit", 1..=20, 5, Code::InvalidLimit);
        assert_eq!(limit("").unwrap(), 5);
        assert_eq!(limit("limit=20&limit=x").unwrap(), 20);
        for bad in ["limit=", "limit=0", "limit=21", "limit=-1", "limit=1.5", "limit=%FF", "limit=99999999999999999999"]
        {
            let refusal = limit(bad).unwrap_err();
            assert_eq!(
                (refusal.code, &*refusal.message),
                (Code::InvalidLimit, "limit must be a whole number from 1 to 20")
            );
        }
    }

    #[test]
    fn periods_and_dates() {
        let now = Timestamp::parse("2025-12-08T12:00:00Z").unwrap();
        let key = |query| Params::parse(query).period_key(now).map(|key| key.to_string());
        assert_eq!(key("").unwrap(), "2025-12-08");
        assert_eq!(key("period=week&date=2024-12-30").unwrap(), "2025-W01");
        assert_eq!(key("period=year").unwrap_err().code, Code::InvalidPeriod);
        assert_eq!(key("date=2025-02-30").unwrap_err().code, Code::InvalidDate);
    }
}
