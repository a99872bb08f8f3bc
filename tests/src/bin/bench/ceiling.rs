//! The ceiling: the least that an axum server can do, in a process of its own.

use std::io::Write;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

/// Where the handlers that do nothing live.
pub(crate) const PATH: &str = "/ceiling";

/// Serves on a free port until killed; the runtime is the default one, as the server's is.
///
/// # Errors
/// When no port can be had.
pub(crate) fn serve() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let router =
            Router::new().route(PATH, get(small_answer).post(swallow)).route("/health/ready", get(small_answer));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        // The line that the server prints too, so that one reader finds both ports.
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "listening on http://{}", listener.local_addr()?)?;
        stdout.flush()?;
        drop(stdout);
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn swallow(body: Bytes) -> StatusCode {
    drop(body);
    StatusCode::ACCEPTED
}

/// An answer of the size of `/realtime`.
async fn small_answer() -> impl IntoResponse {
    const BODY: &str = r#"{"success":true,"data":{"current_visitors":12,"unique_today":345,"total_events":6789,"letters_today":10,"timestamp":1765190000}}"#;
    ([(header::CONTENT_TYPE, "application/json")], BODY)
}
