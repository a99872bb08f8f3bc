//! A web server in front of the product.

use std::net::{Ipv4Addr, TcpStream};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{self, Process};
use super::{port, program};

/// A running nginx or Caddy on a port of loopback.
#[derive(Debug)]
pub struct WebServer {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl WebServer {
    /// Starts a program in a folder with the files that `files` makes for a port.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(name: &str, arguments: &[&str], files: impl Fn(u16) -> Vec<(&'static str, String)>) -> Self {
        let folder = process::folder(name);
        let mut output = String::new();
        for _ in 0..20 {
            let port = port::free();
            for (name, contents) in files(port) {
                process::file(&folder.path().join(name), &contents);
            }
            let mut command = process::command(&program(name));
            command.args(arguments).current_dir(folder.path()).env("HOME", folder.path());
            let ready = |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            match Process::start(&mut command, folder.path().join("log"), Signal::TERM, ready) {
                Ok(process) => return Self { _process: process, port, _folder: folder },
                Err(words) => output = words,
            }
        }
        panic!("{name} does not start:\n{output}");
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}
