//! Whose address counts: the peer's, unless a trusted proxy says whose.

use serde_json::json;
use tests::home::Home;
use tests::http::{Request, post};
use tests::server::Server;
use tests::{BROWSER, number, uuid};

fn view(forwarded: &str) -> Request {
    let event = json!({"event_type": "page_view", "page_url": "/"});
    post("/event", &event).header("user-agent", BROWSER).header("x-forwarded-for", forwarded)
}

async fn visitors_of(server: &Server, requests: impl IntoIterator<Item = Request>) -> u64 {
    for request in requests {
        let answer = server.send(request).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    number(&server.data("/realtime").await["current_visitors"])
}

#[tokio::test]
async fn no_proxy_is_trusted_by_default() {
    let server = Server::new().await;
    let spoofed = ["198.18.77.66", "198.18.77.67, 10.0.0.1", "127.0.0.1", "nonsense", ""].map(view);
    assert_eq!(visitors_of(&server, spoofed).await, 1);
    let real_ip = post("/event", &json!({"event_type": "page_view"})).header("user-agent", BROWSER);
    let other_headers = [
        real_ip.clone().header("x-real-ip", "198.18.77.66"),
        real_ip.clone().header("forwarded", "for=198.18.77.67"),
        real_ip.header("cf-connecting-ip", "198.18.77.68"),
    ];
    assert_eq!(visitors_of(&server, other_headers).await, 1);
}

#[tokio::test]
async fn a_trusted_proxy_is_read_from_the_right() {
    let server = Home::new().env("ANALYTICS_TRUSTED_PROXIES", "127.0.0.0/8,10.0.0.0/8").serve().await;
    assert_eq!(visitors_of(&server, ["198.18.77.66", "198.18.77.66"].map(view)).await, 1);
    let said_by_the_client = ["203.0.113.1, 198.18.77.66", "nonsense,203.0.113.2,198.18.77.66"].map(view);
    assert_eq!(visitors_of(&server, said_by_the_client).await, 1, "only the rightmost counts");
    let through_proxies = ["198.18.77.66, 10.1.2.3", "203.0.113.9, 198.18.77.66,10.1.2.3 , 127.0.0.9"].map(view);
    assert_eq!(visitors_of(&server, through_proxies).await, 1, "trusted proxies are passed over");
    assert_eq!(visitors_of(&server, ["198.18.77.67", "2001:db8::1"].map(view)).await, 3);
    let twice = view("203.0.113.5").header("x-forwarded-for", "198.18.77.67");
    assert_eq!(visitors_of(&server, [twice]).await, 3, "several headers are one list");
}

#[tokio::test]
async fn a_proxy_elsewhere_is_not_believed() {
    let server = Home::new().env("ANALYTICS_TRUSTED_PROXIES", "127.0.0.1/32").serve().await;
    let from = |source: [u8; 4], forwarded| view(forwarded).from(source.into());
    assert_eq!(
        visitors_of(&server, [from([127, 0, 0, 1], "198.18.77.66"), from([127, 0, 0, 1], "198.18.77.67")]).await,
        2
    );
    assert_eq!(
        visitors_of(&server, [from([127, 0, 0, 2], "198.18.77.68"), from([127, 0, 0, 2], "198.18.77.69")]).await,
        3
    );
}

/// A load balancer may keep the client's port, and writes IPv6 in brackets then.
#[tokio::test]
async fn ports_and_brackets_do_not_split_visitors() {
    let server = Home::new().env("ANALYTICS_TRUSTED_PROXIES", "127.0.0.1").serve().await;
    let v4 = ["198.18.77.66", "198.18.77.66:4711", "198.18.77.66:4712"].map(view);
    assert_eq!(visitors_of(&server, v4).await, 1);
    let v6 = ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711", "2001:db8::1%eth0"].map(view);
    assert_eq!(visitors_of(&server, v6).await, 2);
    assert_eq!(
        visitors_of(&server, ["198.18.77.1, unknown", "198.18.77.2, _hidden"].map(view)).await,
        3,
        "the proxy's"
    );
}

#[tokio::test]
async fn the_header_can_be_chosen() {
    for (header, values) in [
        (
            "Forwarded",
            ["for=198.18.77.66", "For=\"198.18.77.66:4711\";proto=https", "for=198.18.77.1, for=198.18.77.66"],
        ),
        ("X-Real-IP", ["198.18.77.66", "198.18.77.66:4711", "[::ffff:198.18.77.66]:4711"]),
        ("CF-Connecting-IP", ["198.18.77.66", "198.18.77.66", " 198.18.77.66"]),
    ] {
        let home = Home::new().env("ANALYTICS_TRUSTED_PROXIES", "127.0.0.1");
        let server = home.env("ANALYTICS_CLIENT_ADDRESS_HEADER", header).serve().await;
        let requests = values.map(|value| view("203.0.113.9").header(header, value));
        assert_eq!(visitors_of(&server, requests).await, 1, "{header}");
        let other =
            view("203.0.113.9").header(header, if header == "Forwarded" { "for=198.18.77.67" } else { "198.18.77.67" });
        assert_eq!(visitors_of(&server, [other]).await, 2, "{header}");
    }
}

/// A reverse proxy that was forgotten turns all visitors into one: it is logged once, with the
/// variable's name and never with an address.
#[tokio::test]
async fn a_proxy_that_is_not_listed_is_reported_once() {
    let name = "ANALYTICS_TRUSTED_PROXIES";
    let gauge = async |server: &Server| server.scrape().await.sum("maicivy_untrusted_proxy", &[]) as u64;
    for header in ["x-forwarded-for", "X-Real-IP", "CF-Connecting-IP", "Forwarded"] {
        let server = Server::new().await;
        let event = post("/event", &json!({"event_type": "scroll", "visitor_id": uuid()}));
        server.send(event.clone()).await;
        assert_eq!(gauge(&server).await, 0);
        for n in 0..3 {
            server.send(event.clone().header(header, format!("203.0.113.{n}"))).await;
        }
        assert_eq!(gauge(&server).await, 1, "{header}");
        let written = server.written();
        assert_eq!(written.matches(name).count(), 1, "{header}: {written}");
        assert!(!written.contains("203.0.113"), "{header}: {written}");
    }
    let server = Home::new().env(name, "127.0.0.1").serve().await;
    server.send(post("/event", &json!({"event_type": "scroll"})).header("x-forwarded-for", "203.0.113.9")).await;
    assert_eq!(gauge(&server).await, 0);
    assert!(!server.written().contains(name), "{}", server.written());
}
