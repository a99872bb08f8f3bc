//! `compose.yaml`, as far as it goes without containers: its servers' flags, its health checks and
//! the addresses in its head, on the same programs.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::json;
use tests::binary::workspace;
use tests::engine::{Engine, psql};
use tests::home::Home;
use tests::servers::{Durability, Postgres, Redis, program, run};
use tests::wait::until;
use tests::{number, uuid};
use yaml_serde::Value;

/// Who may connect to the image's server from outside of its container.
const HBA: &str = "host all all all scram-sha-256\n";

struct Compose {
    text: String,
    services: Value,
}

impl Compose {
    fn read() -> Self {
        let text = std::fs::read_to_string(workspace().join("compose.yaml")).unwrap();
        let all: Value = yaml_serde::from_str(&text).unwrap();
        Self { text, services: all["services"].clone() }
    }

    /// The words of a service's command.
    fn command(&self, service: &str) -> Vec<String> {
        let command = self.services[service]["command"].as_str().unwrap();
        command.split_whitespace().map(|word| if word == "\"\"" { String::new() } else { word.to_owned() }).collect()
    }

    /// A variable of a service, with the default of one that the user may set.
    fn variable(&self, service: &str, name: &str) -> String {
        let value = self.services[service]["environment"][name].as_str().unwrap();
        match value.strip_prefix("${").and_then(|value| value.strip_suffix('}')) {
            Some(variable) => variable.split_once(":-").unwrap().1.to_owned(),
            None => value.to_owned(),
        }
    }

    /// Whether a service is healthy, by its own check with these words besides.
    fn healthy(&self, service: &str, besides: &[&str]) -> bool {
        let check = self.services[service]["healthcheck"]["test"].as_sequence().unwrap();
        let words: Vec<&str> = check.iter().map(|word| word.as_str().unwrap()).collect();
        let ["CMD", name, arguments @ ..] = &words[..] else { panic!("{words:?}") };
        run(Command::new(program(name)).args(besides).args(arguments)).is_ok()
    }

    /// What its head tells to export.
    fn exported(&self, name: &str) -> String {
        let line = self.text.lines().find_map(|line| line.split_once(&format!("export {name}=")));
        line.unwrap_or_else(|| panic!("{name} is not told")).1.to_owned()
    }
}

/// The keys of sites: others come and go.
fn held(cache: &Redis) -> BTreeSet<String> {
    let keys = cache.command(&["--scan", "--pattern", "analytics:{*"]);
    keys.lines().map(ToOwned::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_servers_carry_the_product() {
    let compose = Compose::read();
    let variable = |name: &str| compose.variable("postgres", name);

    // As the image's start does it.
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), variable("POSTGRES_PASSWORD")).unwrap();
    run(Command::new("chmod").arg("644").arg(password.path())).unwrap();
    let user = format!("--username={}", variable("POSTGRES_USER"));
    let given = format!("--pwfile={}", password.path().display());
    let initdb = variable("POSTGRES_INITDB_ARGS");
    let options: Vec<&str> = initdb.split_whitespace().chain([&*user, &given]).collect();
    let command = compose.command("postgres");
    let ("postgres", flags) = (&*command[0], &command[1..]) else { panic!("{command:?}") };
    let settings: Vec<(&str, &str)> = flags
        .chunks(2)
        .map(|flag| {
            assert_eq!(flag[0], "-c", "{flags:?}");
            flag[1].split_once('=').unwrap()
        })
        .collect();
    let mut postgres = Postgres::start_with(Durability::Disk, &options, &[("pg_hba.conf", HBA)], &settings);
    let port = |port: u16| format!("127.0.0.1:{port}");
    let store = compose.exported("ANALYTICS_STORE").replace("127.0.0.1:5432", &port(postgres.port()));
    let (server, database) = store.rsplit_once('/').unwrap();
    psql(&format!("{server}/postgres"), &format!("create database {database}"));
    assert_eq!(database, variable("POSTGRES_DB"));
    for (name, value) in &settings {
        assert_eq!(psql(&store, &format!("show {name}")), if *value == "on" { "pglz" } else { value });
    }
    assert_eq!(psql(&store, "show data_checksums"), "on");
    assert_eq!(psql(&store, "select datcollate from pg_database where datname = current_database()"), "C");
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        assert_eq!(psql(&store, &format!("show {name}")), "on", "what 201 promises");
    }

    let command = compose.command("redis");
    assert_eq!(command[0], "redis-server");
    let flags: Vec<&str> = command[1..].iter().map(String::as_str).collect();
    let mut cache = Redis::start_with(&flags, &[]);
    let redis = compose.exported("ANALYTICS_REDIS").replace("127.0.0.1:6379", &port(cache.port()));
    assert_eq!(cache.command(&["CONFIG", "GET", "maxmemory-policy"]), "maxmemory-policy\nnoeviction");

    let ports = [postgres.port().to_string(), cache.port().to_string()];
    let healthy =
        || [compose.healthy("postgres", &["--port", &ports[0]]), compose.healthy("redis", &["-p", &ports[1]])];
    assert_eq!(healthy(), [true, true]);

    let home = Home::on(Engine::Sqlite).env("ANALYTICS_STORE", &store).env("ANALYTICS_REDIS", &redis);
    let server = home.serve().await;
    server.store(&json!({"event_type": "page_view", "visitor_id": uuid()})).await;
    assert_eq!(number(&server.data("/stats").await["total_events"]), 1);
    // The copy of the figures follows in the background.
    until("redis has a copy of the figures", async || {
        let held = held(&cache);
        let whole =
            held.iter().any(|key| key.ends_with(":watermark")) && !held.iter().any(|key| key.ends_with(":rebuilding"));
        if whole { Ok(()) } else { Err(format!("{held:?}")) }
    })
    .await;
    let home = server.end().await;
    home.run(&["verify"]).await.expect_code(0);

    // Redis keeps what it has over a restart, so that nothing has to be made again.
    let before = held(&cache);
    assert!(before.len() > 10, "{before:?}");
    cache.kill();
    postgres.stop();
    assert_eq!(healthy(), [false, false]);
    cache.restart();
    postgres.restart();
    assert_eq!(healthy(), [true, true]);
    assert_eq!(held(&cache), before);
    home.run(&["verify"]).await.expect_code(0);
}

/// They are reachable from this machine only, and what they hold outlives them.
#[test]
fn it_is_closed_to_others_and_keeps_its_data() {
    let compose = Compose::read();
    for service in ["postgres", "redis"] {
        let service = &compose.services[service];
        for port in service["ports"].as_sequence().unwrap() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{port:?}");
        }
        assert_eq!(service["volumes"].as_sequence().unwrap().len(), 1);
        assert_eq!(service["restart"].as_str(), Some("unless-stopped"));
    }
}
