//! A service for tests of requests: it answers by a script and records the requests.

use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::client::Table;

/// What the service answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// The operation's output.
    Output(Value),
    /// An error of this name, with these fields besides.
    Error(&'static str, Value),
}

impl From<Value> for Answer {
    fn from(output: Value) -> Self {
        Self::Output(output)
    }
}

/// What is answered to a request: from its number, its operation and itself.
type Script = dyn Fn(usize, &str, &Value) -> Answer + Send + Sync;

/// The service.
#[derive(Clone)]
pub(super) struct Scripted {
    requests: Arc<Mutex<Vec<Value>>>,
    script: Arc<Script>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").finish_non_exhaustive()
    }
}

impl Scripted {
    /// A table named `table` of a service that answers so.
    pub(super) fn table<A: Into<Answer>>(
        script: impl Fn(usize, &str, &Value) -> A + Send + Sync + 'static,
    ) -> (Self, Table) {
        let script =
            Arc::new(move |number, operation: &str, request: &Value| script(number, operation, request).into());
        let service = Self { requests: Arc::default(), script };
        let connector = SharedHttpConnector::new(service.clone());
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("any", "any", None, None, "script"))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        (service, Table::new(Client::from_conf(config.build()), "table"))
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }
}

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let number = {
            let mut requests = self.requests.lock().unwrap();
            requests.push(body.clone());
            requests.len() - 1
        };
        let (status, body) = match (self.script)(number, operation, &body) {
            Answer::Output(output) => (200, output),
            Answer::Error(name, mut fields) => {
                fields["__type"] = json!(format!("com.amazonaws.dynamodb.v20120810#{name}"));
                (400, fields)
            }
        };
        let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()));
        HttpConnectorFuture::ready(Ok(response))
    }
}
