//! A directory and an environment of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::process::Command;

use crate::engine::{Engine, Fresh};
use crate::server::Server;
use crate::wait::within;
use crate::{binary, random};

/// Where the program runs: nothing of the outer environment but `PATH` gets in, and nothing
/// is written elsewhere. Clones share the directory and the store, which go with the last of
/// them.
#[derive(Debug, Clone)]
pub struct Home {
    parts: Arc<Parts>,
    environment: BTreeMap<String, String>,
    shell: Option<String>,
}

#[derive(Debug)]
struct Parts {
    store: Fresh,
    dir: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Both outputs.
    #[must_use]
    pub fn output(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Fails the test unless the run ended with this exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code, after:\n{}", self.output());
        self
    }
}

impl Home {
    /// A fresh one, with an empty store of the engine of this run, a port of its own and, unless
    /// a test says otherwise, no rate limit that it could hit.
    #[must_use]
    pub fn new() -> Self {
        Self::on(Engine::chosen())
    }

    /// A fresh one with an empty store of this engine.
    #[must_use]
    pub fn on(engine: Engine) -> Self {
        let dir = tempfile::Builder::new().prefix("analytics-").tempdir().expect("a directory can be made");
        for part in ["data", "output"] {
            std::fs::create_dir(dir.path().join(part)).expect("a directory can be made");
        }
        let store = Fresh::new(engine, &dir.path().join("data"));
        let variables = store.variables();
        let home = Self { parts: Arc::new(Parts { store, dir }), environment: BTreeMap::new(), shell: None };
        let home = home.env("ANALYTICS_ADDR", "127.0.0.1:0").env("ANALYTICS_RATE_LIMIT", "1000000");
        variables.into_iter().fold(home, |home, (name, value)| home.env(name, value))
    }

    /// With this variable set.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// What a variable is set to.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(|value| &**value)
    }

    /// Without this variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Where an embedded store is.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Where the outputs of servers go.
    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.path().join("output")
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.parts.dir.path()
    }

    /// Writes a file into the directory and answers its path.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("a directory can be made");
        std::fs::write(&path, contents).expect("a file can be written");
        path.display().to_string()
    }

    /// The program with these arguments, not yet started.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(binary::path(), arguments)
    }

    /// As it is after this line of shell.
    #[must_use]
    pub fn after(mut self, shell: &str) -> Self {
        self.shell = Some(shell.to_owned());
        self
    }

    /// Another program with these arguments, not yet started.
    #[must_use]
    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = match &self.shell {
            None => Command::new(program),
            Some(shell) => {
                let mut command = Command::new("/bin/sh");
                command.arg("-c").arg(format!("{shell}; exec \"$0\" \"$@\"")).arg(program);
                command
            }
        };
        command.args(arguments).current_dir(self.path()).env_clear();
        if let Some(path) = binary::variable("PATH") {
            command.env("PATH", path);
        }
        command.env("HOME", self.path()).envs(&self.environment);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs the program to its end.
    pub async fn run(&self, arguments: &[&str]) -> Finished {
        let output = within(&format!("{arguments:?}"), self.command(arguments).output()).await;
        let output = output.expect("the program starts");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts a server and waits until it is ready.
    pub async fn serve(&self) -> Server {
        self.serve_with(&["serve"]).await
    }

    /// Starts a server with these arguments and waits until it is ready.
    pub async fn serve_with(&self, arguments: &[&str]) -> Server {
        Server::start(self.clone(), arguments).await
    }

    /// Everything that is kept: all files below the directory, and what servers hold for it; a
    /// name and bytes each.
    #[must_use]
    pub fn kept(&self) -> Vec<(String, Vec<u8>)> {
        let mut kept = self.parts.store.held();
        let mut open = vec![self.data(), self.output()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                let entries = std::fs::read_dir(&path).expect("a directory can be read");
                open.extend(entries.map(|entry| entry.expect("an entry can be read").path()));
            } else if let Ok(file) = std::fs::read(&path) {
                kept.push((path.display().to_string(), file));
            }
        }
        kept
    }

    /// A file for the output of one more run.
    pub(crate) fn output_file(&self, stream: &str) -> PathBuf {
        let number = std::fs::read_dir(self.output()).map_or(0, Iterator::count);
        self.output().join(format!("{number:03}-{stream}-{:08x}", random::fresh() as u32))
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether `bytes` stand anywhere in `text`.
#[must_use]
pub fn contains(text: &[u8], bytes: &[u8]) -> bool {
    text.windows(bytes.len()).any(|window| window == bytes)
}
