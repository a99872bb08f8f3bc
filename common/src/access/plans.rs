//! Plans: which endpoints the tokens of a customer may use.

use std::collections::{BTreeMap, BTreeSet};

use crate::http::BASE_PATH;

/// What a plan may have, by name. Routes that are none of the others belong to `query`.
const ENTITLEMENTS: [&str; 10] =
    ["realtime", "stats", "themes", "letters", "timeline", "heatmap", "query", "export", "live", "metrics"];

/// The entitlement that a route is part of.
#[must_use]
pub fn entitlement(route: &str) -> &'static str {
    let name = match route {
        "/ws/analytics" => "live",
        "/metrics" => "metrics",
        _ => match route.strip_prefix(BASE_PATH).and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) if rest.starts_with("export/") => "export",
            Some(rest) => rest,
            None => "query",
        },
    };
    ENTITLEMENTS.into_iter().find(|known| *known == name).unwrap_or("query")
}

/// What one plan has; `None` is everything.
pub type Entitlements = Option<BTreeSet<&'static str>>;

/// The plans by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plans(BTreeMap<String, Entitlements>);

impl Plans {
    /// What a plan is called and has.
    pub const RULE: &'static str = "plans such as free=realtime,stats;plus=*, each with any of realtime, stats, themes, \
                                    letters, timeline, heatmap, query, export, live and metrics, or *";

    /// Reads plans that are separated by semicolons.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plan = |text: &str| {
            let (name, entitlements) = text.trim().split_once('=')?;
            let known = |name: &str| ENTITLEMENTS.into_iter().find(|known| *known == name.trim());
            let entitlements = match entitlements.trim() {
                "*" => None,
                names => Some(names.split(',').map(known).collect::<Option<BTreeSet<_>>>()?),
            };
            (!name.is_empty() && name.len() <= 64).then(|| (name.to_owned(), entitlements))
        };
        let plans: Vec<_> = text.split(';').map(plan).collect::<Option<_>>()?;
        let count = plans.len();
        let plans: BTreeMap<_, _> = plans.into_iter().collect();
        (plans.len() == count).then_some(Self(plans))
    }

    /// What a plan has: nothing if it is not known.
    #[must_use]
    pub fn of(&self, plan: &str) -> Entitlements {
        self.0.get(plan).cloned().unwrap_or_else(|| Some(BTreeSet::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_name_what_they_have() {
        let plans = Plans::parse("free=realtime, stats; plus=*").unwrap();
        assert_eq!(plans.of("free"), Some(["realtime", "stats"].into()));
        assert_eq!(plans.of("plus"), None);
        assert_eq!(plans.of("gold"), Some([].into()), "what is not known has nothing");
        for wrong in ["", "free", "free=", "free=state", "=stats", "free=stats;free=*", "free=stats;"] {
            assert_eq!(Plans::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn routes_belong_to_entitlements() {
        for (route, expected) in [
            ("/api/v1/analytics/stats", "stats"),
            ("/api/v1/analytics/export/themes", "export"),
            ("/api/v1/analytics/query/funnel", "query"),
            ("/api/v1/analytics/sites", "query"),
            ("/api/v2/query", "query"),
            ("/api/v1/stats/aggregate", "query"),
            ("/ws/analytics", "live"),
            ("/metrics", "metrics"),
            ("/api/v1/analytics/new", "query"),
        ] {
            assert_eq!(entitlement(route), expected, "{route}");
        }
    }
}
