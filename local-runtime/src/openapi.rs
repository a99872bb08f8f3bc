//! `/openapi.json`: the documentation of all endpoints, each of which documents itself.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use common::access::Scope;
use common::config::Config;
use common::http::Need;
use common::http::answers::json;
use http::{Method, StatusCode};
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ResponseBuilder, Server};

/// What this crate adds to the functions.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "maicivy-analytics",
        description = "Real-time, privacy-first web analytics. Answers are `{\"success\":true,\"data\":…}`, \
                       failures `{\"success\":false,\"error\":…,\"code\":…,\"request_id\":…}`.",
    ),
    paths(
        crate::live::upgrade::connect,
        crate::health::health,
        crate::health::live,
        crate::health::startup,
        crate::health::ready,
        crate::exposition::metrics,
        openapi
    ),
    // What answers without meta refer to, and utoipa does not find by itself.
    components(schemas(utoipa::TupleUnit)),
    tags(
        (name = "events", description = "Sending what visitors do"),
        (name = "questions", description = "Asking what visitors did"),
        (name = "live", description = "Watching what visitors do"),
        (name = "operation", description = "Running the service"),
    )
)]
struct Own;

/// `/openapi.json`.
pub(crate) fn router(config: &Config) -> Router {
    let text = Bytes::from(document(config).to_json().unwrap_or_else(|error| panic!("a document is no JSON: {error}")));
    Router::new().route("/openapi.json", get(openapi)).with_state(text)
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operation",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
async fn openapi(State(text): State<Bytes>) -> Response {
    json(StatusCode::OK, text)
}

fn document(config: &Config) -> utoipa::openapi::OpenApi {
    let mut document = Own::openapi();
    for function in [
        track::openapi(),
        realtime::openapi(),
        stats::openapi(),
        themes::openapi(),
        letters::openapi(),
        timeline::openapi(),
        heatmap::openapi(),
        query::openapi(),
        cleanup::openapi(),
    ] {
        document.merge(function);
    }
    document.servers = Some(vec![Server::new("/")]);
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", bearer);
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::POST, &mut item.post),
            (Method::PUT, &mut item.put),
            (Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in operations {
            let (Some(operation), Need::Scope(scope) | Need::AllSites(scope)) =
                (operation, Need::of(&method, path, config))
            else {
                continue;
            };
            protect(operation, scope);
        }
    }
    document
}

/// Says what the check before each route does.
fn protect(operation: &mut Operation, scope: Scope) {
    let scope_only = [SecurityRequirement::new("token", [scope.as_str()])];
    // Without ANALYTICS_READ_AUTH=token reads need none.
    let open = (scope != Scope::Admin).then(SecurityRequirement::default);
    operation.security = Some(open.into_iter().chain(scope_only).collect());
    for (status, meaning) in [
        ("401", "UNAUTHORIZED: a token is needed, and none that is accepted was sent"),
        ("403", "FORBIDDEN: the token has not the scope, or is for other sites"),
    ] {
        let response = ResponseBuilder::new().description(meaning).build();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_documented() {
        let document = document(&Config::from_vars([]).unwrap());
        let paths: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
        for endpoint in
            ["event", "events", "realtime", "stats", "themes", "letters", "timeline", "heatmap", "query", "cleanup"]
        {
            assert!(paths.contains(&&*format!("/api/v1/analytics/{endpoint}")), "{endpoint}: {paths:?}");
        }
        let probes = ["/health", "/health/live", "/health/startup", "/health/ready"];
        for path in probes.into_iter().chain(["/ws/analytics", "/metrics", "/openapi.json"]) {
            assert!(paths.contains(&path), "{path}: {paths:?}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = document(&Config::from_vars([]).unwrap()).to_json().unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(value.pointer(pointer).is_some(), "{pointer}");
        }
        assert_eq!(value["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(value["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    }
}
