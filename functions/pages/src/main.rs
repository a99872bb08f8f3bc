//! The dashboard and the tracker script as an AWS Lambda function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    common::lambda::run_without_store(pages::router).await
}
