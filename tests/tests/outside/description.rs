//! What `/openapi.json` says holds: schemathesis makes requests from it, good and bad ones, and compares the
//! answers with it (`tests/schemathesis.toml`).

use std::io::{Write, stderr};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tests::engine::Engine;
use tests::home::Home;
use tests::{binary, uuid};
use tokio::process::Command;
use tokio::time::timeout;

/// The requests are as many on every machine; a busy one takes longer for them.
const RUN_TIMEOUT: Duration = Duration::from_secs(300);
const TOKEN: &str = "a-token-of-the-administrator";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_made_from_the_description_are_answered_as_it_says() {
    let workspace = binary::workspace();
    let program = workspace.join(".tools/clients/schemathesis/bin/schemathesis");
    assert!(program.exists(), "schemathesis is missing; `make tools` installs it, with Python 3.11 or newer");
    let home = Home::new().env("ANALYTICS_READ_LIMIT", "1000000").env("ANALYTICS_ADMIN_TOKEN", TOKEN);
    let server = home.serve().await;
    let click = json!({"x": 10, "y": 20, "element": "cta"});
    server
        .store_all(&[
            json!({"event_type": "page_view", "visitor_id": uuid(), "page_url": "/cv?theme=ai"}),
            json!({"event_type": "letter_generate", "visitor_id": uuid(), "event_data": {"letter_type": "motivation"}}),
            json!({"event_type": "click", "visitor_id": uuid(), "page_url": "/cv", "event_data": click}),
        ])
        .await;

    let mut command = Command::new(program);
    command.arg("--config-file").arg(workspace.join("tests/schemathesis.toml")).args(["run", "--no-color"]);
    command.args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
    command.arg(format!("http://{}/openapi.json", server.address));
    // It keeps examples in the folder where it runs.
    command.current_dir(server.home.path()).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(RUN_TIMEOUT, command.output()).await.expect("in time").expect("it starts");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    let generated = report.lines().find(|line| line.contains("generated")).expect("it says how many");
    // Not a macro, whose output tests keep to themselves.
    writeln!(stderr(), "schemathesis on {:?}: {}", Engine::chosen(), generated.trim()).expect("it can be written");
}
