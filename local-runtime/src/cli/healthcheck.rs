//! `healthcheck`: whether the server at `ANALYTICS_ADDR` is ready. Needs no runtime, no store and
//! no curl in the container.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::client::{Answer, MOST_BYTES, Request};
use super::{Failure, serve};

/// How long each step may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Succeeds when the server answers that it is ready.
///
/// # Errors
/// When it does not, or does not answer.
pub(super) fn run(address: SocketAddr) -> Result<(), Failure> {
    let address = serve::reachable(address);
    match ask(address) {
        Ok(Some(Answer { status: 200, .. })) => Ok(()),
        Ok(Some(answer)) => Err(Failure::Failed(format!("the server at {address} answers {}", answer.status))),
        Ok(None) => Err(Failure::Failed(format!("what listens at {address} speaks no HTTP"))),
        Err(error) => Err(Failure::Failed(format!("the server at {address} does not answer: {error}"))),
    }
}

fn ask(address: SocketAddr) -> io::Result<Option<Answer>> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let host = address.to_string();
    let request = Request { method: "GET", path: "/health/ready", host: &host, headers: &[], body: "" };
    stream.write_all(&request.to_bytes())?;
    let mut bytes = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(Answer::parse(&bytes))
}
