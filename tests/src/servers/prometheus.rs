//! A Prometheus of a test's own.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{self, Process};
use super::{port, program};

/// A running server that scrapes what its configuration says.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one with these files, of which `prometheus.yml` is its configuration.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(files: &[(&str, &str)]) -> Self {
        let folder = process::folder("prometheus");
        for (name, contents) in files {
            process::file(&folder.path().join(name), contents);
        }
        let path = |name: &str| folder.path().join(name);
        let mut output = String::new();
        for _ in 0..20 {
            let port = port::free();
            let mut command = process::command(&program("prometheus"));
            command.arg(format!("--config.file={}", path("prometheus.yml").display()));
            command.arg(format!("--storage.tsdb.path={}", path("data").display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            // The port may be another process's: only this one ends when it cannot have it.
            let log = path("log");
            let ready = |_| {
                let listens = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
                listens && std::fs::read_to_string(&log).is_ok_and(|log| log.contains("ready to receive web requests"))
            };
            match Process::start(&mut command, log.clone(), Signal::TERM, ready) {
                Ok(process) => return Self { _process: process, port, _folder: folder },
                Err(words) => output = words,
            }
        }
        panic!("Prometheus does not start:\n{output}");
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}
