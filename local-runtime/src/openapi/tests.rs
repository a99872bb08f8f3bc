use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use common::http::PeerAddress;
use common::source::System;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

use super::*;
use crate::live::Timing;
use crate::router::router as whole;
use crate::services::Services;
use crate::testing::app_with;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

fn described() -> Value {
    serde_json::to_value(document(&Config::from_vars([]).unwrap())).unwrap()
}

/// All operations of a description: method, path, and what is said about them.
fn operations(document: &Value) -> Vec<(Method, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push((method.to_uppercase().parse().unwrap(), path.clone(), operation.clone()));
        }
    }
    operations
}

/// The whole product.
struct Product {
    router: Router,
    document: Value,
    _files: TempDir,
}

impl Product {
    async fn with(vars: &[(&str, &str)]) -> Self {
        let (app, files) = app_with(vars, Arc::new(System)).await;
        let services = Arc::new(Services::start(app.clone(), Timing::default()));
        let document = serde_json::to_value(document(&app.config)).unwrap();
        Self { router: whole(&services, None), document, _files: files }
    }

    /// Asks from an address whose last byte is `peer`.
    async fn ask(&self, peer: u8, method: &Method, path: &str, token: Option<&str>) -> Response {
        let path = path.replace("{id}", &Uuid::nil().to_string());
        let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        if let Some(token) = token {
            request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        request.extensions_mut().insert(PeerAddress([192, 0, 2, peer].into()));
        self.router.clone().oneshot(request).await.unwrap()
    }
}

/// Clients are made from it: it does not change unnoticed.
#[test]
#[allow(clippy::disallowed_methods, reason = "how `make openapi` accepts a change")]
fn the_document_is_the_accepted_one() {
    let current = document(&Config::from_vars([]).unwrap()).to_pretty_json().unwrap() + "\n";
    if std::env::var_os("ACCEPT_OPENAPI").is_some() {
        fs::write(FILE, current).unwrap();
        return;
    }
    let accepted = fs::read_to_string(FILE).unwrap_or_default();
    let same = current.lines().zip(accepted.lines()).take_while(|(current, accepted)| current == accepted).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or_default().trim().to_owned();
    assert!(
        current == accepted,
        "the description of the API differs from docs/openapi.json, first in line {}: `{}` in the place of `{}`.\n\
         If clients may see that, accept it with `make openapi` and commit the file.",
        same + 1,
        line(&current),
        line(&accepted),
    );
}

/// Pages, scripts and paths that the operator names are not described: they are for browsers, and take what
/// the described paths take.
#[tokio::test]
async fn what_is_served_is_described_and_what_is_described_is_served() {
    const UNDESCRIBED: [&str; 6] = ["/", "/dashboard", "/assets/maicivy/{file}", "/script.js", "/mcv.js", "/own.js"];
    const TOKEN: &str = "a-token-of-the-administrator";
    let names = [("ANALYTICS_COLLECT_PATH", "/own"), ("ANALYTICS_SCRIPT_NAME", "own.js")];
    let product = Product::with(&[names[0], names[1], ("ANALYTICS_ADMIN_TOKEN", TOKEN)]).await;
    let mut described = BTreeMap::<String, BTreeSet<String>>::new();
    for (method, path, _) in operations(&product.document) {
        described.entry(path).or_default().insert(method.to_string());
    }

    // Axum lists its routes nowhere else.
    let router = format!("{:?}", product.router);
    let (_, paths) = router.split_once("node: Node { paths: {").unwrap();
    let (paths, _) = paths.split_once("} }").unwrap();
    let mut paths: BTreeSet<&str> = paths.split('"').skip(1).step_by(2).collect();
    for path in UNDESCRIBED.into_iter().chain(["/own", "/own/event", "/own/events"]) {
        assert!(paths.remove(path), "{path}: {paths:?}");
    }
    let mut served = BTreeMap::<String, BTreeSet<String>>::new();
    for (peer, path) in (1..).zip(paths) {
        // No route takes this method; the answer lists those that it takes.
        let refused = product.ask(peer, &Method::TRACE, path, Some(TOKEN)).await;
        assert_eq!(refused.status(), 405, "{path}");
        let allowed = refused.headers()["allow"].to_str().unwrap().split(',').map(str::to_owned);
        served.insert(path.to_owned(), allowed.filter(|method| method != "HEAD").collect());
    }
    assert_eq!(served, described);
}

#[tokio::test]
async fn access_and_limits_are_described_where_they_apply() {
    for read_auth in ["open", "token"] {
        let limits = [("ANALYTICS_READ_LIMIT", "5"), ("ANALYTICS_RATE_LIMIT", "5")];
        let product = Product::with(&[limits[0], limits[1], ("ANALYTICS_READ_AUTH", read_auth)]).await;
        let mut closed = 0;
        for (peer, (method, path, operation)) in (1..).zip(operations(&product.document)) {
            let responses = operation["responses"].as_object().unwrap();
            let security = operation["security"].as_array();
            let first = product.ask(peer, &method, &path, None).await;
            // Plausible's paths answer 401 by themselves where no site is named.
            let needs_token = first.headers().contains_key("www-authenticate");
            let free = security.is_none_or(|ways| ways.contains(&json!({})));
            assert_eq!(needs_token, !free, "{read_auth}: {method} {path}");
            if needs_token {
                closed += 1;
                let scope = security.unwrap().last().unwrap()["token"][0].as_str().unwrap();
                let body = first.into_body().collect().await.unwrap().to_bytes();
                let body = String::from_utf8(body.to_vec()).unwrap();
                assert!(body.contains(&format!("a token of the scope {scope}")), "{method} {path}: {body}");
            }
            for status in ["401", "403"] {
                assert_eq!(responses.contains_key(status), security.is_some(), "{method} {path}: {status}");
            }
            assert!(responses["429"]["headers"]["Retry-After"].is_object(), "{method} {path}");
            if read_auth == "token" {
                let mut limited = false;
                for _ in 0..60 {
                    limited |= product.ask(peer, &method, &path, None).await.status() == 429;
                }
                assert!(limited, "{method} {path}");
            }
        }
        assert_eq!(closed > 25, read_auth == "token", "{read_auth}: {closed}");
        assert!(closed >= 5, "what an administrator does: {closed}");
    }
}

#[test]
fn each_endpoint_has_its_own_meta() {
    let document = described();
    let has = |meta: &str, property: &str| {
        let schema = &document["components"]["schemas"][meta]["properties"];
        assert!(schema.get(property).is_some(), "{meta} has no {property}: {schema}");
    };
    has("TimelineMeta", "next_cursor");
    has("HeatmapMeta", "hours");
    has("QueryMeta", "provisional");
}

#[test]
fn sites_dates_and_cursors_have_patterns() {
    let mut seen = 0;
    for (_, path, operation) in operations(&described()) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            if ["site", "date", "cursor"].contains(&name) && !is_plausible(&path) {
                assert!(parameter["schema"]["pattern"].is_string(), "{path}: {parameter}");
                seen += 1;
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn failures_are_described_with_their_shape() {
    for (method, path, operation) in operations(&described()) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            if status.starts_with(['4', '5']) {
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                assert!(schema.as_str().is_some_and(|name| name.ends_with("Failure")), "{method} {path}: {status}");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let value = described();
    let text = value.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(value.pointer(pointer).is_some(), "{pointer}");
    }
    assert_eq!(value["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(value["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}
