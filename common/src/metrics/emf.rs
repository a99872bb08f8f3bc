//! The families as CloudWatch embedded metric format lines: what Lambda has in place of a scrape.
//!
//! A line is a JSON object that CloudWatch reads metrics from and keeps as a log line. An
//! environment tells with each invocation what has changed since the one before: how much was
//! counted, what was observed, which gauges moved. It takes as few lines as it can, since lines
//! are paid for by their length: mostly one.
//!
//! Every combination of dimensions is a metric that is paid for, and an environment that
//! starts anew would begin a new cap: so only labels with closed sets of values are dimensions.
//! What senders choose (paths, themes, their own event types) is added up, and written nowhere.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use prometheus::proto::{Metric, MetricFamily, MetricType};
use serde_json::{Map, Value, json};

use super::Metrics;
use crate::event_type::EventType;
use crate::time::Timestamp;

/// The CloudWatch namespace of all families.
pub const NAMESPACE: &str = "maicivy/analytics";

/// The labels that have a closed set of values, and are dimensions.
const CLOSED: [&str; 12] = [
    "direction",
    "endpoint",
    "kind",
    "method",
    "operation",
    "outcome",
    "query_type",
    "reason",
    "state",
    "status",
    "type",
    "version",
];

/// Remembers what was told, so that each line tells what is new.
#[derive(Debug, Default)]
pub struct Emf(Mutex<HashMap<Series, Reading>>);

/// A family's name and the dimensions that are left of its labels.
type Series = (String, Dimensions);
type Dimensions = BTreeMap<String, String>;

/// What a series has come to: a value, or a sum and how many observations it is of.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Reading {
    sum: f64,
    observations: u64,
}

/// How a family is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Emf {
    /// Writes what is new to `out`, and flushes it. Every line names the function and the platform's id of the request.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(
        &self,
        metrics: &Metrics,
        function: &str,
        request_id: &str,
        now: Timestamp,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let mut lines = Vec::new();
        for line in lines_of(self.news(&metrics.gather())) {
            serde_json::to_writer(&mut lines, &line.to_json(function, request_id, now))?;
            lines.push(b'\n');
        }
        out.write_all(&lines)?;
        out.flush()
    }

    fn news(&self, families: &[MetricFamily]) -> BTreeMap<Dimensions, Vec<New>> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut news = BTreeMap::<Dimensions, Vec<New>>::new();
        for family in families {
            let Some(kind) = kind(family) else { continue };
            for (dimensions, reading) in readings(family, kind) {
                let before = told.insert((family.name().to_owned(), dimensions.clone()), reading);
                let value = change(kind, before.unwrap_or_default(), reading);
                if let Some(value) = value {
                    let unit = unit(family.name(), kind);
                    news.entry(dimensions).or_default().push(New { name: family.name().to_owned(), unit, value });
                }
            }
        }
        news
    }
}

/// One metric of a line.
#[derive(Debug)]
struct New {
    name: String,
    unit: &'static str,
    value: Value,
}

fn kind(family: &MetricFamily) -> Option<Kind> {
    match family.get_field_type() {
        MetricType::COUNTER => Some(Kind::Counter),
        MetricType::GAUGE => Some(Kind::Gauge),
        MetricType::HISTOGRAM => Some(Kind::Histogram),
        MetricType::SUMMARY | MetricType::UNTYPED => None,
    }
}

/// A family's samples, those added up that differ in labels only which are no dimensions.
fn readings(family: &MetricFamily, kind: Kind) -> BTreeMap<Dimensions, Reading> {
    let mut readings = BTreeMap::<Dimensions, Reading>::new();
    for metric in family.get_metric() {
        let reading = readings.entry(dimensions(metric)).or_default();
        match kind {
            Kind::Counter => reading.sum += metric.get_counter().get_value(),
            Kind::Gauge => reading.sum += metric.get_gauge().get_value(),
            Kind::Histogram => {
                reading.sum += metric.get_histogram().get_sample_sum();
                reading.observations += metric.get_histogram().get_sample_count();
            }
        }
    }
    readings
}

fn dimensions(metric: &Metric) -> Dimensions {
    let labels = metric.get_label().iter();
    labels.filter_map(|label| Some((label.name().to_owned(), dimension(label.name(), label.value())?))).collect()
}

/// The value that a label has as a dimension, if it is one. CloudWatch takes no empty values.
fn dimension(label: &str, value: &str) -> Option<String> {
    match label {
        "event_type" => EventType::parse(value).map(|event_type| event_type.static_name().to_owned()),
        label if CLOSED.contains(&label) && !value.is_empty() => Some(value.to_owned()),
        _ => None,
    }
}

/// What is new, if anything is. Of several observations the mean is written as often as there were
/// observations, so that count and sum are right.
fn change(kind: Kind, before: Reading, now: Reading) -> Option<Value> {
    let sum = now.sum - before.sum;
    match kind {
        Kind::Counter => (sum > 0.0).then(|| json!(sum)),
        Kind::Gauge => (now != before).then(|| json!(now.sum)),
        Kind::Histogram => match now.observations - before.observations {
            0 => None,
            1 => Some(json!(sum)),
            count => Some(json!({"Values": [sum / count as f64], "Counts": [count]})),
        },
    }
}

fn unit(name: &str, kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "Count",
        _ if name.ends_with("_seconds") && !name.contains("timestamp") => "Seconds",
        _ => "None",
    }
}

/// One line: what is said of several combinations of dimensions, as long as they agree.
#[derive(Debug, Default)]
struct Line {
    values: Map<String, Value>,
    directives: Vec<Value>,
}

/// Puts each combination of dimensions into the first line that says nothing else of them.
fn lines_of(news: BTreeMap<Dimensions, Vec<New>>) -> Vec<Line> {
    let mut lines = Vec::<Line>::new();
    for (dimensions, news) in news {
        let at = lines.iter().position(|line| line.agrees(&dimensions, &news)).unwrap_or_else(|| {
            lines.push(Line::default());
            lines.len() - 1
        });
        lines[at].add(&dimensions, news);
    }
    lines
}

impl Line {
    fn agrees(&self, dimensions: &Dimensions, news: &[New]) -> bool {
        dimensions.iter().all(|(name, value)| self.values.get(name).is_none_or(|said| said == value))
            && news.iter().all(|new| !self.values.contains_key(&new.name))
    }

    fn add(&mut self, dimensions: &Dimensions, news: Vec<New>) {
        let names: Vec<&str> = ["function"].into_iter().chain(dimensions.keys().map(String::as_str)).collect();
        let metrics: Vec<Value> = news.iter().map(|new| json!({"Name": new.name, "Unit": new.unit})).collect();
        self.directives.push(json!({"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics}));
        self.values.extend(dimensions.iter().map(|(name, value)| (name.clone(), json!(value))));
        self.values.extend(news.into_iter().map(|new| (new.name, new.value)));
    }

    fn to_json(&self, function: &str, request_id: &str, now: Timestamp) -> Value {
        let mut whole = Map::new();
        let about = json!({"Timestamp": now.millis(), "CloudWatchMetrics": self.directives});
        whole.insert("_aws".to_owned(), about);
        whole.insert("function".to_owned(), json!(function));
        whole.insert("request_id".to_owned(), json!(request_id));
        whole.extend(self.values.clone());
        Value::Object(whole)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::pool::PoolStatus;
    use crate::outcome::{Filter, Outcome};

    fn lines(emf: &Emf, metrics: &Metrics) -> Vec<Value> {
        let mut out = Vec::new();
        emf.write(metrics, "track", "id", Timestamp::from_millis(1_733_655_600_000), &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn find<'a>(lines: &'a [Value], metric: &str) -> Vec<&'a Value> {
        lines.iter().filter(|line| line.get(metric).is_some()).collect()
    }

    #[test]
    fn what_is_new_is_told_once() {
        let (emf, metrics) = (Emf::default(), Metrics::new().unwrap());
        let first = lines(&emf, &metrics);
        assert_eq!(find(&first, "maicivy_build_info").len(), 1, "an environment says what it is: {first:?}");
        assert_eq!(first.len(), 1, "and nothing else: {first:?}");

        metrics.receive(3);
        metrics.settle(&Outcome::Filtered(Filter::Bot));
        let second = lines(&emf, &metrics);
        let received = find(&second, "maicivy_ingest_received_total")[0];
        assert_eq!(received["maicivy_ingest_received_total"], 3.0);
        let outcome = find(&second, "maicivy_ingest_outcomes_total")[0];
        assert_eq!((&outcome["outcome"], &outcome["reason"]), (&json!("filtered"), &json!("bot")));
        assert_eq!(second.len(), 1, "one line holds what does not contradict itself: {second:?}");
        let directives = outcome["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!((directives.len(), &directives[0]["Dimensions"]), (2, &json!([["function"]])));
        assert_eq!(directives[1]["Dimensions"], json!([["function", "outcome", "reason"]]));
        assert_eq!(directives[1]["Metrics"], json!([{"Name": "maicivy_ingest_outcomes_total", "Unit": "Count"}]));
        assert_eq!(outcome["_aws"]["Timestamp"], 1_733_655_600_000_i64);
        assert_eq!((&outcome["function"], &outcome["request_id"]), (&json!("track"), &json!("id")));

        assert!(lines(&emf, &metrics).is_empty(), "nothing is new");
        metrics.receive(1);
        assert_eq!(lines(&emf, &metrics)[0]["maicivy_ingest_received_total"], 1.0);
    }

    #[test]
    fn what_contradicts_goes_to_another_line() {
        let (emf, metrics) = (Emf::default(), Metrics::new().unwrap());
        lines(&emf, &metrics);
        metrics.settle(&Outcome::Failed);
        metrics.settle(&Outcome::Filtered(Filter::Bot));
        let told = lines(&emf, &metrics);
        let outcomes: Vec<_> = told.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["failed", "filtered"]);
    }

    #[test]
    fn count_and_sum_of_observations_are_right() {
        let (emf, metrics) = (Emf::default(), Metrics::new().unwrap());
        metrics.queried("append", Duration::from_millis(250));
        let one = lines(&emf, &metrics);
        assert_eq!(find(&one, "maicivy_database_query_duration_seconds")[0]["query_type"], "append");
        assert_eq!(
            find(&one, "maicivy_database_query_duration_seconds")[0]["maicivy_database_query_duration_seconds"],
            0.25
        );
        metrics.queried("append", Duration::from_millis(500));
        metrics.queried("append", Duration::from_millis(1_500));
        let two = &lines(&emf, &metrics)[0];
        assert_eq!(two["maicivy_database_query_duration_seconds"], json!({"Values": [1.0], "Counts": [2]}));
        assert_eq!(two["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"], "Seconds");
    }

    /// What senders choose makes no metric, and does not even stand in a line.
    #[test]
    fn open_labels_are_added_up() {
        let (emf, metrics) = (Emf::default(), Metrics::new().unwrap());
        lines(&emf, &metrics);
        for n in 0..50 {
            metrics.page_views_total.count(&format!("/joe-{n}"), Timestamp::from_millis(0));
            metrics.events_total.count(&format!("joe{n}"), Timestamp::from_millis(0));
            metrics.cv_theme_views.with_label_values(&[&format!("joe {n}")]).set(2.0);
        }
        metrics.events_total.count("page_view", Timestamp::from_millis(0));
        let told = lines(&emf, &metrics);
        assert!(!format!("{told:?}").contains("joe"), "{told:?}");
        assert_eq!(find(&told, "maicivy_page_views_total")[0]["maicivy_page_views_total"], 50.0);
        assert_eq!(find(&told, "maicivy_cv_theme_views")[0]["maicivy_cv_theme_views"], 100.0);
        let events = find(&told, "maicivy_events_total");
        assert_eq!(events.len(), 2, "custom and page_view: {events:?}");
    }

    /// A label that is neither is left out of the dimensions, so a new label has to be added to one of the two lists.
    #[test]
    fn every_label_is_known_to_be_closed_or_open() {
        let metrics = Metrics::new().unwrap();
        metrics.queried("append", Duration::ZERO);
        metrics.cv_theme_views.with_label_values(&["x"]).set(1.0);
        metrics.watch_pool(|| PoolStatus { in_use: 1, idle: 0, waiting: 0 }).unwrap();
        metrics.analytics_request_duration_seconds.with_label_values(&["/stats", "GET", "200"]).observe(0.1);
        for family in metrics.gather() {
            for label in family.get_metric().iter().flat_map(|metric| metric.get_label()) {
                let open = ["event_type", "path", "theme"].contains(&label.name());
                assert!(CLOSED.contains(&label.name()) || open, "{} of {}", label.name(), family.name());
            }
        }
    }
}
