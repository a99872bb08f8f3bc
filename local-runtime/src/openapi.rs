//! `/openapi.json`: the documentation of all endpoints, each of which documents itself.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use common::access::{ReadAuth, Scope};
use common::config::Config;
use common::http::answers::json;
use common::http::{BASE_PATH, Need};
use common::site::Site;
use common::time::Day;
use http::{Method, StatusCode};
use timeline::Cursor;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Ref, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, RefOr, Response as Described, Server};
use utoipa::{OpenApi, ToSchema};

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
    // What utoipa does not find by itself: what answers without meta refer to, and what failures have.
    components(schemas(utoipa::TupleUnit, Failure, PlausibleFailure)),
    tags(
        (name = "events", description = "Sending what visitors do"),
        (name = "questions", description = "Asking what visitors did"),
        (name = "live", description = "Watching what visitors do"),
        (name = "operation", description = "Running the service"),
    )
)]
struct Own;

/// What is wrong with a request, or why it cannot be answered now.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a schema; common::http::ApiError is written so")]
struct Failure {
    /// Always false.
    success: bool,
    /// For people: what is wrong and what is allowed.
    error: String,
    /// For programs.
    #[schema(pattern = "^[A-Z_]+$", example = "INVALID_SITE")]
    code: String,
    /// The answer's header `X-Request-Id`, and in the server's log.
    request_id: String,
}

/// What is wrong with a request in one of Plausible's formats.
#[derive(ToSchema)]
#[allow(dead_code, reason = "a schema; common::measure::plausible::error_body is written so")]
struct PlausibleFailure {
    /// What is wrong and what is allowed.
    error: String,
}

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
            let Some(operation) = operation else { continue };
            // Plausible's paths have parameters of the same names that mean something else.
            if !is_plausible(path) {
                bound(operation);
            }
            if method == Method::POST && path.strip_prefix(BASE_PATH) == Some("/query") {
                take_arrays(operation);
            }
            if let Need::Scope(scope) | Need::AllSites(scope) = Need::of(&method, path, config) {
                protect(operation, scope, config.read_auth);
            }
            describe_failures(operation, is_plausible(path));
        }
    }
    document
}

fn is_plausible(path: &str) -> bool {
    path.starts_with("/api/") && !path.starts_with(BASE_PATH)
}

/// Says what parameters may be that mean the same everywhere.
fn bound(operation: &mut Operation) {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let schema = match &*parameter.name {
            "site" => text().pattern(Some(Site::PATTERN)),
            "date" => text().pattern(Some(Day::PATTERN)).format(Some(SchemaFormat::KnownFormat(KnownFormat::Date))),
            "cursor" => text().pattern(Some(Cursor::PATTERN)),
            "format" => text().enum_values(Some(["json", "csv"])),
            _ => continue,
        };
        parameter.schema = Some(schema.into());
        if parameter.name == "format"
            && let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200")
        {
            let csv = Content::new(Some(text()));
            response.content.insert("text/csv".to_owned(), RefOr::T(csv));
        }
    }
}

/// Says that an array of queries is answered with an array of answers, each as if it had been asked alone.
fn take_arrays(operation: &mut Operation) {
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(RefOr::T(Content { schema: Some(schema), .. })) = body.content.get_mut("application/json")
    {
        let array = ArrayBuilder::new().items(schema.clone()).min_items(Some(1)).max_items(Some(20));
        *schema = OneOfBuilder::new().item(schema.clone()).item(array).into();
    }
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200")
        && let Some(RefOr::T(Content { schema: Some(schema), .. })) = response.content.get_mut("application/json")
    {
        let answer = ObjectBuilder::new().schema_type(Type::Object);
        let all = ObjectBuilder::new().schema_type(Type::Object).property("data", ArrayBuilder::new().items(answer));
        let all = all.property("success", ObjectBuilder::new().schema_type(Type::Boolean)).required("data");
        *schema = OneOfBuilder::new().item(schema.clone()).item(all).into();
    }
}

/// Says what the check before each route does.
fn protect(operation: &mut Operation, scope: Scope, read_auth: ReadAuth) {
    let scope_only = [SecurityRequirement::new("token", [scope.as_str()])];
    let open = read_auth == ReadAuth::Open && scope != Scope::Admin;
    let none = open.then(SecurityRequirement::default);
    operation.security = Some(none.into_iter().chain(scope_only).collect());
    fails(operation, "401", "UNAUTHORIZED: a token is needed, and none that is accepted was sent");
    fails(operation, "403", "FORBIDDEN: the token has not the scope, or is for other sites");
}

/// Says what may become of any request, and what failures look like.
fn describe_failures(operation: &mut Operation, is_plausible: bool) {
    fails(operation, "429", "RATE_LIMITED");
    if operation.request_body.is_some() {
        fails(operation, "413", "PAYLOAD_TOO_LARGE");
    }
    let responses = operation.responses.responses.iter_mut();
    for (status, response) in responses.filter(|(status, _)| status.starts_with(['4', '5'])) {
        let RefOr::T(response) = response else { continue };
        // The mistakes of a request and the refusals of its token.
        let schema = match &**status {
            "400" | "401" | "403" if is_plausible => "PlausibleFailure",
            _ => "Failure",
        };
        let content = RefOr::T(Content::new(Some(Ref::from_schema_name(schema))));
        response.content.entry("application/json".to_owned()).or_insert(content);
        if status == "429" {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
            let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("After how many seconds"));
            response.headers.insert("Retry-After".to_owned(), RefOr::T(header.build()));
        }
    }
}

/// Adds a failure, unless the operation describes it by itself.
fn fails(operation: &mut Operation, status: &str, meaning: &str) {
    let response = || Described::new(meaning).into();
    operation.responses.responses.entry(status.to_owned()).or_insert_with(response);
}

#[cfg(test)]
mod tests;
