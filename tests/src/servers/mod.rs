//! Servers of a test's own: PostgreSQL, PgBouncer, Redis, Prometheus, nginx, Caddy and an emulator of DynamoDB, each a process with
//! a free port on loopback and a temporary folder, gone when dropped. They can be killed,
//! paused and started again on the same port, which is what outages are made of.
//!
//! All of this is plain blocking code, so that it can run in `drop` and outside of any runtime.

mod dynamodb;
mod pgbouncer;
pub mod port;
mod postgres;
mod process;
mod prometheus;
mod redis;
mod web_server;

pub use self::dynamodb::DynamoDb;
pub use self::pgbouncer::PgBouncer;
pub use self::postgres::{Durability, Postgres};
pub use self::prometheus::Prometheus;
pub use self::redis::Redis;
pub use self::web_server::WebServer;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::binary::{variable, workspace};

/// Where a program is: on the `PATH`, where Debian keeps PostgreSQL's, or where `make test` has
/// put it.
///
/// # Panics
/// When it is nowhere.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = variable("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = vec![workspace().join(".tools/bin")];
    folders.extend(std::env::split_paths(&path));
    folders.push("/usr/sbin".into());
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions.flatten().map(|version| version.path().join("bin")).collect();
        // The newest first; 9.6 is the one that would sort wrongly, and too old anyway.
        versions.sort_unstable();
        folders.extend(versions.into_iter().rev());
    }
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed; `make test` installs what the tests need"))
}

/// Runs a client program to its end; answers its output without the newline at the end.
///
/// # Errors
/// What it said, when it failed.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;
    use crate::engine::{psql, redis};

    fn taken(port: u16) -> bool {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    }

    #[test]
    fn postgres_survives_a_kill_with_what_was_committed() {
        let mut server = Postgres::start(Durability::Process);
        let (url, port) = (server.url("postgres"), server.port());
        psql(&url, "create table kept (n int); insert into kept values (7)");
        server.kill();
        assert!(!taken(port));
        server.restart();
        assert_eq!(psql(&url, "select n from kept"), "7");
        server.stop();
        assert!(!taken(port));
        server.restart();
        assert_eq!(psql(&url, "select n from kept"), "7");
        drop(server);
        assert!(!taken(port), "gone with its guard");
    }

    #[test]
    fn redis_forgets_and_pauses() {
        let mut server = Redis::start();
        server.command(&["set", "a", "1"]);
        server.kill();
        assert!(!taken(server.port()));
        server.restart();
        assert_eq!(server.command(&["dbsize"]), "0");
        server.pause();
        assert!(taken(server.port()), "it takes connections and does not answer");
        server.resume();
        assert_eq!(redis(&server.url(), &["ping"]), "PONG");
        server.pause();
        let port = server.port();
        drop(server);
        assert!(!taken(port), "gone with its guard, paused or not");
    }
}
