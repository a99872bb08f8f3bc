//! The query language of retention.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::csv::Csv;
use super::input::{Result, number, object, refused};
use super::{Context, Query, link, parse_zone};
use crate::measure::question::buckets::weekday;
use crate::measure::question::retention::{Cohort, Retention, RetentionAnswer};
use crate::measure::question::{Buckets, Number, Range, TimeUnit};
use crate::outcome::Code;

pub(super) const KEYS: [&str; 3] = ["site", "timezone", "weeks"];
pub(super) const DEFAULT_WEEKS: usize = 12;
/// What must be said with the results.
const NOTE: &str = "only visitors with an explicit id are counted: a cookieless visitor has another id every day";

/// A question about retention that was checked.
#[derive(Debug, Clone)]
pub struct RetentionQuery {
    /// What to compute.
    pub retention: Retention,
    json: Value,
}

impl RetentionQuery {
    /// Checks and resolves a query for retention.
    ///
    /// # Errors
    /// A refusal that names the place of the mistake and what is allowed there.
    pub fn parse(value: &Value, context: &Context<'_>) -> Result<Self> {
        let map = object(value, "the query", &KEYS)?;
        let site = Query::site(value)?;
        let zone = parse_zone(map, context)?;
        let followed =
            number(map.get("weeks"), "weeks", (1, Retention::MOST_WEEKS), DEFAULT_WEEKS, Code::InvalidQuery)?;
        let today = zone.day(context.now);
        let first = context.first_day.map_or(today, |day| zone.day(day.start())).min(today);
        // Whole weeks: the first one starts on a Monday, and is not named by the first day of data.
        let monday = first.plus(-weekday(first));
        let start = zone.start_of_day(monday);
        let end = zone.start_of_day(today.plus(7 - weekday(today))).max(start);
        let weeks = Buckets::new(TimeUnit::Week, Range { start, end }, &zone);
        let weeks = weeks.ok_or_else(|| refused("there are too many weeks of data"))?;
        let json = json!({"site": site.as_str(), "timezone": zone.name(), "weeks": followed});
        Ok(Self { retention: Retention { site, weeks, followed }, json })
    }

    /// The query as interpreted.
    #[must_use]
    pub const fn canonical(&self) -> &Value {
        &self.json
    }

    /// The query string of a link that asks it again: `q=…`.
    #[must_use]
    pub fn link(&self) -> String {
        link(&self.json)
    }

    /// What distinguishes it from queries with another answer, as long as the data is the same.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {:?}", self.json, self.retention.weeks.labels())
    }

    /// The answer, with the weeks' dates and percentages.
    #[must_use]
    pub fn results(&self, answer: &RetentionAnswer) -> RetentionResults {
        let labels = self.retention.weeks.labels();
        let running = labels.len().saturating_sub(1);
        let first = answer.cohorts.iter().map(|cohort| cohort.week).min();
        let row = |cohort: &Cohort| {
            let percent = |visitors: &u64| Number::ratio(i128::from(*visitors) * 100, cohort.visitors, 2);
            let last = cohort.week + cohort.returned.len().saturating_sub(1);
            CohortResult {
                week: labels.get(cohort.week).cloned().unwrap_or_default(),
                visitors: cohort.visitors,
                returned: cohort.returned.clone(),
                rates: cohort.returned.iter().map(percent).collect(),
                first: Some(cohort.week) == first,
                running: !cohort.returned.is_empty() && last == running,
            }
        };
        RetentionResults { results: answer.cohorts.iter().map(row).collect(), note: NOTE }
    }
}

/// What a client gets.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RetentionResults {
    /// The cohorts, oldest first.
    pub results: Vec<CohortResult>,
    /// Who is counted.
    pub note: &'static str,
}

/// The visitors of one week, and how many of them returned.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct CohortResult {
    /// The Monday of the week.
    pub week: String,
    /// How many visitors it has.
    pub visitors: u64,
    /// How many of them came in that week, the next one, and so on.
    pub returned: Vec<u64>,
    /// The same in percent.
    pub rates: Vec<Option<Number>>,
    /// Whether it is the first cohort, whose visitors may have come before what is kept.
    pub first: bool,
    /// Whether the last of the weeks is not over yet.
    pub running: bool,
}

impl RetentionResults {
    /// The results as CSV, a line for each cohort and week.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut csv = Csv::default();
        for name in ["week", "visitors", "weeks_later", "returned", "rate"] {
            csv.text(name);
        }
        csv.end_line();
        for cohort in &self.results {
            for (later, (returned, rate)) in cohort.returned.iter().zip(&cohort.rates).enumerate() {
                csv.text(&cohort.week);
                csv.number(Some(Number::count(cohort.visitors)));
                csv.number(Some(Number::count(later as u64)));
                csv.number(Some(Number::count(*returned)));
                csv.number(*rate);
                csv.end_line();
            }
        }
        csv.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Day, Timestamp};

    #[test]
    fn weeks_run_from_the_first_data_to_now() {
        let mut context = Context::at(Timestamp::parse("2026-11-20T12:00:00Z").unwrap());
        context.first_day = Day::parse("2026-11-01");
        let query = RetentionQuery::parse(&json!({"weeks": 3}), &context).unwrap();
        assert_eq!(query.retention.weeks.labels(), ["2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"]);
        let answer = RetentionAnswer {
            cohorts: vec![
                Cohort { week: 0, visitors: 1, returned: vec![1, 1, 0] },
                Cohort { week: 1, visitors: 3, returned: vec![3, 0, 2] },
            ],
        };
        let results = query.results(&answer).results;
        assert_eq!((results[0].week.as_str(), results[0].first, results[0].running), ("2026-10-26", true, false));
        assert_eq!((results[1].week.as_str(), results[1].first, results[1].running), ("2026-11-02", false, true));
        assert_eq!(results[1].rates[2].unwrap().to_string(), "66.67");
        let refusal = RetentionQuery::parse(&json!({"weeks": 54}), &context).unwrap_err();
        assert_eq!(refusal.message, "weeks must be a whole number from 1 to 53");
    }
}
