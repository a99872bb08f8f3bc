//! How many events were counted, and how many were not, and why.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use common::App;
use common::http::{Answer, ApiError, Params};
use common::measure::query::{self, Csv};
use common::measure::question::Number;
use common::site::Site;
use common::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{as_csv, wants_csv};

/// How many days back counters are looked for: longer than any is kept.
const MOST_DAYS: i32 = 800;

/// What became of the events of some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Outcomes {
    /// Events that are counted.
    counted: u64,
    /// Events that were not stored, by outcome and reason; those that did not happen are left out.
    not_counted: Vec<NotCounted>,
    /// What is wrong with the server: `untrusted_proxy` when requests are forwarded by a proxy that
    /// `ANALYTICS_TRUSTED_PROXIES` does not list, so that all visitors behind it count as one.
    warnings: Vec<&'static str>,
}

/// Events that were not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct NotCounted {
    /// `duplicate`, `filtered`, `rejected` or `failed`.
    outcome: &'static str,
    /// Of filtered ones `bot`, `opt_out`, `origin` or `ignored`; of rejected ones the error's code; else empty.
    reason: &'static str,
    /// How many.
    count: u64,
}

/// What was counted and what was not, over the UTC days that a range reaches into. Days that are not kept
/// any more count nothing.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/outcomes",
    tag = "questions",
    params(
        ("site" = Option<String>, Query, description = "The site, `default` if not said"),
        ("date_range" = Option<String>, Query, description = "As in queries, `day` if not said; an array as JSON"),
        ("format" = Option<String>, Query, description = "`json` (the default) or `csv`"),
    ),
    responses(
        (status = 200, description = "How many events were counted, and how many not, by reason", body = Answer<Outcomes>),
        (status = 400, description = "INVALID_SITE, INVALID_DATE or INVALID_QUERY"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn outcomes(State(app): State<App>, params: Params, headers: HeaderMap) -> Result<Response, ApiError> {
    let (site, csv) = (params.site(&app)?, wants_csv(&params, &headers)?);
    let range = Outcomes::range(&params).unwrap_or_else(|| Value::from("day"));
    let data = Outcomes::of(&app, &site, &range, app.now()).await?;
    if csv {
        return Ok(as_csv(data.csv()));
    }
    // Not kept: these counters move without the store's version.
    Ok(Answer::new(data).into_response())
}

impl Outcomes {
    /// The range that a request names; an array is JSON.
    pub(crate) fn range(params: &Params) -> Option<Value> {
        let text = params.get("date_range")?;
        Some(serde_json::from_str(text).ok().filter(Value::is_array).unwrap_or_else(|| Value::from(text)))
    }

    /// What became of the events of the UTC days that a range reaches into.
    pub(crate) async fn of(app: &App, site: &Site, range: &Value, now: Timestamp) -> Result<Self, ApiError> {
        // What this process has gathered is in the answer. In a task of its own, because what is being
        // added would be lost if the client leaves meanwhile.
        let gathered = app.clone();
        let _ = tokio::spawn(async move { gathered.count_not_stored().await }).await;
        let counts = app.measure.counts(&*app.store, site, now).await?;
        let context = app.measure.context(&*app.store, site, &counts, range == "all", now).await?;
        let days = query::utc_days(range, &context)?;
        let today = now.day();
        let first = days.start.max(today.plus(1 - MOST_DAYS));
        let days = first..days.end.min(today.plus(2)).max(first);
        let totals = app.store.daily(site, days.clone()).await?;
        let not_stored = app.store.not_stored(site, days).await?;
        Ok(Self {
            counted: totals.iter().map(|(_, totals)| totals.events).sum(),
            not_counted: not_stored
                .into_iter()
                .map(|(of, count)| NotCounted { outcome: of.outcome(), reason: of.reason(), count })
                .collect(),
            warnings: (app.metrics.untrusted_proxy.get() > 0).then_some("untrusted_proxy").into_iter().collect(),
        })
    }

    fn csv(&self) -> String {
        let mut csv = Csv::default();
        ["outcome", "reason", "events"].into_iter().for_each(|name| csv.text(name));
        csv.end_line();
        let counted = NotCounted { outcome: "counted", reason: "", count: self.counted };
        for NotCounted { outcome, reason, count } in [&counted].into_iter().chain(&self.not_counted) {
            csv.text(outcome);
            csv.text(reason);
            csv.number(Some(Number::count(*count)));
            csv.end_line();
        }
        csv.finish()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use common::collect::{Sender, collect};
    use common::event::SentEvent;
    use common::testing::TestApp;
    use serde_json::json;

    use super::*;

    const VISITOR: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

    async fn start(vars: &[(&str, &str)]) -> TestApp {
        TestApp::start(vars, crate::router, "2025-12-08T12:00:00Z").await
    }

    fn bot() -> Sender {
        Sender { user_agent: Some("Googlebot/2.1 (+http://www.google.com/bot.html)".into()), ..Sender::default() }
    }

    async fn send(test: &TestApp, sender: Sender, event: Value) {
        let now = test.app.now();
        let sent = SentEvent::parse(&event.to_string(), now);
        collect(&test.app, sender, vec![sent], now).await;
    }

    fn view(site: &str) -> Value {
        json!({"event_type": "page_view", "site": site})
    }

    #[tokio::test]
    async fn what_is_not_counted_is_told_by_reason() {
        let test = start(&[]).await;
        let once = json!({"event_type": "page_view", "visitor_id": VISITOR, "event_id": VISITOR});
        send(&test, Sender::default(), once.clone()).await;
        send(&test, Sender::default(), once).await;
        send(&test, bot(), view("default")).await;
        send(&test, bot(), view("default")).await;
        send(&test, Sender { opt_out: true, ..Sender::default() }, view("default")).await;
        send(&test, Sender::default(), json!({"event_type": "page_view", "event_id": "none"})).await;
        send(&test, Sender::default(), view("default")).await;
        let expected = json!({
            "counted": 1,
            "not_counted": [
                {"outcome": "duplicate", "reason": "", "count": 1},
                {"outcome": "filtered", "reason": "bot", "count": 2},
                {"outcome": "filtered", "reason": "opt_out", "count": 1},
                {"outcome": "rejected", "reason": "INVALID_EVENT", "count": 1},
                {"outcome": "rejected", "reason": "MISSING_VISITOR", "count": 1},
            ],
            "warnings": [],
        });
        assert_eq!(test.get("/outcomes").await.body["data"], expected);
        for range in ["day", "all", "24h", r#"["2025-12-01","2025-12-08"]"#, r#"["1970-01-01","9999-12-31"]"#] {
            let path = format!("/outcomes?date_range={range}").replace('"', "%22");
            assert_eq!(test.get(&path).await.body["data"], expected, "{range}");
            let path = path.replace("outcomes?", "sites?site=default&");
            assert_eq!(test.get(&path).await.body["data"][0]["outcomes"], expected, "{range}");
        }
        assert_eq!(test.get("/sites").await.body["data"][0].get("outcomes"), None);
        let csv = test.get("/outcomes?format=csv").await.text;
        assert!(csv.starts_with("outcome,reason,events\r\ncounted,,1\r\nduplicate,,1\r\nfiltered,bot,2\r\n"), "{csv}");
        let before = test.get("/outcomes?date_range=7d").await.body;
        assert_eq!(before["data"], json!({"counted": 0, "not_counted": [], "warnings": []}));
    }

    #[tokio::test]
    async fn invented_sites_have_no_counters() {
        let test = start(&[]).await;
        send(&test, bot(), view("invented")).await;
        send(&test, bot(), view("default")).await;
        let count = async |site: &str| {
            test.app.count_not_stored().await;
            let today = test.app.now().day();
            let site = common::site::Site::parse(site).unwrap();
            test.app.store.not_stored(&site, today..today.plus(1)).await.unwrap().len()
        };
        assert_eq!((count("invented").await, count("default").await), (0, 1));
        // Once it has an event, it has counters.
        send(&test, Sender::default(), json!({"event_type": "a", "site": "invented", "visitor_id": VISITOR})).await;
        send(&test, bot(), view("invented")).await;
        assert_eq!(count("invented").await, 1);
        let listed = start(&[("ANALYTICS_SITES", "mine")]).await;
        send(&listed, bot(), view("mine")).await;
        send(&listed, bot(), view("other")).await;
        send(&listed, Sender::default(), json!({"event_type": "No", "site": "other"})).await;
        listed.app.count_not_stored().await;
        let (other, today) = (common::site::Site::parse("other").unwrap(), listed.app.now().day());
        assert_eq!(listed.app.store.not_stored(&other, today..today.plus(1)).await.unwrap(), [].into());
        let mine = listed.get("/outcomes?site=mine").await.body;
        assert_eq!(mine["data"]["not_counted"], json!([{"outcome": "filtered", "reason": "bot", "count": 1}]));
    }

    #[tokio::test]
    async fn ranges_that_are_none_are_refused() {
        let test = start(&[]).await;
        for range in ["x", "[]", "%5B%222025-12-09%22,%222025-12-08%22%5D"] {
            let answer = test.get(&format!("/outcomes?date_range={range}")).await;
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (StatusCode::BAD_REQUEST, &json!("INVALID_DATE")),
                "{range}"
            );
        }
    }
}
