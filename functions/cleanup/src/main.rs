//! The retention run as a scheduled AWS Lambda function.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let app = common::lambda::open().await?;
    let handler = service_fn(|_event: LambdaEvent<Value>| {
        let app = app.clone();
        async move { cleanup::run(&app, app.now()).await }
    });
    lambda_runtime::run(handler).await
}
