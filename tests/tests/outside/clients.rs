//! Clients that were written for Plausible work with the product: programs of others, unchanged
//! (`tests/clients`).

use std::process::Stdio;
use std::time::Duration;

use tests::binary;
use tests::home::Home;
use tests::random::Random;
use tests::samples::{SITE, arriving, event_lines};
use tokio::process::Command;
use tokio::time::timeout;

/// Python starts slowly beside other tests.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs a program of `tests/clients` with what a client needs, beside a server that has events.
async fn works(client: &str, program: &str) {
    let python = binary::workspace().join(".tools/clients").join(client).join("bin/python");
    if !python.exists() {
        eprintln!("skipped: {client} is not installed; tests/tools does it for the versions of Python that it runs on");
        assert!(client != "plausible-mcp" || binary::variable("CI").is_none(), "it runs on every Python since 3.11");
        return;
    }
    let home = Home::new();
    let mut random = Random::seeded();
    let lines = home.write("events.jsonl", event_lines(&mut random));
    home.run(&["import", "--format", "events", &lines]).await.expect_code(0);
    let server = home.serve().await;
    server.store_all(&arriving(&mut random)).await;

    let mut command = Command::new(python);
    command.arg("-B").arg(binary::workspace().join("tests/clients").join(program)).arg(server.address.to_string());
    command.env_clear().env("HOME", home.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(CLIENT_TIMEOUT, command.output()).await.expect("in time").expect("it starts");
    let [found, failure] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{SITE}\n{found}\n{failure}");
}

#[tokio::test]
async fn plausible_mcp() {
    works("plausible-mcp", "tools_for_agents.py").await;
}

#[tokio::test]
async fn kctl_plausible() {
    works("kctl-plausible", "command_line.py").await;
}

#[tokio::test]
async fn airbyte_source_plausible() {
    works("airbyte-source-plausible", "replication.py").await;
}

/// No published client uses version 2: its requests and responses are checked against a schema.
#[tokio::test]
async fn version_2_keeps_to_its_schema() {
    works("plausible-mcp", "v2.py").await;
}
