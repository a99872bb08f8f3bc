//! Share links: made, listed, revoked, expired.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use common::App;
use common::site::Site;
use common::testing::{TestAnswer, TestApp};
use common::time::{DAY, Timestamp};
use serde_json::{Value, json};

const NOW: &str = "2025-12-08T12:00:00Z";
const ADMIN: &str = "0123456789abcdef";

async fn start() -> TestApp {
    TestApp::start(&[("ANALYTICS_READ_AUTH", "token"), ("ANALYTICS_ADMIN_TOKEN", ADMIN)], cleanup::router, NOW).await
}

async fn ask(test: &TestApp, token: &str, method: Method, path: &str, body: &Value) -> TestAnswer {
    let request = Request::builder().method(method).uri(format!("/api/v1/analytics{path}"));
    let request = request.header("authorization", format!("Bearer {token}"));
    test.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn create(test: &TestApp, site: &str, expires: Option<&str>) -> Value {
    let answer = ask(test, ADMIN, Method::POST, "/shares", &json!({"site": site, "expires": expires})).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.body["data"].clone()
}

async fn ids(test: &TestApp, path: &str) -> Vec<Value> {
    let answer = ask(test, ADMIN, Method::GET, path, &Value::Null).await;
    answer.body["data"].as_array().unwrap().iter().map(|share| share["id"].clone()).collect()
}

#[tokio::test]
async fn links_are_listed_until_they_expire_or_are_revoked() {
    let test = start().await;
    let kept = create(&test, "a.example", None).await;
    let token = kept["token"].as_str().unwrap();
    assert_eq!(kept["link"], format!("?site=a.example#share={token}"));
    assert_eq!((&kept["site"], &kept["created_at"]), (&json!("a.example"), &json!("2025-12-08T12:00:00.000Z")));
    assert_eq!(kept["expires_at"], Value::Null);
    let expiring = create(&test, "b.example", Some("1d")).await;
    assert_eq!(expiring["expires_at"], "2025-12-09T12:00:00.000Z");
    let revoked = create(&test, "b.example", Some("30d")).await;

    let listed = ask(&test, ADMIN, Method::GET, "/shares", &Value::Null).await;
    assert!(!listed.text.contains("mcs_") && !listed.text.contains("hash"), "{}", listed.text);
    assert_eq!(ids(&test, "/shares").await.len(), 3);
    assert_eq!(ids(&test, "/shares?site=a.example").await, [kept["id"].clone()]);

    let path = format!("/shares/{}", revoked["id"].as_str().unwrap());
    let answer = ask(&test, ADMIN, Method::DELETE, &path, &Value::Null).await;
    assert_eq!((answer.status.as_u16(), &answer.body["data"]["id"]), (200, &revoked["id"]));
    for missing in [&*path, "/shares/x", "/shares/00000000-0000-0000-0000-000000000000"] {
        let answer = ask(&test, ADMIN, Method::DELETE, missing, &Value::Null).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &json!("NOT_FOUND")), "{missing}");
    }
    assert_eq!(ids(&test, "/shares").await.len(), 2);

    test.source.set(Timestamp::parse(NOW).unwrap().plus(DAY));
    assert_eq!(ids(&test, "/shares").await, [kept["id"].clone()]);
    assert_eq!(test.app.store.records(common::store::RecordKind::Share).await.unwrap().len(), 2);
    cleanup::run(&test.app, test.app.now()).await.unwrap();
    assert_eq!(test.app.store.records(common::store::RecordKind::Share).await.unwrap().len(), 1, "cleanup deletes it");
}

#[tokio::test]
async fn a_link_opens_its_site_and_nothing_else() {
    fn routes(app: App) -> Router {
        use axum::extract::State;
        use axum::routing::get;
        use common::http::{ApiError, Params};
        let read = async |State(app): State<App>, params: Params| {
            params.site(&app).map(|site: Site| site.to_string()).map_err(ApiError::from)
        };
        let read = Router::new().route("/api/v1/analytics/new", get(read)).with_state(app.clone());
        cleanup::router(app).merge(read)
    }
    let vars = [("ANALYTICS_READ_AUTH", "token"), ("ANALYTICS_ADMIN_TOKEN", ADMIN)];
    let test = TestApp::start(&vars, routes, NOW).await;
    let share = create(&test, "a.example", Some("1d")).await;
    let token = share["token"].as_str().unwrap();
    let status = async |token: &str, method, path| ask(&test, token, method, path, &Value::Null).await.status.as_u16();
    assert_eq!(status(token, Method::GET, "/new?site=a.example").await, 200);
    for (method, path) in [
        (Method::GET, "/new"),
        (Method::GET, "/new?site=b.example"),
        (Method::GET, "/shares"),
        (Method::POST, "/shares"),
        (Method::DELETE, "/shares/x"),
        (Method::POST, "/cleanup"),
    ] {
        assert_eq!(status(token, method, path).await, 403, "{path}");
    }
    // The id is half of the hash, and no token.
    let id = share["id"].as_str().unwrap().replace('-', "");
    for wrong in [token.replace("mcs_", ""), token.to_uppercase(), format!("mcs_{id}"), format!("mcs_{id}{id}")] {
        assert_eq!(status(&wrong, Method::GET, "/new?site=a.example").await, 401, "{wrong}");
    }
    test.source.set(Timestamp::parse(NOW).unwrap().plus(DAY - 1));
    assert_eq!(status(token, Method::GET, "/new?site=a.example").await, 200);
    test.source.set(Timestamp::parse(NOW).unwrap().plus(DAY));
    assert_eq!(status(token, Method::GET, "/new?site=a.example").await, 401, "it has expired");

    let lasting = create(&test, "a.example", None).await;
    let token = lasting["token"].as_str().unwrap();
    assert_eq!(status(token, Method::GET, "/new?site=a.example").await, 200);
    let path = format!("/shares/{}", lasting["id"].as_str().unwrap());
    assert_eq!(status(ADMIN, Method::DELETE, &path).await, 200);
    assert_eq!(status(token, Method::GET, "/new?site=a.example").await, 401, "it is revoked");
}

/// Who has the disk has no link.
#[tokio::test]
async fn tokens_are_stored_nowhere() {
    let test = start().await;
    let share = create(&test, "a.example", None).await;
    let token = share["token"].as_str().unwrap();
    let secret = token.strip_prefix("mcs_").unwrap();
    for file in std::fs::read_dir(test.folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}

#[tokio::test]
async fn mistakes_say_what_is_allowed() {
    let test = start().await;
    for (body, code) in [
        (Value::Null, "INVALID_JSON"),
        (json!({}), "INVALID_JSON"),
        (json!({"site": "a.example", "more": 1}), "INVALID_JSON"),
        (json!({"site": "A B"}), "INVALID_SITE"),
        (json!({"site": "a.example", "expires": "0d"}), "INVALID_SHARE"),
        (json!({"site": "a.example", "expires": "4000d"}), "INVALID_SHARE"),
    ] {
        let answer = ask(&test, ADMIN, Method::POST, "/shares", &body).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (400, &json!(code)), "{body}");
    }
    assert_eq!(ids(&test, "/shares").await.len(), 0);
}

#[tokio::test]
async fn an_admin_of_a_site_sees_only_links_to_it() {
    let (scopes, sites) = ([common::access::Scope::Admin].into(), [Site::parse("a.example").unwrap()].into());
    let (token, entry) = common::access::Entry::new("a".to_owned(), scopes, &sites, &[7; 32]);
    let tokens = serde_json::to_string(&[entry]).unwrap();
    let vars = [("ANALYTICS_TOKENS", &*tokens), ("ANALYTICS_ADMIN_TOKEN", ADMIN)];
    let test = TestApp::start(&vars, cleanup::router, NOW).await;
    create(&test, "a.example", None).await;
    let other = create(&test, "b.example", None).await;
    let listed = ask(&test, &token, Method::GET, "/shares", &Value::Null).await;
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);
    let path = format!("/shares/{}", other["id"].as_str().unwrap());
    assert_eq!(ask(&test, &token, Method::DELETE, &path, &Value::Null).await.status, 404);
    let new = json!({"site": "b.example"});
    assert_eq!(ask(&test, &token, Method::POST, "/shares", &new).await.status, 403);
    assert_eq!(ids(&test, "/shares").await.len(), 2);
}
