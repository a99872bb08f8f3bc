//! The program's sub-commands and what it makes of its environment.

use serde_json::json;
use tests::engine::Engine;
use tests::home::Home;
use tests::http::get;
use tests::server::Server;
use tests::{API, uuid};

#[tokio::test]
async fn help_helps() {
    let home = Home::new();
    let help = home.run(&["--help"]).await.expect_code(0).stdout;
    for command in [
        "serve",
        "import",
        "export",
        "backup",
        "restore",
        "demo",
        "cleanup",
        "verify",
        "rebuild",
        "visitor",
        "healthcheck",
    ] {
        assert!(help.contains(command), "{command} is not in:\n{help}");
        let help = home.run(&[command, "--help"]).await.expect_code(0).stdout;
        assert!(help.len() > 60, "{command}: {help}");
    }
    assert!(help.contains("ANALYTICS_"), "where the configuration is:\n{help}");
    for (command, option) in
        [("serve", "--static-dir"), ("import", "--site"), ("import", "--format"), ("import", "--rebase")]
    {
        let help = home.run(&[command, "--help"]).await.stdout;
        assert!(help.contains(option), "{command} {option}:\n{help}");
    }
}

#[tokio::test]
async fn misuse_is_64() {
    let home = Home::new();
    for arguments in [&["frobnicate"][..], &["serve", "--frobnicate"], &["import"], &["import", "--format", "xml", "x"]]
    {
        let finished = home.run(arguments).await.expect_code(64);
        assert!(!finished.stderr.is_empty(), "{arguments:?}");
    }
}

/// All mistakes are reported together, each by the name of its variable.
#[tokio::test]
async fn mistakes_of_configuration() {
    let mistakes = [
        ("ANALYTICS_ADDR", "nowhere"),
        ("ANALYTICS_STORE", "mongodb://localhost/x"),
        ("ANALYTICS_IDENTITY", "guess"),
        ("ANALYTICS_TRUSTED_PROXIES", "10.0.0.0/8,300.1.1.1"),
        ("ANALYTICS_ALLOWED_ORIGINS", "not an origin"),
        ("ANALYTICS_SITES", "cv.example,A B"),
        ("ANALYTICS_RETENTION_DAYS", "-1"),
        ("ANALYTICS_CLEANUP_AT", "25:61"),
        ("ANALYTICS_RATE_LIMIT", "lots"),
        ("ANALYTICS_WS_MAX", "many"),
        ("ANALYTICS_ACTIVE_WINDOW_SECONDS", "soon"),
        ("ANALYTICS_HONOR_OPT_OUT", "perhaps"),
        ("ANALYTICS_LOG", "xml"),
    ];
    let home = mistakes.iter().fold(Home::new(), |home, (name, value)| home.env(name, *value));
    for command in ["serve", "verify", "cleanup"] {
        let stderr = home.run(&[command]).await.expect_code(64).stderr;
        for (name, _) in mistakes {
            assert!(stderr.contains(name), "{command}: {name} is not in:\n{stderr}");
        }
    }
    for (name, value) in mistakes {
        let stderr = Home::new().env(name, value).run(&["serve"]).await.expect_code(64).stderr;
        assert!(stderr.contains(name), "{name}:\n{stderr}");
    }
}

/// `.env` in the working folder sets what the environment does not, empty values included, and is
/// named at the start and beside mistakes.
#[tokio::test]
async fn a_file_sets_what_the_environment_does_not() {
    let home = Home::new().env("ANALYTICS_SITES", "");
    let file = home.write(
        ".env",
        "# of the machine\nANALYTICS_LOG=json\nANALYTICS_RATE_LIMIT=1\nANALYTICS_SITES=elsewhere\n\
         export ANALYTICS_TIMEZONE='Europe/Paris'\nRUST_LOG=access=debug,info\n",
    );
    let server = home.serve().await;
    for _ in 0..3 {
        server.store(&json!({"event_type": "scroll", "visitor_id": uuid()})).await;
    }
    let asked =
        server.send(get(format!("{API}/query?q=%7B%22metrics%22:[%22visitors%22],%22date_range%22:%22day%22%7D")));
    assert_eq!(asked.await.json()["meta"]["query"]["timezone"], "Europe/Paris");
    let written = server.written();
    let named = |line: &str| line.starts_with('{') && line.contains(&file);
    assert!(written.lines().any(named), "{file} is not in:\n{written}");
    assert!(written.contains("/event"), "the log has what RUST_LOG asks for:\n{written}");

    home.write(".env", "ANALYTICS_LOG=xml\n");
    let stderr = home.run(&["verify"]).await.expect_code(64).stderr;
    assert!(stderr.contains("ANALYTICS_LOG") && stderr.contains(&file), "{stderr}");
    home.clone().env("ANALYTICS_LOG", "text").run(&["healthcheck"]).await.expect_code(1);

    home.write(".env", "ANALYTICS_LOG=text\nANALYTICS_ADMIN_TOKEN=hunter2 hunter2\n");
    let stderr = home.run(&["serve"]).await.expect_code(64).stderr;
    assert!(stderr.contains("after ANALYTICS_LOG") && stderr.contains(&file), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

/// What is read must be seen at once.
#[tokio::test]
async fn a_folder_above_is_not_searched() {
    let home = Home::new();
    home.write(".env", "ANALYTICS_LOG=xml\n");
    let mut below = home.command(&["verify"]);
    let output = below.current_dir(home.data()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "there is no store, and no mistake");
}

/// A store that cannot be opened is a failed run, not a mistake of configuration.
#[tokio::test]
async fn a_store_that_cannot_be_opened() {
    let home = Home::new();
    let path = home.write("data/no-database", "this is no database ".repeat(1_000));
    let finished = home.env("ANALYTICS_STORE", format!("sqlite:{path}")).run(&["serve"]).await.expect_code(1);
    assert!(!finished.stderr.is_empty());
    assert!(!finished.output().contains("panicked"), "{}", finished.output());
}

#[tokio::test]
async fn an_address_that_is_taken() {
    let server = Server::new().await;
    let second = Home::new().env("ANALYTICS_ADDR", server.address.to_string());
    let finished = second.run(&["serve"]).await.expect_code(1);
    assert!(finished.stderr.contains(&server.address.port().to_string()), "{}", finished.stderr);
}

#[tokio::test]
async fn healthcheck() {
    let server = Server::new().await;
    let address = server.address.to_string();
    let home = server.home.clone().env("ANALYTICS_ADDR", &*address);
    home.run(&["healthcheck"]).await.expect_code(0);
    server.end().await;
    home.run(&["healthcheck"]).await.expect_code(1);
}

/// Only `serve`, `import` and `restore` create a store; all else says that there is none.
#[tokio::test]
async fn commands_on_no_store() {
    let home = Home::new();
    for command in ["verify", "rebuild", "cleanup", "export"] {
        let stderr = home.run(&[command]).await.expect_code(1).stderr;
        assert!(stderr.contains("there is no store") && stderr.contains("ANALYTICS_STORE"), "{command}: {stderr}");
        assert_eq!(std::fs::read_dir(home.data()).unwrap().count(), 0, "{command} creates nothing");
    }
    home.serve().await.end().await.run(&["verify"]).await.expect_code(0);
}

/// Forms of a path that other programs know would name a file elsewhere.
#[tokio::test]
async fn unusual_paths_of_a_store() {
    for form in [
        "sqlite://a.db",
        "sqlite:///a.db",
        "sqlite:~/a.db",
        "sqlite:a.db?mode=rwc",
        "sqlite::memory:",
        "sqlite:file:a.db",
        "file:a.db",
        "data/a.db",
        "sqlite:data/",
    ] {
        let home = Home::on(Engine::Sqlite).env("ANALYTICS_STORE", form);
        for command in ["serve", "verify"] {
            let stderr = home.run(&[command]).await.expect_code(64).stderr;
            assert!(stderr.contains("ANALYTICS_STORE") && stderr.contains(form), "{form}: {stderr}");
            assert!(stderr.contains("sqlite:") || stderr.contains("write "), "{form} has a hint: {stderr}");
        }
        assert_eq!(std::fs::read_dir(home.data()).unwrap().count(), 0, "{form}");
        assert!(!home.path().join("a.db").exists() && !home.path().join("~").exists(), "{form}");
        assert!(!std::path::Path::new("/a.db").exists(), "{form}");
    }
}

/// The whole chain of causes, and the value, without a password.
#[tokio::test]
async fn a_start_that_fails_says_why() {
    let home = Home::on(Engine::Sqlite);
    let path = home.write("data/text.db", "this is no database ".repeat(1_000));
    let stderr =
        home.clone().env("ANALYTICS_STORE", format!("sqlite:{path}")).run(&["serve"]).await.expect_code(1).stderr;
    assert!(stderr.contains(&path) && stderr.contains("file is not a database"), "{stderr}");

    let path = home.write("data/file", "");
    let below = format!("sqlite:{path}/analytics.db");
    let stderr = home.clone().env("ANALYTICS_STORE", below).run(&["serve"]).await.expect_code(1).stderr;
    assert!(stderr.contains("cannot make the folder"), "{stderr}");

    let postgres = home
        .clone()
        .env("ANALYTICS_STORE", "postgres://joe:hunter2@127.0.0.1:1/d?password=hunter2")
        .env("ANALYTICS_REDIS", "redis://:hunter2@127.0.0.1:1");
    let stderr = postgres.run(&["serve"]).await.expect_code(1).stderr;
    assert!(stderr.contains("127.0.0.1:1/d") && stderr.contains("refused"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

/// On a store with nothing in it, everything agrees.
#[tokio::test]
async fn verify_and_rebuild_of_nothing() {
    let home = Server::new().await.end().await;
    home.run(&["verify"]).await.expect_code(0);
    home.run(&["rebuild"]).await.expect_code(0);
    home.run(&["cleanup"]).await.expect_code(0);
    home.run(&["verify"]).await.expect_code(0);
}

/// What only the built-in rules could get wrong is not; `verify` has something to recount.
#[tokio::test]
async fn verify_says_what_it_did() {
    let server = Server::new().await;
    server
        .store_all(&(0..321).map(|_| json!({"event_type": "scroll", "visitor_id": uuid()})).collect::<Vec<_>>())
        .await;
    let home = server.end().await;
    for command in ["verify", "rebuild"] {
        let finished = home.run(&[command]).await.expect_code(0);
        assert!(finished.output().contains("321"), "{command} names the events it recounted: {}", finished.output());
    }
}

/// Programs that look for weak spots ask for many of them.
#[tokio::test]
async fn paths_that_lead_nowhere_are_not_logged() {
    let server = Server::new().await;
    for number in 0..20 {
        assert_eq!(server.send(get(format!("/nowhere-{number}"))).await.status, 404);
    }
    server.send(get(format!("{API}/stats?period=never"))).await.refused("a log line", 400, "INVALID_PERIOD");
    let written = server.written();
    assert!(
        written.contains("request") && !written.contains("nowhere") && !written.contains("status=404"),
        "{written}"
    );
}

#[tokio::test]
async fn logs_are_json_when_asked_for() {
    let server = Home::new().env("ANALYTICS_LOG", "json").serve().await;
    server.store(&json!({"event_type": "scroll", "visitor_id": uuid()})).await;
    // What succeeds is logged at debug.
    server.send(get(format!("{API}/stats?period=never"))).await.refused("a log line", 400, "INVALID_PERIOD");
    let written = server.written();
    let lines: Vec<_> =
        written.lines().filter(|line| !line.contains("listening on http://") || line.starts_with('{')).collect();
    assert!(!lines.is_empty(), "there is an access log:\n{written}");
    for line in lines {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
}
