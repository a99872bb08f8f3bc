//! The client of the service: its endpoint, region and credentials, from the URL and the platform.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region, SharedHttpClient};

use super::client::{ATTEMPT_TIMEOUT, CONNECT_TIMEOUT};
use super::clock::ServiceClock;
use super::errors::{failed, unavailable};
use super::http;
use crate::config::{DynamoDbUrl, Keys, Platform};
use crate::store::Result;

/// A client for this URL, with what the platform says.
///
/// # Errors
/// When region or keys are configured nowhere.
pub async fn client(url: &DynamoDbUrl) -> Result<Client> {
    client_with(url, &ServiceClock::default()).await
}

/// The same, which sets a clock by the service's answers.
pub(super) async fn client_with(url: &DynamoDbUrl, clock: &ServiceClock) -> Result<Client> {
    let platform = Platform::from_env();
    let http = http::client(CONNECT_TIMEOUT, clock).map_err(failed)?;
    let builder = match configured(url, platform) {
        Some((region, keys)) => {
            let keys = Credentials::new(keys.id, keys.secret, keys.token, None, "environment");
            let builder = Builder::new().behavior_version(BehaviorVersion::latest()).http_client(http);
            builder.region(Region::new(region)).credentials_provider(keys)
        }
        None => discovered(url, http).await?,
    };
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    // `Table::request` retries: a refused transaction has to be examined before the next attempt.
    let mut builder = builder.retry_config(RetryConfig::disabled()).timeout_config(timeouts);
    if let Some(endpoint) = url.endpoint() {
        builder = builder.endpoint_url(endpoint);
    }
    Ok(Client::from_conf(builder.build()))
}

/// Region and keys from URL and environment, as functions have them. Emulators accept any keys.
fn configured(url: &DynamoDbUrl, platform: Platform) -> Option<(String, Keys)> {
    let region = url.region().map(str::to_owned).or(platform.region);
    if url.is_aws() {
        return region.zip(platform.keys);
    }
    let any = || Keys { id: "any".to_owned(), secret: "any".to_owned(), token: None };
    Some((region.unwrap_or_else(|| "us-east-1".to_owned()), platform.keys.unwrap_or_else(any)))
}

/// Region and keys from the other places that the SDK knows: profiles, roles of containers and machines.
#[cfg(feature = "process")]
async fn discovered(url: &DynamoDbUrl, http: SharedHttpClient) -> Result<Builder> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    if let Some(region) = url.region() {
        loader = loader.region(Region::new(region.to_owned()));
    }
    let found = loader.load().await;
    if found.region().is_none() {
        return Err(unavailable("no region is named"));
    }
    Ok(Builder::from(&found))
}

/// Functions have them in their environment, or not at all.
#[cfg(not(feature = "process"))]
async fn discovered(_: &DynamoDbUrl, _: SharedHttpClient) -> Result<Builder> {
    Err(unavailable("the environment has no region, or no keys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> DynamoDbUrl {
        DynamoDbUrl::parse(text).unwrap()
    }

    fn platform(region: Option<&str>, keys: bool) -> Platform {
        let keys = keys.then(|| Keys { id: "id".to_owned(), secret: "secret".to_owned(), token: None });
        Platform { region: region.map(str::to_owned), keys }
    }

    #[test]
    fn the_region_of_the_url_comes_first() {
        let named = url("table?region=eu-west-3");
        let (region, keys) = configured(&named, platform(Some("us-west-2"), true)).unwrap();
        assert_eq!((&*region, &*keys.id), ("eu-west-3", "id"));
        let (region, _) = configured(&url("table"), platform(Some("us-west-2"), true)).unwrap();
        assert_eq!(region, "us-west-2");
    }

    #[test]
    fn the_service_is_never_asked_with_made_up_keys() {
        assert!(configured(&url("table?region=eu-west-3"), platform(None, false)).is_none());
        assert!(configured(&url("table"), platform(None, true)).is_none());
        let aws = "table?endpoint=https://dynamodb.eu-west-3.amazonaws.com&region=eu-west-3";
        assert!(configured(&url(aws), platform(None, false)).is_none());
    }

    #[test]
    fn emulators_take_any_keys() {
        let emulator = url("table?endpoint=http://127.0.0.1:8000");
        let (region, keys) = configured(&emulator, platform(None, false)).unwrap();
        assert_eq!((&*region, &*keys.id), ("us-east-1", "any"));
        assert_eq!(configured(&emulator, platform(None, true)).unwrap().1.id, "id");
    }
}
