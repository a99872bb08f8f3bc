//! A running server.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

#[cfg(target_os = "linux")]
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::answer::Answer;
use crate::home::Home;
use crate::http::{Connection, Request, get, post};
use crate::wait::{until, within};
use crate::{API, scrape::Scrape};

/// A server process. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    /// Where it lives.
    pub home: Home,
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Server {
    /// One with all defaults of [`Home::new`].
    pub async fn new() -> Self {
        Home::new().serve().await
    }

    pub(crate) async fn start(home: Home, arguments: &[&str]) -> Self {
        let [stdout, stderr] = ["stdout", "stderr"].map(|stream| home.output_file(stream));
        let write = |path: &PathBuf| Stdio::from(File::create(path).expect("a file can be made"));
        let mut command = home.command(arguments);
        let mut child = command.stdout(write(&stdout)).stderr(write(&stderr)).spawn().expect("the program starts");
        let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let address = until("the server listens", async || {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                panic!("the server ended with {status}:\n{}\n{}", read(&stdout), read(&stderr));
            }
            announced(&read(&stdout)).ok_or("silent")
        })
        .await;
        let server = Self { home, address, child, stdout, stderr };
        until("the server is ready", async || match server.connect().await?.send(&get("/health/ready")).await {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(std::io::Error::other(answer.text())),
            Err(error) => Err(error),
        })
        .await;
        server
    }

    /// A connection of one's own.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn connect(&self) -> std::io::Result<Connection> {
        Connection::open(self.address).await
    }

    /// Sends a request on a connection of its own.
    pub async fn send(&self, request: Request) -> Answer {
        self.try_send(request.clone())
            .await
            .unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.path))
    }

    /// Sends a request on a connection of its own.
    ///
    /// # Errors
    /// When the server does not take it or does not answer it.
    pub async fn try_send(&self, request: Request) -> std::io::Result<Answer> {
        let mut connection = Connection::open_from(self.address, request.source).await?;
        connection.send(&request.header("connection", "close")).await
    }

    /// Lets the process's files grow to so many bytes and no further, or to any size again. It must
    /// ignore the signal that it gets otherwise ([`Home::after`] `trap '' XFSZ`).
    #[cfg(target_os = "linux")]
    pub fn limit_files(&self, bytes: Option<u64>) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(id.and_then(Pid::from_raw), Resource::Fsize, limit).expect("a limit can be set");
    }

    /// The most memory that the process ever had, in bytes.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().expect("it is running")));
        let status = status.expect("the system says what a process has");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")?.trim().parse().ok());
        peak.map(|peak: u64| peak * 1024).expect("a line with the peak")
    }

    /// Sends one event.
    pub async fn event(&self, event: &Value) -> Answer {
        self.send(post("/event", event)).await
    }

    /// Sends one event that must be stored; answers its id. The next event is of a later time: those of one
    /// millisecond are in the order of their ids.
    pub async fn store(&self, event: &Value) -> String {
        let answer = self.event(event).await;
        assert_eq!(answer.status, 201, "{event}: {}", answer.text());
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        crate::text(&answer.json()["data"]["id"]).to_owned()
    }

    /// Sends a batch that must be stored as a whole.
    pub async fn store_all(&self, events: &[Value]) {
        let answer = self.send(post("/events", &Value::from(events))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["data"]["stored"], events.len(), "{}", answer.text());
    }

    /// Asks a question that must be answered; the whole body.
    pub async fn ask(&self, question: &str) -> Value {
        let answer = self.send(get(format!("{API}{question}"))).await;
        assert_eq!(answer.status, 200, "{question}: {}", answer.text());
        let body = answer.json();
        assert_eq!(body["success"], true, "{question}: {body}");
        body
    }

    /// Asks a question that must be answered; its `data`.
    pub async fn data(&self, question: &str) -> Value {
        self.ask(question).await["data"].take()
    }

    /// What `/metrics` says.
    pub async fn scrape(&self) -> Scrape {
        let answer = self.send(get("/metrics")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Scrape::read(answer.text())
    }

    /// What it has written to both outputs.
    #[must_use]
    pub fn written(&self) -> String {
        [&self.stdout, &self.stderr].map(|path| std::fs::read_to_string(path).unwrap_or_default()).concat()
    }

    /// Kills it at once, as a power cut would, and waits until it is gone.
    pub async fn kill(mut self) -> Home {
        self.child.kill().await.expect("a child can be killed");
        self.home.clone()
    }

    /// Asks it to end (SIGTERM) and goes on at once.
    pub async fn ask_to_end(&self) {
        let id = self.child.id().expect("it is running");
        let sent = Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "a signal can be sent");
    }

    /// Waits for its end; answers its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        within("the server ends", self.child.wait()).await.expect("a child can be waited for").code()
    }

    /// Ends it in good order.
    pub async fn end(mut self) -> Home {
        self.ask_to_end().await;
        assert_eq!(self.ended().await, Some(0), "{}", self.written());
        self.home.clone()
    }
}

fn announced(output: &str) -> Option<SocketAddr> {
    let (_, rest) = output.split_once("listening on http://")?;
    rest.split_once(char::is_whitespace)?.0.parse().ok()
}
