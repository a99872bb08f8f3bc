//! Who may do what.

use super::*;

/// Every route of the description, so that none can be left out.
#[tokio::test]
async fn without_a_token_only_events_probes_and_the_pages_files_are_served() {
    let secret = |scopes: &str, sites: &[common::site::Site], byte| {
        let scopes = scopes.split(' ').map(|scope| scope.parse().unwrap()).collect();
        let sites = sites.iter().cloned().collect();
        common::access::Entry::new(format!("{byte}"), scopes, &sites, &[byte; 32])
    };
    let (all, entry) = secret("read export", &[], 1);
    let (other, of_other) = secret("read export admin", &[common::site::Site::parse("other").unwrap()], 2);
    let (export, only_export) = secret("export", &[], 3);
    let tokens = serde_json::to_string(&[entry, of_other, only_export]).unwrap();
    let site = Site::with(&[("ANALYTICS_READ_AUTH", "token"), ("ANALYTICS_TOKENS", &tokens)], false).await;
    let document: Value = serde_json::from_str(&text(site.get("/openapi.json").await).await).unwrap();
    let mut closed = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let ask = async |headers: &[(&str, &str)]| site.ask(method.clone(), path, headers, "").await;
            let open = path.starts_with("/health")
                || ["/openapi.json", "/api/v1/analytics/event", "/api/v1/analytics/events"].contains(&&**path);
            let response = ask(&[]).await;
            assert_eq!(response.status() == 401, !open, "{method} {path}");
            if open {
                continue;
            }
            closed += 1;
            assert_eq!(response.headers()["www-authenticate"], "Bearer", "{path}");
            let body = text(response).await;
            let plausible = path.starts_with("/api/v1/stats/") || path.starts_with("/api/v2/");
            assert_eq!(body.contains("UNAUTHORIZED"), !plausible, "{path}: {body}");
            assert_eq!(ask(&[("authorization", "Bearer wrong")]).await.status(), 401, "{path}");
            assert_eq!(ask(&[("authorization", &export)]).await.status(), 401, "{path}: no scheme");
            let (all, export) = (format!("Bearer {all}"), format!("Bearer {export}"));
            let response = ask(&[("authorization", &all)]).await;
            let allowed = response.status().as_u16();
            let admins = ["/cleanup", "/shares", "/visitor/"];
            let is_admin = admins.iter().any(|part| path.contains(part)) || method == Method::PUT;
            assert_eq!(allowed == 403, is_admin, "{path}: {allowed}");
            // Plausible's paths answer 401 by themselves where no site is named.
            assert!(!response.headers().contains_key("www-authenticate"), "{path}: {allowed}");
            let exported = ask(&[("authorization", &export)]).await.status().as_u16();
            assert_eq!(exported == 403, !path.contains("/export/"), "{path}: {exported}");
        }
    }
    assert!(closed > 15, "{closed}");
    let other = format!("Bearer {other}");
    let bearer = [("authorization", &*other)];
    for path in ["realtime", "stats", "themes", "letters", "timeline", "heatmap", "export/themes"] {
        let path = format!("/api/v1/analytics/{path}");
        assert_eq!(site.ask(Method::GET, &path, &bearer, "").await.status(), 403, "{path}");
        assert_eq!(site.ask(Method::GET, &format!("{path}?site=other"), &bearer, "").await.status(), 200, "{path}");
    }
    for path in ["query", "query/funnel", "query/retention"] {
        let path = format!("/api/v1/analytics/{path}");
        let answer = site.ask(Method::POST, &path, &bearer, r#"{"site":"default"}"#).await;
        assert_eq!(answer.status(), 403, "{path}");
    }
    assert_eq!(site.get("/ws/analytics").await.status(), 401);
    let subprotocol = [("sec-websocket-protocol", &*format!("maicivy, {}", other.replace("Bearer ", "bearer.")))];
    assert_eq!(site.ask(Method::GET, "/ws/analytics", &subprotocol, "").await.status(), 403);
    assert_eq!(site.ask(Method::GET, "/ws/analytics?site=other", &subprotocol, "").await.status(), 400, "no handshake");
    let plausible = site.ask(Method::GET, "/api/v1/stats/aggregate?site_id=default", &bearer, "").await;
    assert_eq!(plausible.status(), 401, "as Plausible has it");
    assert_eq!(site.ask(Method::GET, "/metrics", &bearer, "").await.status(), 403);
    append(&site.app, "other", 1).await;
    append(&site.app, "default", 1).await;
    let (all, listed) = (format!("Bearer {all}"), "/api/v1/analytics/sites");
    for (token, sites) in [(&all, 2), (&other, 1)] {
        let list = text(site.ask(Method::GET, listed, &[("authorization", token)], "").await).await;
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["data"].as_array().unwrap().len(), sites, "{list}");
    }
    let event = site.ask(Method::POST, "/api/v1/analytics/event", &[], r#"{"event_type":"scroll"}"#).await;
    assert_eq!(event.status(), 201);
    for path in ["/", "/dashboard", "/script.js", "/mcv.js"] {
        assert_eq!(site.get(path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_route_outside_of_the_check_reads_no_site() {
    let site = Site::with(&[], false).await;
    for path in ["stats", "timeline", "sites?site=default"] {
        let path = format!("/api/v1/analytics/{path}");
        assert_eq!(site.get(&path).await.status(), 200, "{path}");
        let routes = stats::router(site.app.clone())
            .merge(timeline::router(site.app.clone()))
            .merge(query::router(site.app.clone()));
        let response = routes.oneshot(Request::get(&path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 403, "{path}");
    }
}

/// Guessing is bounded also where nothing else is.
#[tokio::test]
async fn refused_tokens_are_limited() {
    let site = Site::with(&[("ANALYTICS_READ_LIMIT", "3"), ("ANALYTICS_READ_AUTH", "token")], false).await;
    for status in [401, 401, 401, 429, 429] {
        let bearer = [("sec-websocket-protocol", "maicivy, bearer.guess")];
        assert_eq!(site.ask(Method::GET, "/ws/analytics", &bearer, "").await.status(), status);
    }
}
