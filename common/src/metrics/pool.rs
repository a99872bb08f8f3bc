//! The connections of an engine that keeps some, read when the metrics are rendered.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use super::Metrics;

/// What a pool of connections is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections on which something is asked, or that are being opened for it.
    pub in_use: usize,
    /// Connections that wait for a question.
    pub idle: usize,
    /// Questions that wait for a connection.
    pub waiting: usize,
}

/// Asks the pool when it is gathered.
struct Connections<F> {
    family: IntGaugeVec,
    status: F,
}

impl<F: Fn() -> PoolStatus + Send + Sync> Collector for Connections<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.family.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let PoolStatus { in_use, idle, waiting } = (self.status)();
        for (state, n) in [("in_use", in_use), ("idle", idle), ("waiting", waiting)] {
            self.family.with_label_values(&[state]).set(i64::try_from(n).unwrap_or(i64::MAX));
        }
        self.family.collect()
    }
}

impl Metrics {
    /// Shows a pool as `maicivy_database_connections{state}`; without one the family is absent.
    ///
    /// # Errors
    /// When there is a pool already.
    pub fn watch_pool(&self, status: impl Fn() -> PoolStatus + Send + Sync + 'static) -> prometheus::Result<()> {
        let opts = Opts::new(
            "maicivy_database_connections",
            "Connections to the database in use and idle, and questions waiting for one",
        );
        let family = IntGaugeVec::new(opts, &["state"])?;
        self.registry.register(Box::new(Connections { family, status }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn it_is_asked_at_each_look_and_absent_without_a_pool() {
        let metrics = Metrics::new().unwrap();
        assert!(!metrics.text().unwrap().contains("maicivy_database_connections"));
        let in_use = Arc::new(AtomicUsize::new(1));
        let asked = Arc::clone(&in_use);
        let status = move || PoolStatus { in_use: asked.load(Ordering::Relaxed), idle: 2, waiting: 3 };
        metrics.watch_pool(status).unwrap();
        for n in [1, 7] {
            in_use.store(n, Ordering::Relaxed);
            let text = metrics.text().unwrap();
            for line in
                [format!("{{state=\"in_use\"}} {n}"), "{state=\"idle\"} 2".into(), "{state=\"waiting\"} 3".into()]
            {
                assert!(text.contains(&format!("maicivy_database_connections{line}\n")), "{line}: {text}");
            }
        }
        assert!(metrics.watch_pool(|| PoolStatus { in_use: 0, idle: 0, waiting: 0 }).is_err());
    }
}
