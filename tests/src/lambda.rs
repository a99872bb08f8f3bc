//! A Lambda runtime API (version 2018-06-01) for one function, and the function that runs on it.

mod front;
mod table;

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use tokio::process::Child;
use tokio::sync::{Mutex, mpsc};

pub use self::front::{Front, base64, sample};
use crate::home::Home;
use crate::http::Request;
use crate::wait::{PATIENCE, within};
use crate::{binary, uuid};

/// The source address that requests by a [`Front`] come from.
pub const SOURCE_ADDRESS: &str = "198.18.99.7";

/// A function's process and the runtime API that feeds it.
#[derive(Debug)]
pub struct Function {
    events: mpsc::Sender<(String, Value)>,
    answers: mpsc::Receiver<Result<Value, Value>>,
    process: Child,
    started: Instant,
    stdout: PathBuf,
    stderr: PathBuf,
    last_id: String,
}

#[derive(Clone)]
struct Api {
    events: Arc<Mutex<mpsc::Receiver<(String, Value)>>>,
    answers: mpsc::Sender<Result<Value, Value>>,
}

impl Function {
    /// Starts the Lambda binary of this name in a home's environment.
    pub async fn start(home: &Home, name: &str) -> Self {
        Self::start_program(home, name, &binary::function(name)).await
    }

    /// Starts this program as the function of this name.
    pub async fn start_program(home: &Home, name: &str, program: &std::path::Path) -> Self {
        table::deployed(home).await;
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
        let mut command = home.command_of(program, &[]);
        command
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128");
        let [stdout, stderr] = ["stdout", "stderr"].map(|stream| home.output_file(stream));
        let write = |path: &PathBuf| Stdio::from(File::create(path).expect("a file can be made"));
        command.stdout(write(&stdout)).stderr(write(&stderr));
        let started = Instant::now();
        let process = command.spawn().expect("the function starts");
        Self { events, answers, process, started, stdout, stderr, last_id: String::new() }
    }

    /// When its process was started.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// Invokes it; answers its response, or the error that the invocation failed with.
    pub async fn invoke(&mut self, event: Value) -> Result<Value, Value> {
        self.last_id = uuid();
        self.events.send((self.last_id.clone(), event)).await.expect("the runtime API runs");
        tokio::select! {
            answer = within("an answer of the function", self.answers.recv()) => answer.expect("the runtime API runs"),
            ended = self.process.wait() => panic!("the function ended: {ended:?}\n{}", self.written()),
        }
    }

    /// Hands a request over as this front does; the invocation must not fail.
    pub async fn send(&mut self, front: Front, request: &Request) -> Value {
        let answer = self.invoke(front.event(request)).await;
        answer.unwrap_or_else(|error| panic!("{front:?} {} {}: {error}", request.method, request.path))
    }

    /// The most memory that its process ever had, in bytes, where the system says so.
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1_024)
    }

    /// The platform's id of the last invocation.
    #[must_use]
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    /// What it has written to the standard output: metrics.
    #[must_use]
    pub fn stdout(&self) -> String {
        std::fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// What it has written to the standard error: logs.
    #[must_use]
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// What it has written to both.
    #[must_use]
    pub fn written(&self) -> String {
        self.stdout() + &self.stderr()
    }

    /// Waits for its end, which must come by itself; answers its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        ended.expect("the function ends by itself").expect("a child can be waited for").code()
    }
}

async fn next(State(api): State<Api>) -> Response {
    match api.events.lock().await.recv().await {
        Some((id, event)) => {
            let headers = [
                ("lambda-runtime-aws-request-id", id.as_str()),
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

/// The body of a function's answer, which must have this status.
#[must_use]
#[track_caller]
pub fn body(answer: &Value, status: u16) -> Value {
    assert_eq!(answer["statusCode"], status, "{answer}");
    serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or(Value::Null)
}
