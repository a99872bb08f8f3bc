//! The retention run as a scheduled AWS Lambda function, that answers `POST /cleanup` too.

use cleanup::CleanupError;
use common::App;
use common::collect::error_text;
use common::lambda::Environment;
use common::metrics::gauges::Gauges;
use common::retention::Scheduled;
use lambda_runtime::tower::ServiceExt;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (environment, app) = Environment::open().await?;
    let http = environment.http(cleanup::router(app.clone()));
    let handler = service_fn(move |event: LambdaEvent<Value>| {
        let (environment, app, http) = (environment.clone(), app.clone(), http.clone());
        async move {
            // Requests have a context; schedules have none.
            if event.payload.get("requestContext").is_some() {
                let request =
                    LambdaEvent::new(serde_json::from_value(event.payload).map_err(malformed)?, event.context);
                let Ok(answer) = http.oneshot(request).await;
                return serde_json::to_value(answer).map_err(malformed);
            }
            let report = environment.invocation(&event.context, scheduled(&app)).await?;
            serde_json::to_value(report).map_err(malformed)
        }
    });
    lambda_runtime::run(handler).await
}

/// The run, and then the gauges, which are not scraped here.
async fn scheduled(app: &App) -> Result<Scheduled, CleanupError> {
    let report = cleanup::run(app, app.now()).await?;
    match Gauges::ask(app, app.now()).await {
        Ok(gauges) => gauges.show(&app.metrics),
        Err(error) => tracing::error!(error = error_text(&error), "gauges could not be refreshed"),
    }
    Ok(report)
}

fn malformed(error: serde_json::Error) -> Diagnostic {
    Diagnostic { error_type: "MalformedEvent".to_owned(), error_message: error.to_string() }
}
