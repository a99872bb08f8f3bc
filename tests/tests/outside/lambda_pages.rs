//! The dashboard and the tracker as a function serves them: byte for byte what the local runtime
//! serves, and without a store.

use serde_json::{Value, json};
use tests::home::Home;
use tests::http::{Request, get};
use tests::lambda::{Front, Function, base64, body};

use crate::pages::named;

/// The headers of a file that browsers act on.
const HEADERS: [&str; 10] = [
    "cache-control",
    "content-encoding",
    "content-security-policy",
    "content-type",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "etag",
    "referrer-policy",
    "vary",
    "x-content-type-options",
];

fn header<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    let single = answer["headers"][name].as_str();
    single.or_else(|| answer["multiValueHeaders"][name][0].as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_the_local_runtimes() {
    let home = Home::new()
        .env("ANALYTICS_COLLECT_PATH", "/m")
        .env("ANALYTICS_SCRIPT_NAME", "hello.js")
        // What this test compares is the same for all clients.
        .env("ANALYTICS_READ_LIMIT", "100000");
    let server = home.serve().await;
    let page = server.send(get("/")).await.text();
    let mut requests: Vec<Request> = Vec::new();
    let files = ["/", "/dashboard", "/mcv.js", "/script.js", "/hello.js", "/m"];
    for path in named(&page).into_iter().chain(files.map(str::to_owned)) {
        let tag = server.send(get(&*path)).await.header("etag").unwrap().to_owned();
        for encoding in ["br, gzip", "gzip", "identity"] {
            requests.push(get(&*path).header("accept-encoding", encoding));
        }
        requests.push(get(&*path).header("if-none-match", tag).header("accept-encoding", "br"));
    }
    let mut function = Function::start(&home, "pages").await;
    for front in Front::ALL {
        for request in &requests {
            let expected = server.send(request.clone()).await;
            let answer = function.send(front, request).await;
            let what = format!("{front:?} {} {:?}", request.path, request.headers);
            assert_eq!(answer["statusCode"], expected.status, "{what}");
            for name in HEADERS {
                assert_eq!(header(&answer, name), expected.header(name), "{name} of {what}");
            }
            let same = match answer["isBase64Encoded"] == true {
                true => answer["body"] == base64(&expected.body),
                false => answer["body"].as_str().unwrap_or_default() == expected.text(),
            };
            assert!(same, "the bytes of {what}");
        }
        for path in ["/wp-login.php", "/assets/maicivy/none.js", "/api/v1/analytics/stats"] {
            assert_eq!(body(&function.send(front, &get(path)).await, 404)["code"], "NOT_FOUND", "{path}");
        }
    }
}

/// Nothing is opened, whatever the variables say: the function has neither keys nor a way to a store.
#[tokio::test(flavor = "multi_thread")]
async fn pages_need_no_store() {
    let home = Home::new();
    for store in ["", "sqlite:/nowhere/at/all.db", "dynamodb:none"] {
        let home = home.clone().env("ANALYTICS_STORE", store);
        let mut function = Function::start(&home, "pages").await;
        let answer = function.send(Front::HttpApi, &get("/mcv.js")).await;
        assert_eq!(answer["statusCode"], json!(200), "{store}: {}", function.written());
    }
}
