//! `deploy/prometheus`, `deploy/grafana` and the runbook, on a real Prometheus that scrapes a real server.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value, json};
use tests::binary::workspace;
use tests::engine::Engine;
use tests::home::Home;
use tests::http::{Connection, get};
use tests::servers::{Prometheus, program, run};
use tests::wait::until;
use tests::{list, text, uuid};

fn read(path: &str) -> String {
    std::fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All alerts: name, expression, path and anchor of the runbook.
fn alerts() -> Vec<(String, String, String)> {
    let rules: yaml_serde::Value = yaml_serde::from_str(&read("deploy/prometheus/rules.yml")).unwrap();
    let rules = rules["groups"][0]["rules"].as_sequence().unwrap();
    let field = |value: &yaml_serde::Value| value.as_str().unwrap().to_owned();
    rules
        .iter()
        .map(|rule| (field(&rule["alert"]), field(&rule["expr"]), field(&rule["annotations"]["runbook_url"])))
        .collect()
}

/// All queries of the dashboard, as Grafana sends them when all jobs are chosen.
fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/dashboard.json")).unwrap();
    let targets = list(&dashboard["panels"]).iter().flat_map(|panel| list(&panel["targets"]));
    targets.map(|target| text(&target["expr"]).replace("$job", ".*")).collect()
}

/// The names of metrics in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("maicivy_") || word.starts_with("process_"))
}

#[test]
fn the_rules_pass_their_tests() {
    let promtool = |arguments: &[&str]| {
        let mut command = Command::new(program("promtool"));
        run(command.args(arguments).current_dir(workspace().join("deploy/prometheus"))).unwrap()
    };
    promtool(&["check", "config", "prometheus.yml"]);
    promtool(&["test", "rules", "rules_test.yml"]);
    let tests = read("deploy/prometheus/rules_test.yml");
    for (alert, _, _) in alerts() {
        assert!(tests.contains(&format!("alertname: {alert}\n        exp_alerts:\n")), "{alert} never fires in a test");
    }
}

#[test]
fn each_alert_is_in_the_runbook() {
    let runbook = read("docs/operation.md");
    let known: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("### ")).map(ToOwned::to_owned).collect();
    let alerts = alerts();
    for (alert, _, url) in &alerts {
        assert_eq!(*url, format!("docs/operation.md#{}", alert.to_lowercase()));
    }
    let named: BTreeSet<String> = alerts.into_iter().map(|(alert, _, _)| alert).collect();
    assert_eq!(known, named);
}

/// Asks Prometheus; answers the data.
async fn ask(prometheus: SocketAddr, path: &str) -> Result<Value, String> {
    let mut connection = Connection::open(prometheus).await.map_err(|error| error.to_string())?;
    let answer = connection.send(&get(path).header("connection", "close")).await.map_err(|error| error.to_string())?;
    let answer = answer.json();
    if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(answer.to_string()) }
}

async fn query(prometheus: SocketAddr, expression: &str) -> Result<Vec<Value>, String> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let data = ask(prometheus, &format!("/api/v1/query?query={encoded}")).await?;
    Ok(list(&data["result"]).to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_is_there_and_an_alert_begins() {
    let server = Home::on(Engine::Sqlite).env("ANALYTICS_SITES", "default").serve().await;
    server.store(&json!({"event_type": "page_view", "visitor_id": uuid()})).await;
    server.data("/stats").await;
    server.home.run(&["cleanup"]).await.expect_code(0);

    let configuration = read("deploy/prometheus/prometheus.yml")
        .replace("127.0.0.1:8080", &server.address.to_string())
        .replace("15s", "200ms");
    let prometheus =
        Prometheus::start(&[("prometheus.yml", &configuration), ("rules.yml", &read("deploy/prometheus/rules.yml"))]);
    let address = prometheus.address();
    for expression in queries() {
        until(&format!("{expression} has an answer"), async || match query(address, &expression).await {
            Ok(result) if result.is_empty() => Err("none".to_owned()),
            result => result,
        })
        .await;
    }
    for (alert, expression, _) in alerts() {
        for name in names(&expression) {
            assert!(!query(address, name).await.unwrap().is_empty(), "{alert} asks for {name}, which there is not");
        }
    }
    let rules = until("all rules are evaluated", async || {
        let rules = ask(address, "/api/v1/rules").await?["groups"][0]["rules"].clone();
        if list(&rules).iter().all(|rule| rule["health"] != "unknown") { Ok(rules) } else { Err(rules.to_string()) }
    })
    .await;
    for rule in list(&rules) {
        assert_eq!(rule["health"], "ok", "{rule}");
        // How full the disk is that the tests run on is not ours.
        if !text(&rule["name"]).starts_with("MaicivyDisk") {
            assert_eq!(rule["state"], "inactive", "{rule}");
        }
    }

    let _home = server.end().await;
    until("the alert begins", async || {
        let alerts = ask(address, "/api/v1/alerts").await?["alerts"].clone();
        let down = |alert: &Value| alert["labels"]["alertname"] == "MaicivyDown" && alert["state"] == "pending";
        if list(&alerts).iter().any(down) { Ok(()) } else { Err(alerts.to_string()) }
    })
    .await;
}
