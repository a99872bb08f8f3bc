//! Environments, good and bad, and what is made of them.

use super::*;

fn config(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_vars(vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn defaults_are_valid_and_say_what_they_are() {
    let config = config(&[]).unwrap();
    assert_eq!(config.addr.to_string(), "127.0.0.1:8080");
    assert_eq!(config.store.to_string(), "sqlite:data/analytics.db");
    assert_eq!((config.retention_days, config.cleanup_at), (90, (2, 0)));
    assert_eq!((config.rate_limit, config.ws_max, config.active_window), (100, 50, 300_000));
    assert_eq!((config.sites, config.read_auth, config.tokens), (None, ReadAuth::Open, Tokens::default()));
    assert!(config.honor_opt_out);
}

#[test]
fn goals_come_from_the_variable_or_from_a_file() {
    let list = r#"[{"name":"Sign-up","event":"signup"}]"#;
    let inline = config(&[("ANALYTICS_GOALS", list)]).unwrap().goals;
    assert_eq!(inline.of(&Site::default()).count(), 1);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), list).unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(config(&[("ANALYTICS_GOALS", path)]).unwrap().goals, inline);
    std::fs::write(file.path(), r#"[{"name":"a"},{"name":"b","event":"c","x":1}]"#).unwrap();
    let told = config(&[("ANALYTICS_GOALS", path)]).unwrap_err().to_string();
    for part in
        ["ANALYTICS_GOALS is not a list of goals: [0] a goal must have exactly one of", "; [1] \"x\" is not known"]
    {
        assert!(told.contains(part), "{told}");
    }
    let told = config(&[("ANALYTICS_GOALS", "/no/such/file")]).unwrap_err().to_string();
    assert!(told.contains("the file /no/such/file cannot be read"), "{told}");
}

#[test]
fn all_mistakes_are_reported_together() {
    let message = config(&[
        ("ANALYTICS_ADDR", "here"),
        ("ANALYTICS_STORE", "mysql://x"),
        ("ANALYTICS_RETENTION_DAYS", "0"),
        ("ANALYTICS_CLEANUP_AT", "25:00"),
        ("ANALYTICS_TRUSTED_PROXIES", "10.0.0.0/8,nobody"),
        ("ANALYTICS_CLIENT_ADDRESS_HEADER", "X-Client-Name"),
        ("ANALYTICS_ALLOWED_ORIGINS", "example.com"),
        ("ANALYTICS_TIMEZONE", "Mars"),
        ("ANALYTICS_ADMIN_TOKEN", "short"),
        ("ANALYTICS_READ_AUTH", "closed"),
        ("ANALYTICS_TOKENS", "[1]"),
        ("ANALYTICS_JWT_SECRET", "short"),
        ("ANALYTICS_PLANS", "free=nothing"),
        ("ANALYTICS_LOG", "xml"),
        ("ANALYTICS_COLLECT_PATH", "/api/v1/analytics/event"),
        ("ANALYTICS_SCRIPT_NAME", "a/b.js"),
        ("ANALYTICS_RETENTON_DAYS", "30"),
        ("ANALYTICS_TEST_ANYTHING", "x"),
        ("PATH", "x"),
    ])
    .unwrap_err()
    .to_string();
    for name in [
        "ADDR",
        "STORE",
        "RETENTION_DAYS",
        "CLEANUP_AT",
        "TRUSTED_PROXIES",
        "CLIENT_ADDRESS_HEADER",
        "ALLOWED_ORIGINS",
        "TIMEZONE",
        "ADMIN_TOKEN",
        "READ_AUTH",
        "TOKENS",
        "JWT_SECRET",
        "PLANS",
        "LOG",
        "COLLECT_PATH",
        "SCRIPT_NAME",
    ] {
        assert!(message.contains(&format!("ANALYTICS_{name} ")), "{name}: {message}");
    }
    assert!(message.contains("ANALYTICS_RETENTON_DAYS is not known; did you mean ANALYTICS_RETENTION_DAYS?"));
    assert!(message.starts_with("the configuration has 17 mistake(s)"), "{message}");
}

#[test]
fn json_web_tokens_need_keys_an_issuer_and_an_audience() {
    let (issuer, audience) = (("ANALYTICS_JWT_ISSUER", "https://id.example"), ("ANALYTICS_JWT_AUDIENCE", "analytics"));
    let secret = ("ANALYTICS_JWT_SECRET", "a secret of 32 characters or more");
    let keys = |keys| config(&[("ANALYTICS_JWT_KEYS", keys), issuer, audience]).map(|config| config.jwt.unwrap().keys);
    for url in ["https://id.example/keys", "http://127.0.0.1:1/keys", "http://[::1]/", "http://localhost:8/keys"] {
        assert_eq!(keys(url).unwrap(), JwtKeys::Url(url.parse().unwrap()));
    }
    assert_eq!(keys("{}").unwrap(), JwtKeys::Set("{}".to_owned()), "read where they are used");
    for wrong in ["http://id.example/keys", "ftp://id.example", "https://", "/no/such/file"] {
        assert!(keys(wrong).unwrap_err().to_string().contains("ANALYTICS_JWT_KEYS must be"), "{wrong}");
    }
    let jwt = config(&[secret, issuer, audience]).unwrap().jwt.unwrap();
    assert!(!format!("{jwt:?}").contains(secret.1), "{jwt:?}");
    for wrong in [&[secret][..], &[issuer], &[secret, issuer], &[issuer, audience]] {
        assert!(config(wrong).unwrap_err().to_string().contains("go together"), "{wrong:?}");
    }
    let both = config(&[secret, ("ANALYTICS_JWT_KEYS", "{}"), issuer, audience]).unwrap_err();
    assert!(both.to_string().contains("exclude each other"), "{both}");
}

#[test]
fn paths_and_names_that_can_be_served() {
    let collect_path = |path| config(&[("ANALYTICS_COLLECT_PATH", path)]).map(|config| config.collect_path).ok();
    for path in ["/m", "/mcv/notes", "/api/v1/notes", "/healthy", "/a.b/C_d-e"] {
        assert_eq!(collect_path(path).as_deref(), Some(path));
    }
    let long = format!("/{}", "a".repeat(100));
    for path in [
        "/",
        "m",
        "/m/",
        "//m",
        "/a/../b",
        "/./a",
        "/a?b",
        "/a#b",
        "/{a}",
        "/a b",
        "/é",
        "/a%20b",
        "https://a.b/c",
        "/health",
        "/health/x",
        "/metrics",
        "/ws/x",
        "/dashboard",
        "/assets/x",
        "/openapi.json",
        "/script.js",
        "/api/v1/analytics",
        "/api/v1/analytics/x",
        &long,
    ] {
        assert_eq!(collect_path(path), None, "{path}");
    }
    let script_name = |name| config(&[("ANALYTICS_SCRIPT_NAME", name)]).map(|config| config.script_name).ok();
    for name in ["hello.js", "script.js", "a-b_c.min.js"] {
        assert_eq!(script_name(name).as_deref(), Some(name));
    }
    for name in [".js", "hello", "/hello.js", "a/b.js", "..js", "a b.js", "{a}.js", "é.js", "hello.css"] {
        assert_eq!(script_name(name), None, "{name}");
    }
    let same = config(&[("ANALYTICS_COLLECT_PATH", "/a.js"), ("ANALYTICS_SCRIPT_NAME", "a.js")]);
    assert!(same.unwrap_err().to_string().contains("ANALYTICS_SCRIPT_NAME"));
}

#[test]
fn an_origin_that_no_browser_sends_is_named() {
    let message = config(&[("ANALYTICS_ALLOWED_ORIGINS", "https://a.example, https://*.b.example")]).unwrap_err();
    let message = message.to_string();
    assert!(message.contains(r#"ANALYTICS_ALLOWED_ORIGINS has "https://*.b.example", which has a wildcard"#));
    assert!(!message.contains("a.example"), "{message}");
}

#[test]
fn no_secret_is_echoed() {
    for (name, value) in [
        ("ANALYTICS_ADMIN_TOKEN", "hunter2"),
        ("ANALYTICS_TOKENS", r#"[{"name":"a","scopes":["read"],"hash":"hunter2"}]"#),
        ("ANALYTICS_TOKENS", "hunter2"),
        ("ANALYTICS_JWT_KEYS", "hunter2"),
        ("ANALYTICS_REDIS", "http://:hunter2@x"),
        ("ANALYTICS_STORE", "mysql://joe:hunter2@h/d"),
        ("ANALYTICS_STORE", "postgre://joe:p@hunter2@h/d"),
        ("ANALYTICS_STORE", "joe:hunter2@h/d"),
        ("ANALYTICS_STORE", "host=h user=joe password=hunter2"),
        ("ANALYTICS_STORE", "postgress://h/d?user=joe&password=hunter2"),
    ] {
        let message = config(&[(name, value)]).unwrap_err().to_string();
        assert!(message.contains(name) && !message.contains("hunter2"), "{message}");
    }
    let store = StoreUrl::Postgres("postgres://joe:hunter2@h:1/d?password=hunter2".to_owned());
    assert_eq!(store.to_string(), "postgres://…@h:1/d?…");
}

#[test]
fn a_mistake_repeats_the_value() {
    for (name, value) in [
        ("ANALYTICS_ADDR", "here"),
        ("ANALYTICS_STORE", "sqlite://a.db"),
        ("ANALYTICS_STORE", "sqlite3:a.db"),
        ("ANALYTICS_RETENTION_DAYS", "90d"),
        ("ANALYTICS_SITES", "a,B C"),
    ] {
        let message = config(&[(name, value)]).unwrap_err().to_string();
        assert!(message.contains(&format!("{value:?}")), "{message}");
        assert!(message.starts_with("the configuration has 1 mistake(s)"), "{message}");
    }
    let message = config(&[("ANALYTICS_REDIS", "http://:pw@host/1")]).unwrap_err().to_string();
    assert!(message.contains("http://…@host/1"), "{message}");
}

#[test]
fn values_are_read() {
    let config = config(&[
        ("ANALYTICS_STORE", "sqlite:/tmp/a b.db"),
        ("ANALYTICS_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("ANALYTICS_CLIENT_ADDRESS_HEADER", "cf-connecting-ip"),
        ("ANALYTICS_SITES", "a,b.c"),
        ("ANALYTICS_ALLOWED_ORIGINS", "https://Example.com:443/,http://localhost:3000"),
        ("ANALYTICS_IGNORE", "127.0.0.0/8, 2001:db8::1"),
        ("ANALYTICS_REDIS", ""),
    ])
    .unwrap();
    assert_eq!(config.store, StoreUrl::Sqlite("/tmp/a b.db".into()));
    assert_eq!((config.trusted_proxies.len(), config.ignored.len()), (2, 2));
    assert_eq!(config.client_address_header, AddressHeader::CfConnectingIp);
    assert_eq!(config.sites.unwrap().len(), 2);
    assert_eq!(config.allowed_origins, ["https://example.com", "http://localhost:3000"]);
}

/// `.env.example` lists every variable with its default and meaning, and nothing else.
#[test]
fn the_example_is_complete() {
    let expected: String = VARIABLES
        .iter()
        .map(|variable| format!("# {}\n# {}={}\n\n", variable.meaning, variable.name, variable.default))
        .collect();
    let example = include_str!("../../../.env.example");
    assert!(
        example.ends_with(expected.trim_end_matches('\n').to_owned().as_str())
            || example.trim_end().ends_with(expected.trim_end()),
        "expected:\n{expected}"
    );
}
