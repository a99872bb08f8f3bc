//! What is derived from a request at ingest.

use std::time::Instant;

use common::measure::facts::{Context, Facts, Headers, Observed};
use common::url::Url;
use http::HeaderName;
use serde_json::{Value, json};

/// User agents and the client hints that come with them.
const AGENTS: [(&str, Option<&str>, Option<&str>); 8] = [
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        Some(r#""Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99""#),
        Some("\"Windows\""),
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0",
        Some(r#""Chromium";v="130", "Microsoft Edge";v="130", "Not?A_Brand";v="99""#),
        Some("\"Windows\""),
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
        Some(r#""Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99""#),
        Some("\"Android\""),
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
        None,
        None,
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
        None,
        None,
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", None, None),
    (
        "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36",
        None,
        None,
    ),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/330.0 Mobile/15E148 Safari/604.1",
        None,
        None,
    ),
];
const REFERRERS: [Option<&str>; 5] = [
    None,
    Some("https://www.google.com/"),
    Some("https://news.example.org/an/article?id=7"),
    Some("https://example.com/another/page"),
    Some("https://t.co/abcdef"),
];
const PAGES: [&str; 3] = [
    "https://example.com/blog/a-page-about-something",
    "https://example.com/?utm_source=newsletter&utm_medium=email&utm_campaign=autumn",
    "https://example.com/pricing?plan=plus",
];
const COUNT: usize = 200_000;
const RUNS: usize = 5;

/// Reads headers and context of requests of all sorts, and derives facts from them.
pub(crate) fn measure() -> Value {
    let pages = PAGES.map(Url::new);
    let referrers = REFERRERS.map(|referrer| referrer.map(Url::new));
    let one = |number: usize| {
        let (agent, brands, platform) = AGENTS[number % AGENTS.len()];
        let header = |name: &HeaderName| match name.as_str() {
            "sec-ch-ua" => brands,
            "sec-ch-ua-platform" => platform,
            "sec-ch-ua-mobile" => brands.map(|_| "?0"),
            "accept-language" => Some("fr-FR,fr;q=0.9,en;q=0.8"),
            "origin" => Some("https://example.com"),
            _ => None,
        };
        let headers = Headers::read(header, false);
        let context = Context::new(Some("Europe/Paris"), Some(1_440.0), Some("fr-FR"));
        Facts::derive(&Observed {
            user_agent: agent,
            headers: &headers,
            context: &context,
            place: None,
            explicit: false,
            page_url: Some(&pages[number % PAGES.len()]),
            referrer: referrers[number % REFERRERS.len()].as_ref(),
            ad_click: false,
            site: "default",
            origins: &[],
        })
    };
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            (0..COUNT).for_each(|number| _ = std::hint::black_box(one(number)));
            start.elapsed().as_secs_f64() * 1e6 / COUNT as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    json!({"us_an_event": times[RUNS / 2]})
}
