//! What a front may hand over that no browser sends.

use std::path::Path;

use serde_json::json;
use tests::home::Home;
use tests::http::{get, post};
use tests::lambda::{Front, Function, body};
use tests::{API, BROWSER, binary, uuid};

/// Nothing that a client can put into a request makes an invocation fail, or the environment end.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_are_answered() {
    let home = Home::new();
    let mut track = Function::start(&home, "track").await;
    for front in Front::ALL {
        for host in ["[", "a b", "a:99999", "http://x/", "\u{e9}", ""] {
            for proto in ["https", "javascript:", "", "a b"] {
                let request = post("/event", &json!({"event_type": "scroll", "visitor_id": uuid()}))
                    .header("host", host)
                    .header("x-forwarded-proto", proto);
                let answer = track.send(front, &request).await;
                assert_eq!(answer["statusCode"], 201, "{front:?} {host:?} {proto:?}");
            }
        }
        for path in
            ["/a b", "/%", "/%zz", "/%00", "//", "/..", "/../..", "/\u{e9}", "/\\", "/:99999", "/{x}", "/a?b", "/<>\""]
        {
            for query in ["", "?a=<>\"' \\^`{|}", "?%", "?=&=&&", "?\u{e9}=\u{2603}", "?a#b", "?a=b?c"] {
                let answer = track.send(front, &get(format!("{API}{path}{query}"))).await;
                let status = answer["statusCode"].as_u64().unwrap();
                assert!((400..500).contains(&status), "{front:?} {path} {query}: {answer}");
                assert_eq!(body(&answer, status as u16)["success"], false, "{front:?} {path} {query}");
            }
        }
        for (name, value) in [
            ("cookie", "maicivy_session=; ;;=;\u{e9}"),
            ("user-agent", "\u{e9}\u{2603}"),
            ("x-forwarded-for", "not an address"),
            ("content-type", "\u{e9}"),
        ] {
            let request = post("/event", &json!({"event_type": "scroll", "visitor_id": uuid()})).header(name, value);
            assert_eq!(track.send(front, &request).await["statusCode"], 201, "{front:?} {name}");
        }
    }
}

/// An event that is no request fails its invocation, and the next one is answered.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_fails_alone() {
    let home = Home::new();
    let mut track = Function::start(&home, "track").await;
    for event in [json!({}), json!(null), json!([]), json!("x"), json!({"version": "2.0"}), json!({"httpMethod": 7})] {
        let error = track.invoke(event.clone()).await.expect_err(&event.to_string());
        assert!(error["errorType"].is_string(), "{event}: {error}");
    }
    let request = post("/event", &json!({"event_type": "scroll", "visitor_id": uuid()}));
    assert_eq!(track.send(Front::HttpApi, &request).await["statusCode"], 201);
}

/// A custom domain may have its own base path; without the right one there is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn paths_begin_with_the_stage_or_not() {
    let home = Home::new();
    let mut stats = Function::start(&home, "stats").await;
    let mut event = Front::HttpApiStage.event(&get(format!("{API}/stats?period=week")));
    assert_eq!(body(&stats.invoke(event.clone()).await.unwrap(), 200)["data"]["period"], "week");
    event["rawPath"] = json!(format!("{API}/stats"));
    assert_eq!(stats.invoke(event.clone()).await.unwrap()["statusCode"], 200);
    event["rawPath"] = json!(format!("/test{API}/stats"));
    assert_eq!(body(&stats.invoke(event).await.unwrap(), 404)["code"], "NOT_FOUND");
}

/// What the maintainers of the runtime collected, where it is at hand: none of it is ours, all
/// of it is answered.
#[tokio::test(flavor = "multi_thread")]
async fn payloads_of_others() {
    let data =
        binary::variable("MAICIVY_TEST_DATA").map_or_else(|| binary::workspace().join("../shared/data"), Into::into);
    let folder = Path::new(&data).join("aws-events");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: {} is not there; MAICIVY_TEST_DATA says where it is", folder.display());
        return;
    };
    let home = Home::new();
    let mut track = Function::start(&home, "track").await;
    for file in files {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if path.extension().is_none_or(|extension| extension != "json") || text.contains("Scheduled Event") {
            continue;
        }
        let answer = track.invoke(serde_json::from_str(&text).unwrap()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(body(&answer, 404)["code"], "NOT_FOUND", "{}", path.display());
    }
    let request = post("/event", &json!({"event_type": "page_view"})).header("user-agent", BROWSER);
    assert_eq!(track.send(Front::HttpApi, &request).await["statusCode"], 201);
}
