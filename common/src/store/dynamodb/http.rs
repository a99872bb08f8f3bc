//! The HTTP client: HTTP/1.1, which is all that the service speaks, over pooled connections, and TLS
//! with Mozilla's list of roots, as for the other engines.
//!
//! The SDK's own client would bring HTTP/2, proxies and the system's roots: a quarter of what a
//! function weighs, and some milliseconds of each start.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{IntoShared, SharedHttpClient};
use aws_sdk_dynamodb::error::ConnectorError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector as Connect, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_types::body::SdkBody;
use http::header::DATE;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::clock::ServiceClock;
use crate::https;
use crate::source::{Source as _, System};

/// The connections.
#[derive(Debug, Clone)]
struct Http {
    client: Client<HttpsConnector<HttpConnector>, SdkBody>,
    clock: ServiceClock,
}

/// A client that gives up a connection that is not made in this time, and sets a clock by the answers.
///
/// # Errors
/// When the cryptography knows no version of TLS.
pub(super) fn client(connect: Duration, clock: &ServiceClock) -> Result<SharedHttpClient, rustls::Error> {
    Ok(over(https::connector(connect)?, clock))
}

fn over(https: HttpsConnector<HttpConnector>, clock: &ServiceClock) -> SharedHttpClient {
    let client = Client::builder(TokioExecutor::new()).build(https);
    let connector = SharedHttpConnector::new(Http { client, clock: clock.clone() });
    http_client_fn(move |_, _| connector.clone()).into_shared()
}

impl Connect for Http {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into()))),
        };
        let answer = self.client.request(request);
        let clock = self.clock.clone();
        HttpConnectorFuture::new(async move {
            let answer = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            if let Some(Ok(date)) = answer.headers().get(DATE).map(|date| date.to_str()) {
                clock.note(date, Instant::now(), System.now());
            }
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
