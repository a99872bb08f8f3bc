//! The processes that are measured: started, watched and ended.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal};

use crate::connection::Connection;
use crate::request;

/// How long a process may take to become ready, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running process; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// From the start of the process to the first 200 of `/health/ready`.
    pub(crate) ready_after: Duration,
}

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) now: u64,
    /// Resident at most since the start.
    pub(crate) peak: u64,
    /// What of it is no page of a file: data, without the program's own code.
    pub(crate) data: u64,
}

impl Process {
    /// Starts the server on the database in `home`, with nothing of this environment but
    /// `variables`.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) async fn server(executable: &Path, home: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = server_command(executable, home);
        command.envs(variables.iter().copied());
        Self::start(command, home.join("server.log")).await
    }

    /// Starts the handlers that do nothing.
    ///
    /// # Errors
    /// When they do not become ready.
    pub(crate) async fn ceiling(home: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env_clear().arg("ceiling");
        Self::start(command, home.join("ceiling.log")).await
    }

    async fn start(mut command: Command, log: PathBuf) -> Result<Self> {
        // Files, not pipes: reading along would cost the measurement, not reading would block.
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("starting {command:?}"))?;
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { child, log, addr: nowhere, ready_after: Duration::ZERO };
        process.addr = process.listening(began + PATIENCE).await?;
        while !process.ready().await {
            ensure!(began.elapsed() < PATIENCE, "not ready:\n{}", process.last_words());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.ready_after = began.elapsed();
        Ok(process)
    }

    /// Waits for the line that names the port.
    async fn listening(&mut self, deadline: Instant) -> Result<SocketAddr> {
        loop {
            let text = std::fs::read_to_string(&self.log)?;
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            let found = complete.lines().find_map(|line| line.split_once("listening on http://"));
            if let Some((_, rest)) = found {
                let addr = rest.split_whitespace().next().unwrap_or_default();
                return addr.parse().with_context(|| format!("no address: {rest}"));
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("ended at the start with {status}:\n{}", self.last_words());
            }
            ensure!(Instant::now() < deadline, "does not listen:\n{}", self.last_words());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn ready(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.addr, 0).await else {
            return false;
        };
        let answer = connection.exchange(&request::get("/health/ready")).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// Resident memory, as Linux counts it.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse().ok());
            kibibytes.map(|number: u64| number * 1_024).with_context(|| format!("no {name} in {path}"))
        };
        Ok(Memory { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")?, data: bytes("RssAnon:")? })
    }

    /// Asks the process to end, and waits.
    ///
    /// # Errors
    /// When it ends otherwise than well, or not at all.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let status = self.terminate().await?;
        ensure!(status.success(), "ended with {status}:\n{}", self.last_words());
        Ok(())
    }

    async fn terminate(&mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        rustix::process::kill_process(pid.context("no process id")?, Signal::TERM)?;
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!("does not end when asked to:\n{}", self.last_words())
    }

    fn last_words(&self) -> String {
        last_words(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error could not be reported here, and an ended process cannot be killed again.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The server's executable with the environment that all of its commands need here.
fn server_command(executable: &Path, home: &Path) -> Command {
    let mut command = Command::new(executable);
    command
        .env_clear()
        .current_dir(home)
        .env("ANALYTICS_ADDR", "127.0.0.1:0")
        .env("ANALYTICS_STORE", format!("sqlite:{}", home.join("analytics.db").display()))
        .env("ANALYTICS_RATE_LIMIT", "1000000000")
        .env("ANALYTICS_READ_LIMIT", "1000000000");
    command
}

/// Runs a sub-command on the database in `home`, or where `variables` say, to its end.
///
/// # Errors
/// When it fails; its output is in the message.
pub(crate) fn run(executable: &Path, home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let log = home.join("run.log");
    let output = File::create(&log)?;
    let mut command = server_command(executable, home);
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{arguments:?} ended with {status}:\n{}", last_words(&log));
    Ok(())
}

/// The end of a process's output, for the message about its failure.
fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(2_000)..]).into_owned()
}
