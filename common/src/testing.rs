//! An app with a store of its own and a clock that stands: what tests of handlers need.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests: a panic is a finding")]

#[cfg(feature = "postgres")]
pub mod redis;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

use crate::App;
use crate::config::Config;
use crate::event::{Event, EventData};
use crate::event_type::EventType;
use crate::http::{BASE_PATH, Guard, PeerAddress, finish};
use crate::measure::facts::Facts;
use crate::site::Site;
use crate::source::Fixed;
use crate::store::Appended;
use crate::time::Timestamp;
use crate::url::Url;

/// An app on the embedded engine, in a folder that goes with it.
#[derive(Debug)]
pub struct TestApp {
    /// The app.
    pub app: App,
    /// Its clock.
    pub source: Arc<Fixed>,
    /// Where its file is.
    pub folder: TempDir,
    router: Router,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct TestAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, or null when it is no JSON.
    pub body: Value,
    /// Its body as text.
    pub text: String,
}

impl TestApp {
    /// With these variables, one function's routes, and a clock that stands at `now`.
    ///
    /// # Panics
    /// When anything fails.
    pub async fn start(vars: &[(&str, &str)], router: fn(App) -> Router, now: &str) -> Self {
        Self::start_with(vars, |_| (), router, now).await
    }

    /// The same, with a configuration that variables cannot express, such as bounds smaller than they may be.
    ///
    /// # Panics
    /// When anything fails.
    pub async fn start_with(
        vars: &[(&str, &str)],
        change: impl FnOnce(&mut Config),
        router: fn(App) -> Router,
        now: &str,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", folder.path().join("analytics.db").display());
        let vars = vars.iter().copied().chain([("ANALYTICS_STORE", store.as_str())]);
        let mut config = Config::from_vars(vars.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        change(&mut config);
        let source = Fixed::at(Timestamp::parse(now).unwrap());
        let app = App::open(config, Arc::clone(&source) as _).await.unwrap();
        let router = finish(router(app.clone()), Guard::new(&app), &app.config, &app.metrics);
        Self { app, source, folder, router }
    }

    /// Asks for a path below [`BASE_PATH`].
    pub async fn get(&self, path: &str) -> TestAnswer {
        self.send(Request::get(format!("{BASE_PATH}{path}")).body(Body::empty()).unwrap()).await
    }

    /// Sends a body to a path below [`BASE_PATH`], with these headers, from an address.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        address: Option<&str>,
        body: impl AsRef<[u8]>,
    ) -> TestAnswer {
        let mut request = Request::post(format!("{BASE_PATH}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(address) = address {
            request = request.extension(PeerAddress(address.parse::<IpAddr>().unwrap()));
        }
        self.send(request.body(Body::from(body.as_ref().to_owned())).unwrap()).await
    }

    /// Sends a request.
    pub async fn send(&self, request: Request<Body>) -> TestAnswer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        TestAnswer { status: parts.status, headers: parts.headers, body, text }
    }
}

/// Runs a target of the fuzzer with everything in its corpus, `fuzz/corpus/<target>/`.
///
/// # Panics
/// When the target does, or there is no corpus.
pub fn run_corpus(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(std::panic::catch_unwind(|| run(&bytes)).is_ok(), "{} is a finding", path.display());
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}

/// Appends an event of the default site at an instant, by visitor number `who`.
///
/// # Panics
/// When it cannot be stored.
pub async fn store_event(app: &App, who: u128, event_type: &str, page_url: &str, data: &Value, at: &str) {
    let at = Timestamp::parse(at).unwrap();
    let event = Event {
        id: app.source.event_id(at),
        site: Site::default(),
        visitor: Uuid::from_u128(who).into(),
        event_type: EventType::parse(event_type).unwrap(),
        data: EventData::new(data.as_object().unwrap()).unwrap(),
        page_url: Some(Url::new(page_url)),
        referrer: None,
        created_at: at,
        facts: Facts::default(),
    };
    let answers = app.store.append(vec![event], at).await.unwrap();
    assert!(matches!(answers[..], [Appended::Stored]));
}
