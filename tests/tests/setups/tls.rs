//! TLS to both servers: their certificates are judged by the authority that the user names, for
//! the host that the user names; anything else is refused, with the reason.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tests::engine::{Engine, psql};
use tests::home::Home;
use tests::server::Server;
use tests::servers::{Durability, Postgres, Redis, port};
use tests::{number, uuid};

/// A certification authority that lives as long as a test.
struct Authority {
    /// Its own certificate, as a file has it.
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, uuid());
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a host, and its key.
    fn vouches_for(&self, host: &str) -> [String; 2] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        [params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem()]
    }
}

/// A PostgreSQL with this certificate that takes encrypted connections only.
fn postgres([certificate, key]: &[String; 2]) -> Postgres {
    let hba = "hostssl all postgres 127.0.0.1/32 trust\n";
    let files = [("server.crt", certificate.as_str()), ("server.key", key), ("pg_hba.conf", hba)];
    Postgres::start_with(Durability::Process, &[], &files, &[("ssl", "on")])
}

/// A Redis with this certificate, and the port that speaks TLS.
fn redis([certificate, key]: &[String; 2]) -> (Redis, u16) {
    let files = [("server.crt", certificate.as_str()), ("server.key", key)];
    let tls_port = port::free();
    let port = tls_port.to_string();
    let options = ["--tls-port", &port, "--tls-cert-file", "server.crt", "--tls-key-file", "server.key"];
    (Redis::start_with(&[&options[..], &["--tls-auth-clients", "no"]].concat(), &files), tls_port)
}

fn home() -> Home {
    Home::on(Engine::Sqlite)
}

/// Appends, reads, and is whole.
async fn works(server: &Server) {
    for _ in 0..3 {
        server.store(&json!({"event_type": "page_view", "visitor_id": uuid()})).await;
    }
    let stats = server.ask("/stats").await;
    assert_eq!(number(&stats["data"]["total_events"]), 3);
    assert!(stats["meta"]["degraded"].is_null(), "{stats}\n{}", server.written());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_are_encrypted_and_judged_by_the_users_authority() {
    let authority = Authority::new();
    let postgres = postgres(&authority.vouches_for("127.0.0.1"));
    let (cache, tls_port) = redis(&authority.vouches_for("127.0.0.1"));
    for (database, mode) in ["require", "verify-ca", "verify-full"].into_iter().enumerate() {
        psql(&format!("{}?sslmode=require", postgres.url("postgres")), &format!("create database \"{mode}\""));
        let home = home();
        let roots = home.write("authority.pem", &authority.certificate);
        let store = format!("{}?sslmode={mode}&sslrootcert={roots}", postgres.url(mode));
        let server = home
            .env("ANALYTICS_STORE", store)
            .env("ANALYTICS_REDIS", format!("rediss://127.0.0.1:{tls_port}/{database}?sslrootcert={roots}"))
            .serve()
            .await;
        works(&server).await;
        let url = format!("{}?sslmode=require", postgres.url("postgres"));
        let open = format!(
            "select count(*) > 0 and bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid)
            where datname = '{mode}'"
        );
        assert_eq!(psql(&url, &open), "t", "{mode}");
        server.end().await;
    }
    // The subscription is encrypted, too: the plain port has one client, who asks.
    let plain = format!("laddr=127.0.0.1:{}", cache.port());
    let clients = cache.command(&["CLIENT", "LIST"]);
    assert_eq!(clients.lines().filter(|client| client.contains(&plain)).count(), 1, "{clients}");
}

/// What the default does: it encrypts if it can, and trusts any server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mode_any_certificate_will_do() {
    let postgres = postgres(&Authority::new().vouches_for("db.example"));
    let cache = Redis::start();
    let home = home().env("ANALYTICS_STORE", postgres.url("postgres")).env("ANALYTICS_REDIS", cache.url());
    let server = home.serve().await;
    works(&server).await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_cannot_prove_itself_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let right = postgres(&authority.vouches_for("127.0.0.1"));
    let elsewhere = postgres(&authority.vouches_for("db.example"));
    let plain = Postgres::start(Durability::Process);
    let cache = Redis::start();
    let home = home().env("ANALYTICS_REDIS", cache.url());
    let [own, other] = [("own.pem", &authority), ("other.pem", &stranger)]
        .map(|(name, authority)| format!("&sslrootcert={}", home.write(name, &authority.certificate)));
    for (server, roots, why) in [
        (&right, &*other, "invalid peer certificate: UnknownIssuer"),
        (&right, "", "invalid peer certificate: UnknownIssuer"),
        (&elsewhere, &*own, "not valid for name"),
        (&plain, &*own, "server does not support TLS"),
    ] {
        for mode in ["require", "verify-ca", "verify-full"] {
            let store = server.url("postgres").replace("postgres@", "postgres:hunter2@");
            let home = home.clone().env("ANALYTICS_STORE", format!("{store}?sslmode={mode}{roots}"));
            let finished = home.run(&["serve"]).await.expect_code(1);
            assert!(finished.stderr.contains(why), "{mode}, {why}: {}", finished.output());
            assert!(!finished.output().contains("hunter2"), "{}", finished.output());
        }
    }
}

/// A Redis that is not the right one is as good as none: events go on, and the log says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_cannot_prove_itself_is_not_used() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let postgres = Postgres::start(Durability::Process);
    let (_right, right) = redis(&authority.vouches_for("127.0.0.1"));
    let (_elsewhere, elsewhere) = redis(&authority.vouches_for("cache.example"));
    let plain = Redis::start();
    let home = home().env("ANALYTICS_STORE", postgres.url("postgres"));
    let [own, other] = [("own.pem", &authority), ("other.pem", &stranger)]
        .map(|(name, authority)| format!("?sslrootcert={}", home.write(name, &authority.certificate)));
    for (port, roots, why) in [
        (right, &*other, "invalid peer certificate: UnknownIssuer"),
        (right, "", "invalid peer certificate: UnknownIssuer"),
        (elsewhere, &*own, "not valid for name"),
        // It waits for the end of what it takes for a command.
        (plain.port(), &*own, "redis is unavailable"),
    ] {
        let home = home.clone().env("ANALYTICS_REDIS", format!("rediss://:hunter2@127.0.0.1:{port}{roots}"));
        let server = home.serve().await;
        server.store(&json!({"event_type": "page_view", "visitor_id": uuid()})).await;
        assert_eq!(server.ask("/stats").await["meta"]["degraded"], true);
        let written = server.written();
        assert!(written.contains(why) && !written.contains("hunter2"), "{why}: {written}");
        server.end().await;
    }
    assert_eq!(plain.command(&["DBSIZE"]), "0");
}
