//! A Lambda runtime API (version 2018-06-01) for one function, and the function that runs on it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::sync::{Mutex, mpsc};

use crate::binary;
use crate::home::Home;
use crate::wait::within;

/// The source address that events made by [`http_event`] come from.
pub const SOURCE_ADDRESS: &str = "198.18.99.7";

/// A function's process and the runtime API that feeds it.
#[derive(Debug)]
pub struct Function {
    events: mpsc::Sender<Value>,
    answers: mpsc::Receiver<Result<Value, Value>>,
    _process: Child,
}

#[derive(Clone)]
struct Api {
    events: Arc<Mutex<mpsc::Receiver<Value>>>,
    answers: mpsc::Sender<Result<Value, Value>>,
}

impl Function {
    /// Starts the Lambda binary of this name in a home's environment.
    pub async fn start(home: &Home, name: &str) -> Self {
        let (events, waiting) = mpsc::channel(1);
        let (answered, answers) = mpsc::channel(1);
        let api = Api { events: Arc::new(Mutex::new(waiting)), answers: answered };
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .with_state(api);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let mut command = home.command_of(&binary::function(name), &[]);
        command
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128");
        Self { events, answers, _process: command.spawn().unwrap() }
    }

    /// Invokes it; answers its response, or the error that the invocation failed with.
    pub async fn invoke(&mut self, event: Value) -> Result<Value, Value> {
        self.events.send(event).await.unwrap();
        within("an answer of the function", self.answers.recv()).await.expect("the runtime API runs")
    }
}

async fn next(State(api): State<Api>) -> Response {
    match api.events.lock().await.recv().await {
        Some(event) => {
            let headers = [
                ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
                ("lambda-runtime-deadline-ms", "9999999999999"),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-3:123456789012:function:f"),
                ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
            ];
            (headers, Json(event)).into_response()
        }
        None => StatusCode::GONE.into_response(),
    }
}

async fn response(State(api): State<Api>, Path(_id): Path<String>, body: String) -> StatusCode {
    let answer = serde_json::from_str(&body).unwrap_or(Value::Null);
    let _ = api.answers.send(Ok(answer)).await;
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Api>, Path(_id): Path<String>, body: String) -> StatusCode {
    let answer = serde_json::from_str(&body).unwrap_or(Value::Null);
    let _ = api.answers.send(Err(answer)).await;
    StatusCode::ACCEPTED
}

/// A request as an HTTP API (payload 2.0) sends it.
#[must_use]
pub fn http_event(method: &str, path_and_query: &str, headers: &Value, body: Option<&str>) -> Value {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012", "apiId": "a", "domainName": "a.example", "domainPrefix": "a",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": SOURCE_ADDRESS, "userAgent": "agent",
            },
            "requestId": "JKJaXmPLvHcESHA=", "routeKey": "$default", "stage": "$default",
            "time": "10/Mar/2025:05:16:23 +0000", "timeEpoch": 1_583_817_383_220_u64,
        },
        "isBase64Encoded": false,
    });
    if let Some(body) = body {
        event["body"] = json!(body);
    }
    event
}

/// The body of a function's answer, which must have this status.
#[must_use]
#[track_caller]
pub fn body(answer: &Value, status: u16) -> Value {
    assert_eq!(answer["statusCode"], status, "{answer}");
    serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or(Value::Null)
}
