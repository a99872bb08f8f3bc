//! The `query` endpoint as an AWS Lambda function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    common::lambda::run(query::router).await
}
