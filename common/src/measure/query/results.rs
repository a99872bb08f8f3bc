//! What a client gets: rows in order, with comparison, and what there is to say about them.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::compare::change;
use super::{Query, order};
use crate::measure::question::{Answer, Answered, Dimension, Metric, Number, Question, Range, ResultRow, VisitorCount};
use crate::measure::zone::Zone;
use crate::time::{Day, Timestamp};

/// The rows of one page.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Results {
    /// The rows, in order.
    pub results: Vec<Row>,
    /// How many rows there are on all pages.
    pub total_rows: usize,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Row {
    /// The value of each dimension.
    pub dimensions: Vec<String>,
    /// The value of each metric.
    pub metrics: Vec<Option<Number>>,
    /// The row of the range that is compared with; only there if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<ComparedRow>,
}

/// The row that a row is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ComparedRow {
    /// The value of each dimension; null where the other range has no such bucket of time.
    pub dimensions: Option<Vec<String>>,
    /// The value of each metric.
    pub metrics: Vec<Option<Number>>,
    /// How each metric changed since: whole percent, points for `bounce_rate`.
    pub change: Vec<Option<Number>>,
}

/// What there is to say about results.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
// All functions are described in one document, where a name stands for one schema.
#[schema(as = QueryMeta)]
pub struct Meta {
    /// The query as interpreted.
    #[schema(value_type = Object)]
    pub query: Value,
    /// The instants that are covered, the second one not included.
    #[schema(value_type = [String; 2])]
    pub range: [Timestamp; 2],
    /// The instants that are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<[String; 2]>)]
    pub comparison_range: Option<[Timestamp; 2]>,
    /// Whether events may still arrive that change the results.
    pub provisional: bool,
    /// `distinct`, `daily` or `mixed`: whether a visitor counts once, or once on each day.
    pub visitors: &'static str,
    /// The release of the time zone database.
    pub timezone_database: &'static str,
    /// Dimensions of which not all values are kept; the rest is `(other)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capped: Vec<String>,
    /// `used`, `partly` or `impossible`: what daily summaries did for days whose events have expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summaries: Option<&'static str>,
    /// Why summaries could not answer everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summaries_reason: Option<String>,
    /// The first day whose events are still kept, if the range starts earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub first_day_of_events: Option<Day>,
    /// All labels of the first time dimension, those without a row too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_labels: Option<Vec<String>>,
}

/// What there is to say about results that only events can give.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct EventsMeta {
    /// `impossible` if events of days that the query is about have expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summaries: Option<&'static str>,
    /// Why the summaries of these days do not answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summaries_reason: Option<&'static str>,
    /// The first day whose events are still kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub first_day_of_events: Option<Day>,
}

impl EventsMeta {
    /// Of an answer that lacks the days before this one, if it does.
    pub(in crate::measure) fn since(first_day_of_events: Option<Day>) -> Self {
        Self {
            summaries: first_day_of_events.map(|_| "impossible"),
            summaries_reason: first_day_of_events.map(|_| "summaries do not tell which visitors did what after what"),
            first_day_of_events,
        }
    }
}

impl Query {
    /// Orders, pages and compares the answers to [`Query::question`] and [`Query::comparison`].
    #[must_use]
    pub fn results(&self, answer: Answer, comparison: Option<Answer>) -> (Results, Meta) {
        let meta = self.meta(&answer, comparison.as_ref());
        let total_rows = answer.rows.len();
        let rows = order::page(answer.rows, &self.question);
        let other = self.comparison.as_ref().zip(comparison);
        let compared = other.as_ref().map(|(question, answer)| Compared::new(&self.question, question, &answer.rows));
        let row = |row: ResultRow| {
            let comparison = compared.as_ref().map(|compared| compared.row(&row));
            Row { dimensions: row.dimensions, metrics: row.metrics, comparison }
        };
        (Results { results: rows.into_iter().map(row).collect(), total_rows }, meta)
    }

    fn meta(&self, answer: &Answer, comparison: Option<&Answer>) -> Meta {
        let instants = |range: Range| [range.start, range.end];
        let answers = || [Some(answer), comparison].into_iter().flatten();
        let mut capped: Vec<&Dimension> = answers().flat_map(|answer| &answer.capped).collect();
        capped.sort_unstable();
        capped.dedup();
        let summaries = answers().filter_map(|answer| answer.summaries.as_ref());
        let summaries = summaries.max_by_key(|summaries| summaries.answered as u8);
        Meta {
            query: self.canonical().clone(),
            range: instants(self.question.range),
            comparison_range: self.comparison.as_ref().map(|question| instants(question.range)),
            provisional: self.provisional,
            visitors: match answer.visitors {
                VisitorCount::Distinct => "distinct",
                VisitorCount::Daily => "daily",
                VisitorCount::Mixed => "mixed",
            },
            timezone_database: Zone::database_version(),
            capped: capped.into_iter().map(Dimension::to_string).collect(),
            summaries: summaries.map(|summaries| match summaries.answered {
                Answered::All => "used",
                Answered::Some => "partly",
                Answered::None => "impossible",
            }),
            summaries_reason: summaries.and_then(|summaries| summaries.reason.clone()),
            first_day_of_events: summaries.map(|summaries| summaries.first_day_of_events),
            time_labels: self
                .question
                .buckets
                .first()
                .filter(|_| self.time_labels)
                .map(|buckets| buckets.labels().to_vec()),
        }
    }
}

/// The places of labels, and the labels of another range.
type Labels<'a> = (HashMap<&'a str, usize>, &'a [String]);

/// The rows of the range that is compared with, to be looked up.
struct Compared<'a> {
    metrics: &'a [Metric],
    /// Of each time dimension, the place of a label in the asked range, and the labels of the other range.
    labels: Vec<Option<Labels<'a>>>,
    rows: HashMap<&'a [String], &'a ResultRow>,
}

impl<'a> Compared<'a> {
    fn new(question: &'a Question, other: &'a Question, rows: &'a [ResultRow]) -> Self {
        let mut buckets = other.buckets.iter();
        let pair = |places: Option<HashMap<&'a str, usize>>| Some((places?, buckets.next()?.labels()));
        Self {
            metrics: &question.metrics,
            labels: order::places(question).into_iter().map(pair).collect(),
            rows: rows.iter().map(|row| (row.dimensions.as_slice(), row)).collect(),
        }
    }

    fn row(&self, row: &ResultRow) -> ComparedRow {
        let dimensions = row.dimensions.iter().zip(&self.labels).map(|(value, labels)| match labels {
            Some((places, labels)) => labels.get(*places.get(value.as_str())?).cloned(),
            None => Some(value.clone()),
        });
        let dimensions = dimensions.collect::<Option<Vec<_>>>();
        let other = dimensions.as_ref().map(|dimensions| self.rows.get(dimensions.as_slice()));
        let metrics: Vec<_> = match other {
            Some(Some(other)) => other.metrics.clone(),
            Some(None) => self.metrics.iter().map(|metric| self.of_nothing(*metric)).collect(),
            None => vec![None; self.metrics.len()],
        };
        let pairs = self.metrics.iter().zip(metrics.iter().zip(&row.metrics));
        let change = pairs.map(|(metric, (before, after))| change(*metric, *before, *after)).collect();
        ComparedRow { dimensions, metrics, change }
    }

    /// A metric of a row that does not exist: no visitors, of some or of none.
    fn of_nothing(&self, metric: Metric) -> Option<Number> {
        match metric {
            count if count.is_count() => Some(Number::whole(0)),
            Metric::Percentage | Metric::ConversionRate if !self.rows.is_empty() => {
                Number::ratio(0, 1, metric.decimals())
            }
            _ => None,
        }
    }
}
