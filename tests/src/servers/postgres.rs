//! A PostgreSQL server of a test's own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{self, Process};
use super::{port, program, run};

/// Whether commits wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// As in production.
    Disk,
    /// A commit survives a killed process, and not a power cut: the tests cut no power.
    Process,
}

/// A running server whose superuser is `postgres`, with no password.
#[derive(Debug)]
pub struct Postgres {
    process: Option<Process>,
    port: u16,
    durability: Durability,
    settings: Vec<(String, String)>,
    folder: TempDir,
}

impl Postgres {
    /// Starts one with nothing in it.
    #[must_use]
    pub fn start(durability: Durability) -> Self {
        Self::start_with(durability, &[], &[], &[])
    }

    /// Starts one with nothing in it that was made with these options of `initdb` besides, has
    /// these files in its data folder, and these settings.
    #[must_use]
    pub fn start_with(
        durability: Durability,
        options: &[&str],
        files: &[(&str, &str)],
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = process::folder("postgres");
        let mut command = process::command(&program("initdb"));
        command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        command.args(options).arg("--pgdata").arg(folder.path().join("data"));
        run(&mut command).expect("a cluster can be made");
        for (name, contents) in files {
            process::file(&folder.path().join("data").join(name), contents);
        }
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { process: None, port: 0, durability, settings, folder };
        for _ in 0..20 {
            server.port = port::free();
            if server.run().is_ok() {
                return server;
            }
        }
        panic!("no port for PostgreSQL:\n{}", std::fs::read_to_string(server.log()).unwrap_or_default());
    }

    /// Where it is: any database of it, that of the superuser for one.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the postmaster, as a crash would; its children notice and end.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.end_with(Signal::KILL);
        }
    }

    /// Ends it in good order, without waiting for open connections.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end_with(Signal::INT);
        }
    }

    /// Starts it again on the same port with what it had.
    ///
    /// # Panics
    /// When it does not start within 30 seconds.
    pub fn restart(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        // Children of a killed postmaster hold its shared memory until they have noticed.
        while let Err(output) = self.run() {
            assert!(Instant::now() < deadline, "PostgreSQL does not start again:\n{output}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let data = self.folder.path().join("data");
        let mut command = process::command(&program("postgres"));
        command.arg("-D").arg(&data).args(["-p", &self.port.to_string()]);
        let folder = self.folder.path().display().to_string();
        let fsync = if self.durability == Durability::Disk { "on" } else { "off" };
        for (name, value) in [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", &*folder),
            ("fsync", fsync),
            ("full_page_writes", fsync),
            ("max_connections", "400"),
            ("log_min_messages", "warning"),
            ("timezone", "UTC"),
        ] {
            command.args(["-c", &format!("{name}={value}")]);
        }
        for (name, value) in &self.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        // The status in the file that the postmaster keeps of itself: its last line.
        let status = data.join("postmaster.pid");
        let ready = |id: u32| {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let mut lines = text.lines();
            let own = lines.next() == Some(&id.to_string());
            own && lines.last().is_some_and(|status| status.trim() == "ready")
        };
        // QUIT ends it at once, its children and shared memory included.
        self.process = Some(Process::start(&mut command, self.log(), Signal::QUIT, ready)?);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}
