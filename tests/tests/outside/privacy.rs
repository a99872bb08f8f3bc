//! Nothing on the disk, in the outputs, in the metrics or in an answer identifies a
//! person: not their address, not a hash of it, not their user agent, not a secret from an address
//! bar.

use std::net::Ipv4Addr;

use serde_json::json;
use sha2::{Digest, Sha256};
use tests::access_log::{AccessLog, Line};
use tests::clock::days_ago;
use tests::home::{Home, contains};
use tests::http::{Request, get, post, upgrade};
use tests::live::Live;
use tests::server::Server;
use tests::{API, uuid};

/// Behind a proxy, in a log, and directly.
const FORWARDED: Ipv4Addr = Ipv4Addr::new(198, 18, 77, 66);
const LOGGED: Ipv4Addr = Ipv4Addr::new(198, 19, 201, 203);
const DIRECT: Ipv4Addr = Ipv4Addr::new(127, 93, 71, 57);

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.71395";
const LOGGED_AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:142.0) Gecko/20100101 Firefox/142.60817";

/// Everything that must be nowhere, and what it is.
fn secrets(visitor: &str) -> Vec<(String, Vec<u8>)> {
    let mut secrets = Vec::new();
    for address in [FORWARDED, LOGGED, DIRECT] {
        let text = address.to_string();
        let hash = |bytes: &[u8]| Sha256::digest(bytes).to_vec();
        let hex = |bytes: &[u8]| hash(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        secrets.push((text.clone(), text.clone().into_bytes()));
        secrets.push((format!("the four bytes of {text}"), address.octets().to_vec()));
        for (of, bytes) in [("text", text.as_bytes()), ("bytes", &address.octets()[..])] {
            secrets.push((format!("SHA-256 of {text} ({of})"), hash(bytes)));
            secrets.push((format!("hexadecimal SHA-256 of {text} ({of})"), hex(bytes).into_bytes()));
        }
    }
    for text in ["143.71395", "142.60817", "hush-", "joe@", "pass-word", "rv:143", "rv:142"] {
        secrets.push((text.to_owned(), text.as_bytes().to_vec()));
    }
    for text in ["ask-", "told-"] {
        secrets.push((format!("{text} (a query of a request)"), text.as_bytes().to_vec()));
    }
    secrets.push(("hexadecimal SHA-256 of the visitor".to_owned(), {
        let digest = Sha256::digest(visitor.as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes()
    }));
    secrets
}

/// Requests of all kinds, good and bad; all that they are answered.
async fn traffic(server: &Server, visitor: &str) -> Vec<u8> {
    let page = "https://joe@cv.example/cv?theme=backend&token=hush-1&utm_source=news#hush-2";
    let referrer = "https://joe:pass-word@search.example/find?q=hush-3&ref=x";
    let cookieless = json!({"event_type": "page_view", "page_url": page, "referrer": referrer});
    let named = json!({"event_type": "click", "visitor_id": visitor, "page_url": page, "event_data": {"x": 1, "y": 2}});
    let bad = json!({"event_type": "No Type", "page_url": page, "referrer": referrer});
    let mail = json!({"event_type": "page_view", "visitor_id": visitor, "referrer": "mailto:joe@cv.example"});
    let mut requests = vec![
        post("/event", &cookieless),
        post("/event", &named),
        post("/event", &bad),
        post("/event", &mail),
        post("/event", &cookieless).header("dnt", "1"),
        post("/events", &json!([cookieless, named, bad, cookieless])),
        post("/event", &cookieless).header("x-visitor-id", visitor),
        post("/event", &cookieless).header("cookie", format!("maicivy_session={visitor}; id=hush-4")),
        tests::http::request("POST", format!("{API}/event")).body("{\"hush-5\": "),
        get(format!("{API}/stats?period=ask-1")),
        get(format!("{API}/nothing?token=ask-2")),
        get("/page.html?token=ask-3"),
        get("/missing.html?token=ask-4"),
        get(format!("{API}/timeline?cursor=ask-5")),
        upgrade("/ws/nothing?token=ask-6"),
        tests::http::request("PUT", format!("{API}/event?token=ask-7")),
        get(format!("{API}/heatmap?page_url=/cv%3Ftoken=told-1&hours=7000")),
    ];
    requests.extend(
        ["/realtime", "/stats", "/themes", "/timeline", "/letters", "/heatmap"]
            .map(|question| get(format!("{API}{question}"))),
    );
    let dress = |request: Request| request.header("user-agent", AGENT).header("authorization", "Bearer hush-6");
    let mut answers = Vec::new();
    for request in requests {
        let direct = dress(request.clone()).from(DIRECT);
        let forwarded = dress(request).header("x-forwarded-for", FORWARDED.to_string());
        for request in [direct, forwarded] {
            let answer = server.send(request).await;
            answers.extend(format!("{:?}\n", answer.headers).into_bytes());
            answers.extend(answer.body);
        }
    }
    answers
}

fn assert_silent(what: &str, output: &[u8], secrets: &[(String, Vec<u8>)]) {
    for (name, bytes) in secrets {
        assert!(!contains(output, bytes), "{what} tells {name}:\n{}", String::from_utf8_lossy(output));
    }
}

#[tokio::test]
async fn nothing_that_could_identify_is_left_anywhere() {
    let visitor = uuid();
    let secrets = secrets(&visitor);
    for log in ["text", "json"] {
        let home = Home::new()
            .env("ANALYTICS_LOG", log)
            .env("ANALYTICS_TRUSTED_PROXIES", "127.0.0.1/32")
            .env("ANALYTICS_ADMIN_TOKEN", "not-the-one-that-is-sent")
            .env("ANALYTICS_RATE_LIMIT", "12");
        home.write("site/page.html", "<!doctype html><title>page</title>");
        let mut access_log = AccessLog::default();
        for n in 0..5 {
            let request = format!("GET /page-{n}.html?token=hush-7");
            let line =
                Line { address: &LOGGED.to_string(), request: &request, user_agent: LOGGED_AGENT, ..Line::default() };
            access_log.combined(days_ago(1), line);
        }
        access_log.raw(&format!("{LOGGED} malformed \"{LOGGED_AGENT}\" hush-8"));
        let path = home.write("access.log", access_log.text());
        let imported = home.run(&["import", &path]).await.expect_code(0);
        assert_silent("import", imported.output().as_bytes(), &secrets);

        let server = home.serve_with(&["serve", "--static-dir", "site"]).await;
        let live = Live::open(&server, tests::live::PATH, DIRECT, &[("user-agent", AGENT)]).await;
        let answers = traffic(&server, &visitor).await;
        assert_silent("an answer", &answers, &secrets);
        assert_silent("/metrics", server.scrape().await.text.as_bytes(), &secrets);
        live.close().await;

        // While it runs, after a kill, and after an end in good order.
        let scan = |home: &Home, when: &str| {
            let kept = home.kept();
            for (name, bytes) in &secrets {
                // PostgreSQL shows bytes as hexadecimal digits; a few of them can be anywhere by
                // chance, but not as a whole value.
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                let hex = if bytes.len() > 4 { hex } else { format!("\\\\x{hex}\n") };
                let holds = |text: &[u8]| contains(text, bytes) || contains(text, hex.as_bytes());
                let found: Vec<_> = kept.iter().filter(|(_, text)| holds(text)).map(|(place, _)| place).collect();
                assert!(found.is_empty(), "{name}, {when}, log as {log}: {found:?}");
            }
        };
        scan(&home, "while it runs");
        assert!(!contains(server.written().as_bytes(), visitor.as_bytes()), "the outputs name a visitor");
        let home = server.kill().await;
        scan(&home, "after a kill");
        let home = home.serve().await.end().await;
        scan(&home, "after the end");
    }
}

/// What is kept of addresses: no fragment, no user info, of the query what identifies no person.
#[tokio::test]
async fn what_is_kept_of_addresses() {
    let server = Server::new().await;
    for (sent, kept) in [
        ("/cv?theme=backend&token=secret&utm_campaign=x#top", "/cv?theme=backend&utm_campaign=x"),
        ("/cv?email=joe@example.com", "/cv"),
        ("https://joe:pw@cv.example/cv?ref=a&source=b&session=c", "https://cv.example/cv?ref=a&source=b"),
        ("https://cv.example/#/route?token=x", "https://cv.example/"),
        ("/cv?Theme=x&themes=y&xutm_source=z", "/cv"),
    ] {
        let event = json!({"event_type": "scroll", "visitor_id": uuid(), "page_url": sent, "referrer": sent});
        server.store(&event).await;
        let newest = server.data("/timeline?limit=1").await;
        assert_eq!((&newest[0]["page_url"], &newest[0]["referrer"]), (&json!(kept), &json!(kept)), "{sent}");
    }
}
