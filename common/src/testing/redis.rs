//! A Redis server of a test's own, to be stopped, frozen, emptied and started again at will.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, FromRedisValue};
use tempfile::TempDir;

/// How long the server may take to answer or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server on a free port; it ends with the value.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk but what `SAVE` writes, with these
    /// options besides. `None` when there is no `redis-server` on this machine, which is
    /// printed; where `CI` is set, that is a failure.
    ///
    /// # Panics
    /// When it cannot be started.
    #[allow(clippy::disallowed_methods, reason = "whether it is a CI is nothing to configure")]
    #[allow(clippy::print_stdout, reason = "the output of the tests shows what was skipped")]
    pub async fn start(options: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("CI").is_none(), "redis-server is not installed");
            println!("skipped: redis-server is not installed");
            return None;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { folder: tempfile::tempdir().unwrap(), port, options, process: None };
        server.run().await;
        Some(server)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it, at the same place; with what was saved.
    ///
    /// # Panics
    /// When it does not answer in time.
    pub async fn run(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        let started = Instant::now();
        while self.connection().await.is_none() {
            assert!(started.elapsed() < PATIENCE, "redis-server does not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn connection(&self) -> Option<MultiplexedConnection> {
        let client = Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        redis::cmd("PING").exec_async(&mut connection).await.ok()?;
        Some(connection)
    }

    /// Asks it, past whatever is tested.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut self.connection().await.unwrap()).await.unwrap()
    }

    /// Sends a command of plain words.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn command<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        self.ask(&command).await
    }

    /// Ends it as a power cut does.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Freezes it: it accepts connections, and never answers.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Also when it is frozen.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
