//! Which paths take events.

use super::BASE_PATH;

/// What a path takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingest {
    /// One event.
    Event,
    /// A batch of events; at the collect path itself also one.
    Batch,
}

impl Ingest {
    /// What is taken at `path`: at `/event` and `/events` below the API's base and below
    /// `ANALYTICS_COLLECT_PATH`, and at that path itself.
    #[must_use]
    pub fn at(path: &str, collect_path: &str) -> Option<Self> {
        let below = |root| path.strip_prefix(root);
        match below(BASE_PATH).filter(|rest| !rest.is_empty()).or_else(|| below(collect_path))? {
            "/event" => Some(Self::Event),
            "/events" | "" => Some(Self::Batch),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_events() {
        for (path, taken) in [
            ("/api/v1/analytics/event", Some(Ingest::Event)),
            ("/api/v1/analytics/events", Some(Ingest::Batch)),
            ("/m/n", Some(Ingest::Batch)),
            ("/m/n/event", Some(Ingest::Event)),
            ("/m/n/events", Some(Ingest::Batch)),
            ("/api/v1/analytics", None),
            ("/api/v1/analytics/", None),
            ("/api/v1/analytics/stats", None),
            ("/m", None),
            ("/m/nn", None),
            ("/m/n/", None),
            ("/", None),
        ] {
            assert_eq!(Ingest::at(path, "/m/n"), taken, "{path}");
        }
    }
}
