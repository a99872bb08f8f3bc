//! The goals and funnels of a site: those of the configuration, and those that an administrator makes in the
//! dashboard.

use axum::extract::State;
use bytes::Bytes;
use common::App;
use common::http::{Answer, ApiError, Params};
use common::measure::query;
use common::measure::site_goals::SiteGoals;
use common::outcome::{Code, Refusal};
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
    /// Another one when `goals` or `funnels` have changed.
    version: String,
}

impl Goals {
    fn of(app: &App, site: &Site, goals: &SiteGoals) -> Self {
        let mut json = goals.json();
        Self {
            goals: json["goals"].take(),
            funnels: json["funnels"].take(),
            configured: app.measure.configured_goals(site).into_iter().map(|goal| goal.name).collect(),
            version: goals.version(),
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
    // Not those that this process remembers, whose version would be refused in place of a newer one.
    let goals = app.measure.stored_site_goals(&*app.store, &site).await?;
    Ok(Answer::new(Goals::of(&app, &site, &goals)))
}

/// Puts goals and funnels in the place of those that a site has. Queries of other processes know them within
/// five seconds. With the `version` that was read, nothing is replaced that has been changed since; but for changes
/// of the same instant.
#[utoipa::path(
    put,
    path = "/api/v1/analytics/goals",
    tag = "questions",
    params(
        ("site" = Option<String>, Query, description = "The site, `default` if not said"),
        ("version" = Option<String>, Query, description = "That of the goals which are to be replaced, whatever they are if not said"),
    ),
    request_body(content = Object, description = "At most 50 goals and 20 funnels, 64 KiB together", example = json!({
        "goals": [{"name": "Sign-up", "event": "signup"}, {"name": "Prices read", "page": "/prices*"}],
        "funnels": [{"name": "Order", "steps": [{"page": "/cart"}, {"event": "order"}]}]
    })),
    responses(
        (status = 200, description = "As GET", body = Answer<Goals>),
        (status = 400, description = "INVALID_SITE, INVALID_JSON, or INVALID_QUERY or NAME_TAKEN with the place of the mistake"),
        (status = 409, description = "CONFLICT: the goals have another version"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn put(State(app): State<App>, params: Params, body: Bytes) -> Result<Answer<Goals>, ApiError> {
    let site = params.site(&app)?;
    let goals = SiteGoals::parse(&query::json(&body)?, &app.measure.configured_goals(&site))?;
    if let Some(version) = params.get("version") {
        let stored = app.measure.stored_site_goals(&*app.store, &site).await?.version();
        // The same request sent again, because its answer was lost, is no conflict.
        if stored != version && stored != goals.version() {
            let message = "the goals have been changed since this version; read them again";
            return Err(Refusal::new(Code::Conflict, message).into());
        }
    }
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
        put_at(test, token, "", body).await
    }

    async fn put_at(test: &TestApp, token: &str, query: &str, body: &Value) -> TestAnswer {
        let request =
            Request::put(format!("{BASE_PATH}/goals{query}")).header("authorization", format!("Bearer {token}"));
        test.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// What is answered, and its version apart.
    fn split(mut answer: TestAnswer) -> (Value, String) {
        let version = answer.body["data"].as_object_mut().unwrap().remove("version").unwrap();
        (answer.body["data"].take(), version.as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn goals_are_put_and_read_again() {
        let test = start().await;
        let empty = json!({"goals": [], "funnels": [], "configured": ["Order"]});
        assert_eq!(split(test.get("/goals").await).0, empty);
        let given = json!({
            "goals": [{"name": "Sign-up", "event": "signup"}],
            "funnels": [{"name": "Sale", "steps": [{"page": "/prices"}, {"event": "signup"}]}],
        });
        let refused = put(&test, "another-token-of-16", &given).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::UNAUTHORIZED, &json!("UNAUTHORIZED")));
        assert_eq!(split(test.get("/goals").await).0, empty);
        let answer = put(&test, TOKEN, &given).await;
        let expected = json!({"goals": given["goals"], "funnels": given["funnels"], "configured": ["Order"]});
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(split(answer).0, expected);
        assert_eq!(split(test.get("/goals").await).0, expected);
        assert_eq!(test.get("/goals?site=other").await.body["data"]["goals"], json!([]));
        let taken = json!({"goals": [{"name": "Order", "page": "/"}]});
        let answer = put(&test, TOKEN, &taken).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!("NAME_TAKEN")));
        assert_eq!(answer.body["error"], "goals[0] the name \"Order\" is taken by another goal");
        assert_eq!(put(&test, TOKEN, &Value::from("x")).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(split(test.get("/goals").await).0, expected);
    }

    #[tokio::test]
    async fn a_change_of_an_older_version_is_refused() {
        let test = start().await;
        let (_, read) = split(test.get("/goals").await);
        let (first, second) = (json!({"goals": [{"name": "A", "event": "a"}]}), json!({"goals": []}));
        let (_, stored) = split(put_at(&test, TOKEN, &format!("?version={read}"), &first).await);
        assert_ne!(stored, read);
        let again = put_at(&test, TOKEN, &format!("?version={read}"), &first).await;
        assert_eq!(again.status, StatusCode::OK, "sent twice");
        let refused = put_at(&test, TOKEN, &format!("?version={read}"), &second).await;
        assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("CONFLICT")));
        assert_eq!(
            split(test.get("/goals").await),
            (json!({"goals": first["goals"], "funnels": [], "configured": ["Order"]}), stored.clone())
        );
        let (_, emptied) = split(put_at(&test, TOKEN, &format!("?version={stored}"), &second).await);
        assert_eq!(emptied, read);
    }
}
