use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

/// What everything that the page loads may weigh, compressed: a cold load may have 110 KB (110,000 bytes), and the
/// answers of a busy site have 25. The French words, 7 KB of it, are loaded by French readers only.
const BUDGET: usize = 85_000;

async fn ask(path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let config = Config::from_vars([]).unwrap();
    router(&config).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn body(response: Response) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

fn page() -> &'static str {
    EMBEDDED
        .iter()
        .find(|file| file.path == PAGE_PATH)
        .map_or(include_str!("missing.html"), |file| std::str::from_utf8(file.plain).unwrap())
}

#[tokio::test]
async fn every_file_is_there_and_says_the_same_of_itself() {
    let assets = ASSETS.iter().map(|asset| asset.path);
    for path in assets.chain(["/", "/dashboard", "/script.js", "/mcv/notes"]) {
        let answer = ask(path, &[]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        for name in ["content-security-policy", "etag", "content-type", "cache-control", "vary"] {
            assert!(answer.headers().contains_key(name), "{path} {name}");
        }
        assert_ne!(answer.headers()["content-type"], "application/octet-stream", "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn what_the_page_names_is_there() {
    let named: Vec<_> = page().split('"').filter(|part| part.starts_with("./assets/")).collect();
    assert_eq!(named.is_empty(), EMBEDDED.is_empty(), "a built page has a script and a style");
    // Relative, so that the page works below any prefix of a proxy.
    for path in named.into_iter().map(|path| path.trim_start_matches('.')) {
        assert_eq!(ask(path, &[]).await.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(ask("/assets/maicivy/none.js", &[]).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_words_of_the_readers_language_come_with_the_page() {
    let link = async |languages: &str| {
        let answer = ask("/", &[("accept-language", languages)]).await;
        answer.headers().get("link").map(|link| link.to_str().unwrap().to_owned())
    };
    for languages in ["fr", "fr-FR,fr;q=0.9,en;q=0.8", "FR;q=1"] {
        let Some(link) = link(languages).await else {
            assert!(EMBEDDED.is_empty(), "{languages}");
            continue;
        };
        let (path, rest) = link.strip_prefix("<.").unwrap().split_once('>').unwrap();
        assert_eq!((path.starts_with("/assets/maicivy/fr-"), rest), (true, "; rel=modulepreload"));
        assert_eq!(ask(path, &[]).await.status(), StatusCode::OK);
    }
    for languages in ["en-GB,fr;q=0.5", "", "de", "main", "*", "./"] {
        assert_eq!(link(languages).await, None, "{languages}");
    }
    assert_eq!(ask("/script.js", &[("accept-language", "fr")]).await.headers().get("link"), None);
}

#[tokio::test]
async fn names_that_change_are_kept_and_those_that_stay_are_asked_for() {
    for (path, wanted) in [("/", "no-cache"), ("/dashboard", "no-cache"), ("/script.js", "public, max-age=3600")] {
        assert_eq!(ask(path, &[]).await.headers()["cache-control"], wanted, "{path}");
    }
    for asset in ASSETS.iter() {
        let path = asset.path;
        assert_eq!(ask(path, &[]).await.headers()["cache-control"], "public, max-age=31536000, immutable", "{path}");
        let (name, _) = path.rsplit_once('.').unwrap();
        let hash = name.get(name.len() - 8..).unwrap();
        assert!(path.starts_with("/assets/maicivy/") && !hash.contains('/'), "{path} carries no hash");
    }
}

#[tokio::test]
async fn each_is_sent_in_the_form_that_is_taken() {
    for Embedded { path, plain, brotli, gzip } in EMBEDDED.iter().copied().chain([TRACKER, OUTLINE]) {
        let path = match path {
            PAGE_PATH => "/",
            "/outline.js" => "/mcv/notes",
            path => path,
        };
        for (asked, form, name) in [("br, gzip", brotli, "br"), ("gzip", gzip, "gzip"), ("identity", None, "")] {
            let answer = ask(path, &[("accept-encoding", asked)]).await;
            let encoding = answer.headers().get("content-encoding").cloned();
            match form {
                Some(_) => assert_eq!(encoding.unwrap(), name, "{path}"),
                None => assert_eq!(encoding, None, "{path}"),
            }
            assert_eq!(body(answer).await, form.unwrap_or(plain), "{path} {asked}");
        }
    }
}

#[tokio::test]
async fn who_has_it_is_not_sent_it_again() {
    let tag = ask("/", &[]).await.headers()["etag"].to_str().unwrap().to_owned();
    let strong = tag.trim_start_matches("W/");
    for known in [tag.clone(), strong.to_owned(), format!("\"x\", {tag}"), "*".into()] {
        let answer = ask("/", &[("if-none-match", &known), ("accept-encoding", "br")]).await;
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert!(body(answer).await.is_empty(), "{known}");
    }
    assert_eq!(ask("/", &[("if-none-match", "\"x\"")]).await.status(), StatusCode::OK);
}

/// What the policy forbids would be dead code: inline scripts, styles and handlers.
#[test]
fn nothing_is_inline() {
    for page in [page(), include_str!("missing.html")] {
        assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" on"), "inline");
        assert_eq!(page.matches("<script").count(), page.matches("src=\"./assets/maicivy/").count(), "inline script");
        assert!(!page.contains("//"), "something from elsewhere");
    }
    assert!(!file::POLICY.contains("unsafe"));
}

#[tokio::test]
async fn listed_origins_may_show_the_page_in_a_frame() {
    let vars = [("ANALYTICS_FRAME_ANCESTORS".to_owned(), "https://a.example, https://b.example:8443".to_owned())];
    let config = Config::from_vars(vars).unwrap();
    for (path, config, expected) in [
        ("/", &config, "frame-ancestors https://a.example https://b.example:8443"),
        ("/dashboard", &config, "frame-ancestors https://a.example https://b.example:8443"),
        ("/", &Config::from_vars([]).unwrap(), "frame-ancestors 'none'"),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router(config).oneshot(request).await.unwrap();
        let policies: Vec<_> = answer.headers().get_all("content-security-policy").iter().collect();
        assert_eq!(policies.len(), 1);
        assert!(policies[0].to_str().unwrap().ends_with(expected), "{policies:?}");
    }
}

/// And every text was compressed by the build.
#[test]
fn all_of_it_is_small() {
    let files = EMBEDDED.iter().map(|file| file.brotli.unwrap_or(file.plain).len());
    let total: usize = files.sum();
    assert!(total <= BUDGET, "{total} bytes");
    for file in EMBEDDED {
        let compressible = !file.path.ends_with(".woff2");
        assert_eq!(file.brotli.is_some() && file.gzip.is_some(), compressible, "{}", file.path);
    }
}

#[tokio::test]
async fn the_tracker_has_the_servers_configuration() {
    let script = |vars: &'static [(&'static str, &'static str)], path: &'static str| async move {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = assets(&Config::from_vars(vars).unwrap()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(answer.headers()["cross-origin-resource-policy"], "cross-origin");
        String::from_utf8(body(answer).await).unwrap()
    };
    let plain = script(&[], "/script.js").await;
    assert!(plain.ends_with(DEFAULTS) && plain.matches(DEFAULTS).count() == 1, "{plain}");
    assert_eq!(script(&[], "/mcv.js").await, plain);
    let same_name = script(&[("ANALYTICS_SCRIPT_NAME", "script.js")], "/script.js").await;
    assert_eq!(same_name, plain);
    let vars = &[
        ("ANALYTICS_SCRIPT_NAME", "hello.js"),
        ("ANALYTICS_COLLECT_PATH", "/m"),
        ("ANALYTICS_HONOR_OPT_OUT", "false"),
    ];
    for path in ["/hello.js", "/mcv.js", "/script.js"] {
        assert!(script(vars, path).await.ends_with(r#"("m",1)"#));
    }
    let config = Config::from_vars(vars.iter().map(|(name, value)| ((*name).into(), (*value).into()))).unwrap();
    let request = Request::get("/hello.js").header("accept-encoding", "br").body(Body::empty()).unwrap();
    let answer = router(&config).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "br", "whatever is in it, it is sent compressed");
}
