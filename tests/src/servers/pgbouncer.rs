//! A PgBouncer of a test's own, before a PostgreSQL.

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{self, Process};
use super::{Postgres, port, program};

/// A running pooler; its log and settings are in a folder of its own.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts one that pools by `session`, `transaction` or `statement`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(postgres: &Postgres, pool_mode: &str) -> Self {
        let folder = process::folder("pgbouncer");
        let settings = folder.path().join("pgbouncer.ini");
        let mut output = String::new();
        for _ in 0..20 {
            let port = port::free();
            process::file(
                &settings,
                &format!(
                    "[databases]\npostgres = user=postgres host=127.0.0.1 port={}\n\
                     [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                     auth_type = any\nserver_reset_query = discard all\nignore_startup_parameters = extra_float_digits\n\
                     pool_mode = {pool_mode}\n",
                    postgres.port()
                ),
            );
            let mut command = process::command(&program("pgbouncer"));
            command.arg(&settings);
            let listening = |_| std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).is_ok();
            match Process::start(&mut command, folder.path().join("log"), Signal::INT, listening) {
                Ok(process) => return Self { port, _process: process, _folder: folder },
                Err(error) => output = error,
            }
        }
        panic!("no port for PgBouncer:\n{output}");
    }

    /// Where the superuser's database is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}
