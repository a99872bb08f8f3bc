use axum::Router;
use axum::body::Body;
use axum::response::Html;
use axum::routing::get;
use common::http::PeerAddress;
use common::source::System;
use common::store::TimelineFrom;
use tower::ServiceExt;

use super::*;
use crate::testing::app_with;

/// A site of another owner.
fn site(views: &PageViews) -> Router {
    Router::new()
        .route("/", get(|| async { Html("hello") }))
        .route("/private", get(|| async { Html("hello") }))
        .route("/data", get(|| async { "hello" }))
        .layer(views.clone())
}

async fn visit(views: &PageViews, path: &str) {
    let request = Request::get(path).header("user-agent", "Mozilla/5.0 (X11; rv:140.0) Firefox/140.0");
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(PeerAddress("192.0.2.1".parse().unwrap()));
    site(views).oneshot(request).await.unwrap();
}

#[tokio::test]
async fn any_site_can_have_its_page_views_tracked() {
    let (app, _files) = app_with(&[("ANALYTICS_SITES", "b.example,cv.example")], Arc::new(System)).await;
    let views = PageViews::new(app.clone());
    assert_eq!(views.0.site.as_str(), "b.example", "the first, where there is no default");
    let views = views.for_site(Site::parse("cv.example").unwrap()).passing_over(["/private"]);
    for path in ["/", "/private", "/data", "/?ref=x", "/nowhere"] {
        visit(&views, path).await;
    }
    views.drain().await;
    let site = Site::parse("cv.example").unwrap();
    let seen = app.store.timeline(&site, TimelineFrom::all(0), 10).await.unwrap();
    let mut pages: Vec<_> = seen.iter().map(|event| event.page_url.as_ref().unwrap().as_str()).collect();
    pages.sort_unstable();
    assert_eq!(pages, ["/", "/?ref=x"]);
}

#[tokio::test]
async fn views_beyond_what_is_bearable_are_given_up_and_accounted_for() {
    let (app, _files) = app_with(&[], Arc::new(System)).await;
    let views = PageViews::new(app.clone());
    let all = Arc::clone(&views.0.room).acquire_many_owned(MOST_UNDER_WAY as u32).await.unwrap();
    visit(&views, "/").await;
    drop(all);
    visit(&views, "/").await;
    views.drain().await;
    let count = |outcome| app.metrics.ingest_outcomes_total.with_label_values(&[outcome, ""]).get();
    assert_eq!((count("failed"), count("stored")), (1, 1));
    assert_eq!(app.metrics.ingest_received_total.get(), 2);
}
