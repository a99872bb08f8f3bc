//! A Redis server of a test's own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{self, Process};
use super::{port, program, run};

/// A running server that keeps nothing on the disk.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    port: u16,
    options: Vec<String>,
    folder: TempDir,
}

impl Redis {
    /// How many databases it has: more than there are tests that want one of their own.
    pub const DATABASES: u32 = 10_000;

    /// Starts an empty one.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// Starts an empty one with these options besides, in a folder with these files.
    #[must_use]
    pub fn start_with(options: &[&str], files: &[(&str, &str)]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { process: None, port: 0, options, folder: process::folder("redis") };
        for (name, contents) in files {
            process::file(&server.folder.path().join(name), contents);
        }
        for _ in 0..20 {
            server.port = port::free();
            if server.run().is_ok() {
                return server;
            }
        }
        panic!("no port for Redis:\n{}", std::fs::read_to_string(server.log()).unwrap_or_default());
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it; what it held is gone.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.end_with(Signal::KILL);
        }
    }

    /// Starts it again on the same port, empty.
    ///
    /// # Panics
    /// When it does not start within 30 seconds.
    pub fn restart(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(output) = self.run() {
            assert!(Instant::now() < deadline, "Redis does not start again:\n{output}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Makes it take connections and never answer.
    pub fn pause(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::STOP);
    }

    /// Makes it answer again.
    pub fn resume(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::CONT);
    }

    /// Sends it a command; answers what it said.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut client = Command::new(program("redis-cli"));
        client.args(["-e", "-p", &self.port.to_string()]).args(arguments);
        run(&mut client).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    fn run(&mut self) -> Result<(), String> {
        let port = self.port.to_string();
        let mut command = process::command(&program("redis-server"));
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.args(["--databases", &Self::DATABASES.to_string(), "--maxmemory-policy", "noeviction"]);
        // So that what it holds can be searched for bytes.
        command.args(["--rdbcompression", "no"]);
        command.arg("--dir").arg(self.folder.path()).args(&self.options);
        let ready = |id: u32| answers(self.port, id);
        self.process = Some(Process::start(&mut command, self.log(), Signal::TERM, ready)?);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// Whether it is this very process that answers at a port.
fn answers(port: u16, id: u32) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"info server\r\nquit\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| crate::home::contains(&answer, format!("process_id:{id}\r\n").as_bytes()))
}
