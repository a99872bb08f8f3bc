//! What all sections share: the options, the ceiling, the place for files, the report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::disk;
use crate::load::{Expect, Plan};
use crate::machine::Machine;
use crate::options::Options;
use crate::process::Process;
use crate::report::Report;
use crate::request::Ring;

/// The base path of the product.
pub(crate) const BASE: &str = "/api/v1/analytics";

/// The state of one run of the bench.
pub(crate) struct Context {
    /// What was asked for.
    pub(crate) options: Options,
    /// The handlers that do nothing.
    pub(crate) ceiling: Process,
    /// What was found.
    pub(crate) report: Report,
    executable: PathBuf,
    directory: TempDir,
    began: Option<Machine>,
}

impl Context {
    /// Finds the server, makes the directory, starts the ceiling.
    ///
    /// # Errors
    /// When one of these fails.
    pub(crate) async fn open(options: Options) -> Result<Self> {
        let executable = options.server()?;
        let mut builder = tempfile::Builder::new();
        builder.prefix("analytics-bench-");
        let directory = match &options.dir {
            Some(parent) => builder.tempdir_in(parent)?,
            None => builder.tempdir()?,
        };
        let began = Machine::now()?;
        let ceiling = Process::ceiling(directory.path()).await?;
        let report = Report::new(disk::fsync_ms(directory.path())?, options.quick);
        Ok(Self { options, ceiling, report, executable, directory, began })
    }

    /// Ends the ceiling, removes the files, hands out the report.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub(crate) fn close(mut self) -> Result<Report> {
        // Only of children that have ended is it known what they took.
        drop(self.ceiling);
        if let (Some(began), Some(now)) = (self.began, Machine::now()?) {
            self.report.set_others(began.others(now));
        }
        self.directory.close()?;
        Ok(self.report)
    }

    /// A directory of its own for a database.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn home(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// The server's executable.
    pub(crate) fn executable(&self) -> &Path {
        &self.executable
    }

    /// Starts a server on a database.
    ///
    /// # Errors
    /// When it does not become ready.
    pub(crate) async fn server(&self, home: &Path, extra: &[(&str, &str)]) -> Result<Process> {
        Process::server(&self.executable, home, extra).await
    }

    /// One measurement of the usual length.
    pub(crate) fn plan(&self, to: &Process, connections: usize, ring: &Arc<Ring>, expect: Expect) -> Plan {
        let length = self.options.length();
        Plan {
            to: to.addr,
            connections,
            ring: Arc::clone(ring),
            expect,
            warm: (length / 5).min(Duration::from_millis(300)),
            length,
            limit: u64::MAX,
        }
    }

    /// Says on stderr what is being done.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("bench: {what}");
    }
}
