//! `deploy/nginx` and `deploy/caddy`: TLS, a path prefix, WebSockets, and clients' addresses.

use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use tests::binary::workspace;
use tests::engine::Engine;
use tests::home::Home;
use tests::server::Server;
use tests::servers::{WebServer, program, run};
use tests::{API, BROWSER};

const HOSTS: [&str; 3] = ["stats.example.com", "www.example.com", "private.example.com"];

const EVENT: &str = r#"{"event_type":"page_view","page_url":"/cv"}"#;

/// What `caddy hash-password` makes of "figures".
const HASH: &str = "$2a$14$ZWNc5.wy5vAYZG1pVd73ZebnXivGWV5pb1A5goYwpf4O8zxYP.AhW";

/// A certificate for all hosts, and its key.
fn certificate() -> [String; 2] {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(HOSTS.map(ToOwned::to_owned).to_vec()).unwrap();
    [params.self_signed(&key).unwrap().pem(), key.serialize_pem()]
}

/// A file of `deploy`, in which each of these is there and is replaced.
fn deployed(file: &str, replaced: &[(&str, &str)]) -> String {
    let mut text = std::fs::read_to_string(workspace().join("deploy").join(file)).unwrap();
    for (here, there) in replaced {
        assert!(text.contains(here), "{here} is not in {file}");
        text = text.replace(here, there);
    }
    text
}

fn nginx(server: &Server, [certificate, key]: &[String; 2]) -> WebServer {
    let temporary =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {kind};"));
    let around = format!(
        "daemon off; pid nginx.pid; worker_processes 1; error_log stderr; events {{}}\n\
         http {{ access_log off; {} include analytics.conf; }}\n",
        temporary.concat()
    );
    let own = |port: u16| {
        let listen = format!("listen 127.0.0.1:{port} ssl http2;");
        let address = server.address.to_string();
        let mut replaced = vec![("listen 443 ssl http2;", &*listen), ("127.0.0.1:8080", &*address)];
        let certificates = HOSTS.map(|host| format!("/etc/ssl/{host}/fullchain.pem"));
        let keys = HOSTS.map(|host| format!("/etc/ssl/{host}/privkey.pem"));
        replaced.extend(certificates.iter().map(|path| (&**path, "server.crt")));
        replaced.extend(keys.iter().map(|path| (&**path, "server.key")));
        replaced.push(("/etc/nginx/analytics.users;", "users;"));
        vec![
            ("nginx.conf", around.clone()),
            ("analytics.conf", deployed("nginx/analytics.conf", &replaced)),
            ("server.crt", certificate.clone()),
            ("server.key", key.clone()),
            ("users", "owner:{PLAIN}figures\n".to_owned()),
        ]
    };
    WebServer::start("nginx", &["-p", ".", "-e", "stderr", "-c", "nginx.conf"], own)
}

fn caddy(server: &Server, [certificate, key]: &[String; 2]) -> WebServer {
    let owner = &*format!("owner {HASH}");
    let own = |port: u16| {
        let hosts = HOSTS.map(|host| {
            let there = format!("{host}:{port} {{\n\tbind 127.0.0.1\n\ttls server.crt server.key");
            (format!("{host} {{"), there)
        });
        let address = server.address.to_string();
        let mut replaced: Vec<(&str, &str)> = hosts.iter().map(|(here, there)| (&**here, &**there)).collect();
        replaced.extend([("127.0.0.1:8080", &*address), ("owner HASH", owner)]);
        let text = deployed("caddy/Caddyfile", &replaced);
        vec![
            ("Caddyfile", format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{text}")),
            ("server.crt", certificate.clone()),
            ("server.key", key.clone()),
        ]
    };
    WebServer::start("caddy", &["run", "--config", "Caddyfile", "--adapter", "caddyfile"], own)
}

/// A browser on another machine, as far as curl is one.
struct Browser {
    port: u16,
    authority: tempfile::NamedTempFile,
}

impl Browser {
    /// The status of an answer.
    fn status(&self, url: &str, options: &[&str]) -> String {
        let mut curl = Command::new(program("curl"));
        curl.args(["--silent", "--show-error", "--max-time", "20", "--user-agent", BROWSER, "--output", "/dev/null"]);
        curl.arg("--cacert").arg(self.authority.path());
        for host in HOSTS {
            curl.args(["--resolve", &format!("{host}:{}:127.0.0.1", self.port)]);
        }
        let (host, path) = url.split_once('/').unwrap();
        curl.args(["--write-out", "%{http_code}"]).args(options);
        run(curl.arg(format!("https://{host}:{}/{path}", self.port))).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// Sends an event that claims to come from elsewhere.
    fn event(&self, host: &str, from: &str) -> String {
        let options = ["--interface", from, "--header", "x-forwarded-for: 203.0.113.9", "--data", EVENT];
        self.status(&format!("{host}{API}/event"), &options)
    }

    /// Opens a WebSocket; answers what comes within a second.
    fn live(&self, url: &str) -> String {
        let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
        let headers = ["connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", key];
        let mut options = vec!["--http1.1", "--max-time", "1"];
        options.extend(headers.iter().flat_map(|header| ["--header", *header]));
        let mut curl = Command::new(program("curl"));
        curl.args(["--silent", "--include", "--cacert"]).arg(self.authority.path()).args(&options);
        for host in HOSTS {
            curl.args(["--resolve", &format!("{host}:{}:127.0.0.1", self.port)]);
        }
        let (host, path) = url.split_once('/').unwrap();
        // A WebSocket stays open, so that curl ends by its own limit, after what was sent at once.
        let output = curl.arg(format!("https://{host}:{}/{path}", self.port)).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

async fn publishes(start: impl Fn(&Server, &[String; 2]) -> WebServer) {
    let home = Home::on(Engine::Sqlite).env("ANALYTICS_TRUSTED_PROXIES", "127.0.0.1").env("ANALYTICS_RATE_LIMIT", "3");
    let server = home.serve().await;
    let certificate = certificate();
    let web_server = start(&server, &certificate);
    let authority = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authority.path(), &certificate[0]).unwrap();
    let browser = Browser { port: web_server.port(), authority };

    for path in ["", "mcv.js", "health/ready", "api/v1/analytics/stats"] {
        assert_eq!(browser.status(&format!("stats.example.com/{path}"), &[]), "200", "/{path}");
        assert_eq!(browser.status(&format!("www.example.com/x/{path}"), &[]), "200", "/x/{path}");
    }
    // The limit is that of the address which the web server sees, whatever the sender says.
    for status in ["201", "201", "201", "429"] {
        assert_eq!(browser.event("stats.example.com", "127.0.0.8"), status);
    }
    assert_eq!(browser.event("www.example.com/x", "127.0.0.9"), "201");
    // The tag works for visitors; the rest asks for the password.
    assert_eq!(browser.status("private.example.com/mcv.js", &[]), "200");
    let from = ["--interface", "127.0.0.10", "--data", EVENT];
    assert_eq!(browser.status("private.example.com/mcv/notes", &from), "201");
    for path in ["", "metrics", "api/v1/analytics/stats", "api/v1/analytics/event", "ws/analytics"] {
        let url = format!("private.example.com/{path}");
        assert_eq!(browser.status(&url, &[]), "401", "/{path}");
        assert_eq!(browser.status(&url, &["--user", "owner:wrong"]), "401", "/{path}");
    }
    for path in ["", "metrics", "api/v1/analytics/stats"] {
        let url = format!("private.example.com/{path}");
        assert_eq!(browser.status(&url, &["--user", "owner:figures"]), "200", "/{path}");
    }
    for url in ["stats.example.com/ws/analytics", "www.example.com/x/ws/analytics"] {
        let answer = browser.live(url);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{url}: {answer}");
    }
    assert_eq!(server.scrape().await.sum("maicivy_untrusted_proxy", &[]) as u64, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_publishes_it() {
    publishes(nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caddy_publishes_it() {
    publishes(caddy).await;
}
