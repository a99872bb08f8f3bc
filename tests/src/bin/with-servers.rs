//! `with-servers COMMAND…`: runs a command beside throw-away servers, and exits as it does.
//!
//! Starts a PostgreSQL, a Redis and an emulator of DynamoDB, each with a free port on loopback
//! and a temporary folder, and tells the command where they are: `ANALYTICS_TEST_POSTGRES`,
//! `ANALYTICS_TEST_REDIS`, `ANALYTICS_TEST_DYNAMODB`. All are gone when the command has ended, also
//! when it fails and on Ctrl-C; when this process is killed, the servers end with it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tests::servers::{Durability, DynamoDb, Postgres, Redis};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().context("usage: with-servers COMMAND [ARGUMENT…]")?;
    // From the start, so that a signal while servers start is not the end without them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let [mut interrupts, mut terminations] =
        runtime.block_on(async { anyhow::Ok([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]) })?;

    let postgres = Postgres::start(Durability::Process);
    let redis = Redis::start();
    let dynamodb = DynamoDb::start();
    let mut command = Command::new(program);
    command.args(arguments);
    command.env("ANALYTICS_TEST_POSTGRES", postgres.url("postgres"));
    command.env("ANALYTICS_TEST_REDIS", redis.url());
    command.env("ANALYTICS_TEST_DYNAMODB", dynamodb.url());
    let status = runtime.block_on(async {
        let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
        loop {
            tokio::select! {
                status = child.wait() => return anyhow::Ok(status?),
                // A terminal sends it to the command too, which decides when it ends.
                _ = interrupts.recv() => {}
                _ = terminations.recv() => {
                    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
                    id.map(|id| kill_process(id, Signal::TERM)).transpose()?;
                }
            }
        }
    })?;
    drop((postgres, redis, dynamodb));
    // As shells say it.
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
