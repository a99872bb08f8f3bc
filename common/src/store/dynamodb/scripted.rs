//! A service for tests of how it is asked: it answers by a script and keeps what it was asked.

use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use super::client::Tables;

/// What is answered to an operation and its request, the how manieth it is.
type Script = dyn Fn(usize, &str, &Value) -> Value + Send + Sync;

/// The service.
#[derive(Clone)]
pub(super) struct Scripted {
    asked: Arc<Mutex<Vec<Value>>>,
    script: Arc<Script>,
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted").finish_non_exhaustive()
    }
}

impl Scripted {
    /// Tables of a service that answers so.
    pub(super) fn tables(script: impl Fn(usize, &str, &Value) -> Value + Send + Sync + 'static) -> (Self, Tables) {
        let service = Self { asked: Arc::default(), script: Arc::new(script) };
        let connector = SharedHttpConnector::new(service.clone());
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("any", "any", None, None, "script"))
            .http_client(http_client_fn(move |_, _| connector.clone()));
        (service, Tables::behind(Client::from_conf(config.build())).unwrap())
    }

    /// The requests that came.
    pub(super) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default();
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(body.clone());
            asked.len() - 1
        };
        let answer = (self.script)(number, operation, &body);
        let response = HttpResponse::new(200.try_into().unwrap(), SdkBody::from(answer.to_string()));
        HttpConnectorFuture::ready(Ok(response))
    }
}
