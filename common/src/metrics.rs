//! What an operator can see: every family, one registry a process.
//!
//! No client can make a new time series at will: a label's values come from a closed set or
//! are capped by `Labelled`.

pub mod emf;
pub mod gauges;
mod labels;
pub mod pool;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use self::labels::Labelled;
pub use self::labels::MOST_LABELS;
use crate::cv;
use crate::event::Event;
use crate::event_type::EventType;
use crate::outcome::{Code, Filter, Outcome};
use crate::site::Site;
use crate::time::Timestamp;
use crate::url::Url;

/// From 100 µs to 10 s.
const SECONDS: [f64; 15] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// All families. Fields are named as on `/metrics`, without `maicivy_`.
#[derive(Debug)]
#[allow(missing_docs, reason = "the help texts below document each family")]
pub struct Metrics {
    registry: Registry,
    pub visitors_total: IntCounter,
    pub letters_generated_total: IntCounterVec,
    events_total: Labelled,
    page_views_total: Labelled,
    pub ingest_received_total: IntCounter,
    pub ingest_outcomes_total: IntCounterVec,
    pub current_visitors: IntGauge,
    pub websocket_connections: IntGauge,
    /// Open connections of any kind.
    pub connections: IntGauge,
    /// Connections that were closed at once because there were too many.
    pub connections_refused_total: IntCounter,
    pub conversion_rate: Gauge,
    pub cv_theme_views: GaugeVec,
    pub analytics_request_duration_seconds: HistogramVec,
    pub redis_operation_duration_seconds: HistogramVec,
    pub redis_breaker_open: IntGauge,
    pub redis_sites_behind: IntGauge,
    pub redis_rebuilds_total: IntCounter,
    /// By service, for those that the process's store has.
    pub outages_total: IntCounterVec,
    pub database_query_duration_seconds: HistogramVec,
    pub group_commit_events: Histogram,
    pub websocket_messages_total: IntCounterVec,
    pub websocket_gaps_total: IntCounter,
    /// Of the local runtime only, as functions have no live feed.
    pub websocket_delivery_seconds: Histogram,
    pub websocket_rejected_total: IntCounter,
    pub rate_limited_requests_total: IntCounterVec,
    /// Without a series until a run has succeeded.
    cleanup_last_success_timestamp_seconds: IntGaugeVec,
    pub cleanup_deleted_events_total: IntCounter,
    pub erased_events_total: IntCounter,
    pub untrusted_proxy: IntGauge,
    /// Of the local runtime only: in Lambda it would be a moving gauge of every environment.
    pub last_commit_timestamp_seconds: IntGauge,
    /// Events stored, of each site that has a counter of its own.
    sites: OnceLock<HashMap<Site, IntCounter>>,
}

impl Metrics {
    /// Registers all families but those of Redis; those with closed label sets start at zero.
    ///
    /// # Errors
    /// Only when two families have one name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let make = Maker(&registry);
        let unregistered = Registry::new();
        let unshown = Maker(&unregistered);
        let metrics = Self {
            visitors_total: make.counter("visitors_total", "Visitors first seen in their day")?,
            letters_generated_total: make.counters("letters_generated_total", "Letters stored", &["type"])?,
            events_total: Labelled::new(make.counters("events_total", "Events stored", &["event_type"])?),
            page_views_total: Labelled::new(make.counters("page_views_total", "Page views stored", &["path"])?),
            ingest_received_total: make.counter("ingest_received_total", "Events received, whatever became of them")?,
            ingest_outcomes_total: make.counters(
                "ingest_outcomes_total",
                "What became of received events; at rest the sum equals maicivy_ingest_received_total",
                &["outcome", "reason"],
            )?,
            current_visitors: make.int_gauge("current_visitors", "Visitors of all sites in the active window")?,
            websocket_connections: make.int_gauge("websocket_connections", "Open live connections")?,
            connections: make.int_gauge("connections", "Open connections of any kind")?,
            connections_refused_total: make
                .counter("connections_refused_total", "Connections closed at once because there were too many")?,
            conversion_rate: make
                .gauge("conversion_rate", "Letters of today by unique visitors of today, all sites")?,
            cv_theme_views: make.gauges(
                "cv_theme_views",
                "Views of a theme yesterday and today, all sites",
                &["theme"],
            )?,
            analytics_request_duration_seconds: make.histograms(
                "analytics_request_duration_seconds",
                "From the request's head to the answer's",
                &["endpoint", "method", "status"],
            )?,
            redis_operation_duration_seconds: unshown.histograms(
                "redis_operation_duration_seconds",
                "Time of one Redis operation",
                &["operation"],
            )?,
            redis_breaker_open: unshown
                .int_gauge("redis_breaker_open", "1 while Redis is away and nothing waits for it, else 0")?,
            redis_sites_behind: unshown
                .int_gauge("redis_sites_behind", "Sites whose aggregates in Redis wait to be repaired")?,
            redis_rebuilds_total: unshown
                .counter("redis_rebuilds_total", "Sites whose aggregates in Redis were built anew")?,
            outages_total: make.counters(
                "outages_total",
                "Times that a service that the store needs or uses stopped answering",
                &["service"],
            )?,
            database_query_duration_seconds: make.histograms(
                "database_query_duration_seconds",
                "Time of one query or transaction, its wait for a connection included",
                &["query_type"],
            )?,
            group_commit_events: make.register(Histogram::with_opts(
                HistogramOpts::new("maicivy_group_commit_events", "Events made durable by one commit")
                    .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0]),
            )?)?,
            websocket_messages_total: make.counters(
                "websocket_messages_total",
                "Messages on live connections",
                &["direction"],
            )?,
            websocket_delivery_seconds: unshown.register(Histogram::with_opts(
                HistogramOpts::new(
                    "maicivy_websocket_delivery_seconds",
                    "From the commit of an event, as the live feed learns of it, until a live client was sent it",
                )
                .buckets(SECONDS.to_vec()),
            )?)?,
            websocket_gaps_total: make.counter("websocket_gaps_total", "Times a slow client missed events for good")?,
            websocket_rejected_total: make.counter("websocket_rejected_total", "Live connections turned away")?,
            rate_limited_requests_total: make.counters(
                "rate_limited_requests_total",
                "Requests turned away by the rate limit",
                &["kind"],
            )?,
            cleanup_last_success_timestamp_seconds: make.register(IntGaugeVec::new(
                Maker::opts(
                    "cleanup_last_success_timestamp_seconds",
                    "When a retention run last succeeded, Unix time; absent when none has",
                ),
                &[],
            )?)?,
            cleanup_deleted_events_total: make
                .counter("cleanup_deleted_events_total", "Events deleted by retention")?,
            erased_events_total: make
                .counter("erased_events_total", "Events deleted because the data of their visitor was erased")?,
            untrusted_proxy: make.int_gauge(
                "untrusted_proxy",
                "1 since a proxy that ANALYTICS_TRUSTED_PROXIES does not list has forwarded requests, else 0",
            )?,
            last_commit_timestamp_seconds: unshown.int_gauge(
                "last_commit_timestamp_seconds",
                "When an event was last stored by this process, Unix time; 0 when none was",
            )?,
            sites: OnceLock::new(),
            registry: registry.clone(),
        };
        make.gauges("build_info", "Always 1; the version is the label", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        metrics.start_at_zero();
        Ok(metrics)
    }

    fn start_at_zero(&self) {
        for letter_type in ["motivation", "anti_motivation", "unspecified"] {
            self.letters_generated_total.with_label_values(&[letter_type]);
        }
        for outcome in ["stored", "duplicate", "failed"] {
            self.ingest_outcomes_total.with_label_values(&[outcome, ""]);
        }
        for reason in Filter::ALL {
            self.ingest_outcomes_total.with_label_values(&["filtered", reason.as_str()]);
        }
        for code in Code::OF_EVENTS {
            self.ingest_outcomes_total.with_label_values(&["rejected", code.as_str()]);
        }
        for direction in ["in", "out"] {
            self.websocket_messages_total.with_label_values(&[direction]);
        }
        for kind in ["events", "reads"] {
            self.rate_limited_requests_total.with_label_values(&[kind]);
        }
        for event_type in (0..).map_while(EventType::from_number) {
            self.events_total.pin(event_type.static_name());
        }
        self.page_views_total.pin("/");
    }

    /// Shows the families of Redis too, for a store that has one.
    ///
    /// # Errors
    /// When they are shown already.
    pub fn show_redis(&self) -> prometheus::Result<()> {
        for operation in ["publish", "apply", "limit", "look", "rebuild"] {
            self.redis_operation_duration_seconds.with_label_values(&[operation]);
        }
        self.show(self.redis_operation_duration_seconds.clone())?;
        self.show(self.redis_breaker_open.clone())?;
        self.show(self.redis_sites_behind.clone())?;
        self.show(self.redis_rebuilds_total.clone())
    }

    /// Counts the stored events of each of these sites by itself. Only listed sites may be counted so, and of
    /// them the first [`MOST_LABELS`]: everyone may name others.
    ///
    /// # Errors
    /// When they are shown already.
    pub fn show_sites<'a>(&self, sites: impl IntoIterator<Item = &'a Site>) -> prometheus::Result<()> {
        let help = "Events stored of each site that ANALYTICS_SITES lists";
        let family = IntCounterVec::new(Maker::opts("site_events_total", help), &["site"])?;
        let counter = |site: &Site| (site.clone(), family.with_label_values(&[site.as_str()]));
        let sites = sites.into_iter().take(MOST_LABELS).map(counter).collect();
        self.show(family)?;
        // That they are not set yet, the registry has seen to.
        let _ = self.sites.set(sites);
        Ok(())
    }

    /// Shows families that only some processes have.
    ///
    /// # Errors
    /// When a family of this name is shown already.
    pub fn show(&self, families: impl Collector + 'static) -> prometheus::Result<()> {
        self.registry.register(Box::new(families))
    }

    /// Shows when a retention run last succeeded; nothing is shown of a store that has had none.
    pub fn cleaned(&self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.cleanup_last_success_timestamp_seconds.with_label_values::<&str>(&[]).set(at.seconds());
        }
    }

    /// Counts events as received; each must be [`Self::settle`]d later.
    pub fn receive(&self, events: usize) {
        self.ingest_received_total.inc_by(events as u64);
    }

    /// Counts what became of one received event.
    pub fn settle(&self, outcome: &Outcome) {
        let (outcome, reason) = match outcome {
            Outcome::Stored(_) => ("stored", ""),
            Outcome::Duplicate(_) => ("duplicate", ""),
            Outcome::Filtered(filter) => ("filtered", filter.as_str()),
            Outcome::Rejected(refusal) => ("rejected", refusal.code.as_str()),
            Outcome::Failed => ("failed", ""),
        };
        self.ingest_outcomes_total.with_label_values(&[outcome, reason]).inc();
    }

    /// Counts events that the rate limit turned away: received, and rejected. A request that was turned
    /// away before its body was read is one.
    pub fn limit(&self, events: usize) {
        self.receive(events);
        let rejected = ["rejected", Code::RateLimited.as_str()];
        self.ingest_outcomes_total.with_label_values(&rejected).inc_by(events as u64);
    }

    /// Counts an event that was stored at `now`, by what it is.
    pub fn stored(&self, event: &Event, now: Timestamp) {
        self.events_total.count(event.event_type.name(), now);
        if let Some(site) = self.sites.get().and_then(|sites| sites.get(&event.site)) {
            site.inc();
        }
        match event.event_type {
            EventType::PageView => {
                let page = event.page_url.as_ref().map_or(Cow::Borrowed("/"), Url::page);
                self.page_views_total.count(&page, now);
            }
            EventType::LetterGenerate => {
                let letter_type = cv::letter_type(event).unwrap_or("unspecified");
                self.letters_generated_total.with_label_values(&[letter_type]).inc();
            }
            _ => {}
        }
    }

    /// Counts one query, of a closed set of types, and how long it took.
    pub fn queried(&self, query_type: &'static str, took: Duration) {
        self.database_query_duration_seconds.with_label_values(&[query_type]).observe(took.as_secs_f64());
    }

    /// All families as they are.
    fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// All families in the Prometheus text format 0.0.4.
    ///
    /// # Errors
    /// When a family cannot be written.
    pub fn text(&self) -> prometheus::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Makes families named `maicivy_…` and registers them.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn register<C: Collector + Clone + 'static>(&self, family: C) -> prometheus::Result<C> {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn opts(name: &str, help: &str) -> Opts {
        Opts::new(format!("maicivy_{name}"), help)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.register(IntCounter::with_opts(Self::opts(name, help))?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.register(IntCounterVec::new(Self::opts(name, help), labels)?)
    }

    fn int_gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.register(IntGauge::with_opts(Self::opts(name, help))?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        self.register(Gauge::with_opts(Self::opts(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
        self.register(GaugeVec::new(Self::opts(name, help), labels)?)
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::new(format!("maicivy_{name}"), help).buckets(SECONDS.to_vec());
        self.register(HistogramVec::new(opts, labels)?)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::EventData;
    use crate::measure::facts::Facts;

    #[test]
    fn what_a_process_does_not_have_is_not_shown() {
        let metrics = Metrics::new().unwrap();
        let text = metrics.text().unwrap();
        assert!(!text.contains("redis") && !text.contains("cleanup_last_success"), "{text}");
        metrics.show_redis().unwrap();
        metrics.cleaned(Some(Timestamp::from_millis(5_000)));
        let text = metrics.text().unwrap();
        assert!(text.contains("maicivy_redis_operation_duration_seconds_count{operation=\"apply\"} 0"), "{text}");
        assert!(text.contains("\nmaicivy_cleanup_last_success_timestamp_seconds 5\n"), "{text}");
    }

    #[test]
    fn listed_sites_are_counted_by_themselves() {
        let metrics = Metrics::new().unwrap();
        let event = |site: &str| Event {
            id: Uuid::from_u128(1),
            site: Site::parse(site).unwrap(),
            visitor: Uuid::from_u128(2).into(),
            event_type: EventType::PageView,
            data: EventData::EMPTY,
            page_url: None,
            referrer: None,
            created_at: Timestamp::from_millis(0),
            facts: Facts::default(),
        };
        metrics.stored(&event("a"), Timestamp::from_millis(0));
        assert!(!metrics.text().unwrap().contains("site_events"));
        metrics.show_sites(&[Site::parse("a").unwrap(), Site::parse("b").unwrap()]).unwrap();
        for site in ["a", "a", "c"] {
            metrics.stored(&event(site), Timestamp::from_millis(0));
        }
        let text = metrics.text().unwrap();
        let shown: Vec<_> = text.lines().filter(|line| line.starts_with("maicivy_site_events_total")).collect();
        assert_eq!(shown, ["maicivy_site_events_total{site=\"a\"} 2", "maicivy_site_events_total{site=\"b\"} 0"]);
    }
}
