//! An emulator of DynamoDB of a test's own.

use std::net::{Ipv4Addr, TcpStream};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{self, Process};
use super::{port, program};

/// A running emulator that keeps its tables in memory.
#[derive(Debug)]
pub struct DynamoDb {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl DynamoDb {
    /// Starts one without tables.
    #[must_use]
    pub fn start() -> Self {
        let folder = process::folder("dynamodb");
        let mut output = String::new();
        for _ in 0..20 {
            let port = port::free();
            let mut command = process::command(&program("dynoxide"));
            command.args(["--port", &port.to_string(), "--log", "quiet"]);
            let ready = |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            match Process::start(&mut command, folder.path().join("log"), Signal::TERM, ready) {
                Ok(process) => return Self { _process: process, port, _folder: folder },
                Err(said) => output = said,
            }
        }
        panic!("no port for the emulator of DynamoDB:\n{output}");
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
