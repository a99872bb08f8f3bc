//! A proxy between a store and the service, with the faults of a network and of a busy service.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It is executed, and the answer is lost.
    LoseAnswer,
    /// It is refused: the table is too busy.
    Throttle,
    /// It is cancelled: others are in the way.
    Conflict,
    /// All but the first of a batch stays unprocessed.
    Unprocessed,
    /// It is refused: the keys may not do this.
    Deny,
    /// It is refused: there is no room for more.
    Full,
    /// It is refused: there is no such table.
    Gone,
    /// It is never answered.
    Silent,
}

#[derive(Default)]
struct Plan {
    /// Faults of requests for this operation, in turn.
    faults: Mutex<VecDeque<(&'static str, Fault)>>,
    /// What every request for this operation meets.
    lasting: Mutex<Option<(&'static str, Fault)>>,
    meanwhile: Mutex<Option<Meanwhile>>,
    seen: AtomicU64,
}

/// What happens between a request that is executed and the loss of its answer.
type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A proxy that is gone with its test.
pub(crate) struct Proxy {
    plan: Arc<Plan>,
    url: String,
}

impl Proxy {
    pub(crate) async fn before(service: &str) -> Self {
        let plan = Arc::new(Plan::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let to = service.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        let app = Router::new().fallback(pass).with_state((Arc::clone(&plan), to));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { plan, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next requests for an operation meet these faults.
    pub(crate) fn plan(&self, operation: &'static str, faults: &[Fault]) {
        self.plan.faults.lock().unwrap().extend(faults.iter().map(|fault| (operation, *fault)));
    }

    /// Every request for an operation meets this fault, until [`Self::heal`].
    pub(crate) fn fail(&self, operation: &'static str, fault: Fault) {
        *self.plan.lasting.lock().unwrap() = Some((operation, fault));
    }

    /// No request meets any fault from now on.
    pub(crate) fn heal(&self) {
        *self.plan.lasting.lock().unwrap() = None;
        self.plan.faults.lock().unwrap().clear();
    }

    /// The next lost answer is lost after this.
    pub(crate) fn meanwhile(&self, work: impl Future<Output = ()> + Send + 'static) {
        *self.plan.meanwhile.lock().unwrap() = Some(Box::pin(work));
    }

    /// Whether every fault has happened.
    pub(crate) fn is_done(&self) -> bool {
        self.plan.faults.lock().unwrap().is_empty()
    }

    /// How many requests came.
    pub(crate) fn seen(&self) -> u64 {
        self.plan.seen.load(Ordering::Relaxed)
    }
}

async fn pass(State((plan, to)): State<(Arc<Plan>, String)>, headers: HeaderMap, body: Body) -> Response {
    plan.seen.fetch_add(1, Ordering::Relaxed);
    let mut body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    let is_for = |operation: &str| target.ends_with(&format!(".{operation}"));
    let fault = {
        let mut faults = plan.faults.lock().unwrap();
        match faults.front() {
            Some((operation, _)) if is_for(operation) => faults.pop_front().map(|(_, fault)| fault),
            _ => plan.lasting.lock().unwrap().filter(|(operation, _)| is_for(operation)).map(|(_, fault)| fault),
        }
    };
    let refused = |kind: &str, more: &str| {
        let text = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}","message":"busy"{more}}}"#);
        answer(StatusCode::BAD_REQUEST, text.into_bytes())
    };
    let mut unprocessed = None;
    match fault {
        Some(Fault::Deny) => return refused("AccessDeniedException", ""),
        Some(Fault::Gone) => return refused("ResourceNotFoundException", ""),
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::Full) => return refused("ItemCollectionSizeLimitExceededException", ""),
        Some(Fault::Throttle) => return refused("ProvisionedThroughputExceededException", ""),
        Some(Fault::Conflict) => {
            let reasons = r#","CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict"}]"#;
            return refused("TransactionCanceledException", reasons);
        }
        Some(Fault::Unprocessed) => {
            let mut request: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let (table, items) = request["RequestItems"].as_object_mut().unwrap().iter_mut().next().unwrap();
            let items = items.as_array_mut().unwrap();
            let rest = items.split_off(1);
            unprocessed = Some((table.clone(), rest));
            body = serde_json::to_vec(&request).unwrap();
        }
        Some(Fault::None | Fault::LoseAnswer) | None => {}
    }
    let (status, mut body) = forward(&to, &headers, &body).await;
    if fault == Some(Fault::LoseAnswer) {
        let meanwhile = plan.meanwhile.lock().unwrap().take();
        if let Some(work) = meanwhile {
            work.await;
        }
        // Something came, but it is no answer.
        return answer(StatusCode::BAD_GATEWAY, Vec::new());
    }
    if let Some((table, rest)) = unprocessed
        && !rest.is_empty()
    {
        let mut said: serde_json::Value = serde_json::from_slice(&body).unwrap();
        said["UnprocessedItems"] = serde_json::json!({ table: rest });
        body = serde_json::to_vec(&said).unwrap();
    }
    answer(status, body)
}

fn answer(status: StatusCode, body: Vec<u8>) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Body::from(body))
        .unwrap()
}

/// Sends a request on a connection of its own.
async fn forward(to: &str, headers: &HeaderMap, body: &[u8]) -> (StatusCode, Vec<u8>) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let mut head = format!("POST / HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for name in ["x-amz-target", "content-type", "authorization", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            head += &format!("{name}: {}\r\n", value.to_str().unwrap());
        }
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let end = all.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(!head.contains("chunked"), "{head}");
    (StatusCode::from_u16(status).unwrap(), all[end + 4..].to_vec())
}
