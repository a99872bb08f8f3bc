//! Waiting for what must come, up to a deadline.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long anything may take on a slow and busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until the answer is `Ok`.
///
/// # Panics
/// With the last answer when it is still `Err` after [`PATIENCE`].
pub async fn until<T, E: Display>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) if Instant::now() > deadline => panic!("{what}: still {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Waits for `what` to end.
///
/// # Panics
/// When it has not after [`PATIENCE`].
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}
