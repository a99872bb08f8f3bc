//! The goals and funnels of a site: those of the configuration, and those that an administrator makes in the
//! dashboard.

use axum::extract::State;
use bytes::Bytes;
use common::App;
use common::http::{Answer, ApiError, Params};
use common::measure::query;
use common::measure::site_goals::SiteGoals;
use common::site::Site;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a site's goals are.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Goals {
    /// Made in the dashboard: each with `name` and one of `event`, `page` and `filter`.
    #[schema(value_type = Vec<Object>)]
    goals: Value,
    /// Made in the dashboard: each with `name` and 2 to 8 `steps`, of which each has one of `event`, `page` and
    /// `filter`.
    #[schema(value_type = Vec<Object>)]
    funnels: Value,
    /// The names of the configured goals.
    configured: Vec<String>,
}

impl Goals {
    fn of(app: &App, site: &Site, goals: &SiteGoals) -> Self {
        let mut json = goals.json();
        Self {
            goals: json["goals"].take(),
            funnels: json["funnels"].take(),
            configured: app.measure.configured_goals(site).into_iter().map(|goal| goal.name).collect(),
        }
    }
}

/// The goals and funnels of a site.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/goals",
    tag = "questions",
    params(("site" = Option<String>, Query, description = "The site, `default` if not said")),
    responses(
        (status = 200, description = "The goals and funnels that were made in the dashboard, and the names of configured goals", body = Answer<Goals>),
        (status = 400, description = "INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn get(State(app): State<App>, params: Params) -> Result<Answer<Goals>, ApiError> {
    let site = params.site(&app)?;
    let goals = app.measure.site_goals(&*app.store, &site).await?;
    Ok(Answer::new(Goals::of(&app, &site, &goals)))
}

/// Puts goals and funnels in the place of those that a site has. Queries of other processes know them within
/// five seconds.
#[utoipa::path(
    put,
    path = "/api/v1/analytics/goals",
    tag = "questions",
    params(("site" = Option<String>, Query, description = "The site, `default` if not said")),
    request_body(content = Object, description = "At most 50 goals and 20 funnels, 64 KiB together", example = json!({
        "goals": [{"name": "Sign-up", "event": "signup"}, {"name": "Prices read", "page": "/prices*"}],
        "funnels": [{"name": "Order", "steps": [{"page": "/cart"}, {"event": "order"}]}]
    })),
    responses(
        (status = 200, description = "As GET", body = Answer<Goals>),
        (status = 400, description = "INVALID_SITE, INVALID_JSON, or INVALID_QUERY with the place of the mistake"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn put(State(app): State<App>, params: Params, body: Bytes) -> Result<Answer<Goals>, ApiError> {
    let site = params.site(&app)?;
    let goals = SiteGoals::parse(&query::json(&body)?, &app.measure.configured_goals(&site))?;
    let goals = app.measure.put_site_goals(&*app.store, &site, goals).await?;
    Ok(Answer::new(Goals::of(&app, &site, &goals)))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use common::http::BASE_PATH;
    use common::testing::{TestAnswer, TestApp};
    use serde_json::{Value, json};

    const TOKEN: &str = "a-token-of-the-administrator";

    const CONFIGURED: &str = r#"[{"name":"Order","event":"order"},{"name":"Elsewhere","site":"other","event":"x"}]"#;

    async fn start() -> TestApp {
        let vars = [("ANALYTICS_GOALS", CONFIGURED), ("ANALYTICS_ADMIN_TOKEN", TOKEN)];
        TestApp::start(&vars, crate::router, "2025-12-08T12:00:00Z").await
    }

    async fn put(test: &TestApp, token: &str, body: &Value) -> TestAnswer {
        let request = Request::put(format!("{BASE_PATH}/goals")).header("authorization", format!("Bearer {token}"));
        test.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    #[tokio::test]
    async fn goals_are_put_and_read_again() {
        let test = start().await;
        let empty = json!({"goals": [], "funnels": [], "configured": ["Order"]});
        assert_eq!(test.get("/goals").await.body["data"], empty);
        let given = json!({
            "goals": [{"name": "Sign-up", "event": "signup"}],
            "funnels": [{"name": "Sale", "steps": [{"page": "/prices"}, {"event": "signup"}]}],
        });
        let refused = put(&test, "another-token-of-16", &given).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::UNAUTHORIZED, &json!("UNAUTHORIZED")));
        assert_eq!(test.get("/goals").await.body["data"], empty);
        let answer = put(&test, TOKEN, &given).await;
        let expected = json!({"goals": given["goals"], "funnels": given["funnels"], "configured": ["Order"]});
        assert_eq!((answer.status, &answer.body["data"]), (StatusCode::OK, &expected));
        assert_eq!(test.get("/goals").await.body["data"], expected);
        assert_eq!(test.get("/goals?site=other").await.body["data"]["goals"], json!([]));
        let taken = json!({"goals": [{"name": "Order", "page": "/"}]});
        let answer = put(&test, TOKEN, &taken).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_QUERY")));
        assert_eq!(put(&test, TOKEN, &Value::from("x")).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(test.get("/goals").await.body["data"], expected);
    }
}
