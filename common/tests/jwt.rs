//! JSON web tokens: whose are accepted, what they allow, and how keys come and go, with a provider of keys on
//! the loopback.
//!
//! `rsa.der` is a key made for these tests, and good for nothing else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "jwt/provider.rs"]
mod provider;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::routing::get;
use common::App;
use common::http::{ApiError, Params};
use common::testing::TestApp;
use common::time::{SECOND, Timestamp};
use provider::{Provider, Signer, claims, token};
use serde_json::{Value, json};

const NOW: &str = "2025-12-08T12:00:00Z";
const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "analytics";
const SECRET: &str = "a secret that cannot be guessed, of 32 characters and more";

/// Routes that answer with the site they were asked for.
fn router(app: App) -> Router {
    let read = async |State(app): State<App>, params: Params| {
        params.site(&app).map(|site| site.to_string()).map_err(ApiError::from)
    };
    ["stats", "query", "export/themes", "cleanup"]
        .iter()
        .fold(Router::new(), |router, path| router.route(&format!("/api/v1/analytics/{path}"), get(read)))
        .with_state(app)
}

async fn start(vars: &[(&str, &str)]) -> TestApp {
    let common =
        [("ANALYTICS_READ_AUTH", "token"), ("ANALYTICS_JWT_ISSUER", ISSUER), ("ANALYTICS_JWT_AUDIENCE", AUDIENCE)];
    TestApp::start(&[&common, vars].concat(), router, NOW).await
}

async fn with_keys(signers: &[&Signer]) -> TestApp {
    start(&[("ANALYTICS_JWT_KEYS", &provider::key_set(signers))]).await
}

async fn status(test: &TestApp, path: &str, token: &str) -> u16 {
    let request = Request::get(format!("/api/v1/analytics/{path}")).header("authorization", format!("Bearer {token}"));
    test.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::parse(NOW).unwrap().plus(seconds * SECOND)
}

/// Claims of a token that lasts an hour, changed in this.
fn changed(change: Value) -> Value {
    claims(at(3_600), change)
}

#[tokio::test]
async fn each_algorithm_is_accepted_with_its_key() {
    let signers = [Signer::rsa("r"), Signer::p256("e"), Signer::ed25519("d")];
    let test = with_keys(&signers.each_ref()).await;
    for signer in &signers {
        let good = token(signer, &changed(json!({})));
        assert_eq!(status(&test, "stats", &good).await, 200, "{signer:?}");
        let (head, signature) = good.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        let forged = format!("{head}.{first}{}", &signature[1..]);
        assert_eq!(status(&test, "stats", &forged).await, 401, "{signer:?} forged");
        let other = token(signer, &changed(json!({"scope": "read admin"})));
        let (head, _) = other.rsplit_once('.').unwrap();
        assert_eq!(status(&test, "stats", &format!("{head}.{signature}")).await, 401, "{signer:?} changed");
    }
    // Another key of the same name, and one that is not listed.
    for stranger in [Signer::p256("e"), Signer::ed25519("d"), Signer::p256("x")] {
        assert_eq!(status(&test, "stats", &token(&stranger, &changed(json!({})))).await, 401, "{stranger:?}");
    }
    let test = start(&[("ANALYTICS_JWT_SECRET", SECRET)]).await;
    for id in [None, Some("any")] {
        let good = token(&Signer::secret(id, SECRET.as_bytes()), &changed(json!({})));
        assert_eq!(status(&test, "stats", &good).await, 200, "{id:?}");
    }
    let wrong = token(&Signer::secret(None, b"another secret"), &changed(json!({})));
    assert_eq!(status(&test, "stats", &wrong).await, 401);
}

/// The key says which algorithm it is for, whatever a token's header says.
#[tokio::test]
async fn no_token_chooses_its_algorithm() {
    let (rsa, p256) = (Signer::rsa("r"), Signer::p256("e"));
    let set = provider::key_set(&[&rsa, &p256]);
    let test = with_keys(&[&rsa, &p256]).await;
    let good = changed(json!({}));
    let public: Value = serde_json::from_str(&set).unwrap();
    let modulus = public["keys"][0]["n"].as_str().unwrap();
    // Public keys in all forms as the secret of HS256.
    let forms = [
        modulus.as_bytes().to_vec(),
        provider::decoded(modulus),
        public["keys"][0].to_string().into_bytes(),
        set.into_bytes(),
    ];
    for secret in &forms {
        for id in [Some("r"), Some("e"), None] {
            let forged = token(&Signer::secret(id, secret), &good);
            assert_eq!(status(&test, "stats", &forged).await, 401, "{id:?}");
        }
    }
    for algorithm in ["none", "None", "NONE", "HS256", "RS384", "PS256", "ES256", "EdDSA", ""] {
        for id in ["r", "x"] {
            let unsigned = provider::unsigned(algorithm, id, &good);
            assert_eq!(status(&test, "stats", &unsigned).await, 401, "{algorithm} {id}");
        }
    }
    // A good signature under the name of another key.
    let renamed = token(&Signer::p256("e").named("r"), &good);
    assert_eq!(status(&test, "stats", &renamed).await, 401);
    let test = start(&[("ANALYTICS_JWT_SECRET", SECRET)]).await;
    for signer in [rsa, p256] {
        assert_eq!(status(&test, "stats", &token(&signer, &good)).await, 401, "{signer:?}");
    }
}

#[tokio::test]
async fn issuer_audience_and_times_are_checked() {
    let signer = Signer::ed25519("d");
    let test = with_keys(&[&signer]).await;
    let now = at(0).seconds();
    for (change, expected) in [
        (json!({}), 200),
        (json!({"aud": ["other", AUDIENCE]}), 200),
        (json!({"iss": "https://other.example"}), 401),
        (json!({"iss": null}), 401),
        (json!({"aud": "other"}), 401),
        (json!({"aud": []}), 401),
        (json!({"aud": null}), 401),
        (json!({"exp": null}), 401),
        (json!({"exp": "soon"}), 401),
        // A clock may be off by a minute.
        (json!({"exp": now - 59}), 200),
        (json!({"exp": now - 60}), 401),
        (json!({"exp": now as f64 - 59.5}), 200),
        (json!({"exp": 1e300}), 401),
        (json!({"exp": -1}), 401),
        (json!({"nbf": now + 60}), 200),
        (json!({"nbf": now + 61}), 401),
        (json!({"nbf": "now"}), 401),
        (json!({"nbf": 1e300}), 401),
    ] {
        let token = token(&signer, &changed(change.clone()));
        assert_eq!(status(&test, "stats", &token).await, expected, "{change}");
    }
    let token = token(&signer, &changed(json!({})));
    test.source.set(at(3_659));
    assert_eq!(status(&test, "stats", &token).await, 200);
    test.source.set(at(3_660));
    assert_eq!(status(&test, "stats", &token).await, 401, "it has expired");
}

#[tokio::test]
async fn claims_say_what_is_allowed() {
    let signer = Signer::p256("e");
    let test = with_keys(&[&signer]).await;
    for (change, path, expected) in [
        (json!({"scope": null}), "stats", 403),
        (json!({"scope": ""}), "stats", 403),
        (json!({"scope": "openid write"}), "stats", 403),
        (json!({"scope": "openid read"}), "stats", 200),
        (json!({"scope": "read"}), "export/themes", 403),
        (json!({"scope": "export"}), "export/themes", 200),
        (json!({"scope": "export"}), "stats", 403),
        (json!({"scope": "read"}), "cleanup", 403),
        (json!({"scope": "admin"}), "cleanup", 200),
        (json!({"scope": "admin", "sites": ["a"]}), "cleanup?site=a", 403),
        (json!({"sites": ["a.example", "b"]}), "stats?site=b", 200),
        (json!({"sites": ["a.example", "b"]}), "stats", 403),
        (json!({"sites": []}), "stats", 403),
        (json!({"sites": ["A B"]}), "stats", 403),
        (json!({"sites": "b"}), "stats?site=b", 401),
        (json!({"plan": "free"}), "stats", 200),
        (json!({"plan": "free"}), "query", 403),
        (json!({"plan": "free", "scope": "admin"}), "export/themes", 403),
        (json!({"plan": "plus"}), "query", 200),
        (json!({"plan": "gold"}), "stats", 403),
    ] {
        let token = token(&signer, &changed(change.clone()));
        assert_eq!(status(&test, path, &token).await, expected, "{change} {path}");
    }
    let vars = [("ANALYTICS_PLANS", "gold=query,stats"), ("ANALYTICS_JWT_KEYS", &provider::key_set(&[&signer]))];
    let test = start(&vars).await;
    for (plan, path, expected) in [("gold", "query", 200), ("gold", "export/themes", 403), ("free", "stats", 403)] {
        let token = token(&signer, &changed(json!({"plan": plan, "scope": "read export"})));
        assert_eq!(status(&test, path, &token).await, expected, "{plan} {path}");
    }
}

#[tokio::test]
async fn malformed_tokens_are_no_tokens() {
    let signer = Signer::ed25519("d");
    let test = with_keys(&[&signer]).await;
    let good = token(&signer, &changed(json!({})));
    let large = token(&signer, &changed(json!({"more": "x".repeat(8_000)})));
    for wrong in ["", ".", "..", "a.b.c", &good[1..], &format!("{good}."), &format!("{good}.x"), &large] {
        assert_eq!(status(&test, "stats", wrong).await, 401, "{wrong}");
    }
    let critical = provider::with_header(&signer, json!({"crit": ["exp"]}), &changed(json!({})));
    assert_eq!(status(&test, "stats", &critical).await, 401);
}

#[tokio::test]
async fn keys_rotate_and_are_withdrawn() {
    let (old, new) = (Signer::p256("old"), Signer::ed25519("new"));
    let provider = Provider::start(&[&old]).await;
    let test = start(&[("ANALYTICS_JWT_KEYS", &provider.url())]).await;
    let [of_old, of_new] = [&old, &new].map(|signer| token(signer, &claims(at(86_400), json!({}))));
    assert_eq!(status(&test, "stats", &of_old).await, 200);
    assert_eq!(provider.fetches(), 1, "keys are fetched once");
    assert_eq!(status(&test, "stats", &of_old).await, 200);

    // What is not known is asked for, but not by each request.
    for _ in 0..20 {
        assert_eq!(status(&test, "stats", &of_new).await, 401);
    }
    assert_eq!(provider.fetches(), 1, "within the pause");
    provider.publish(&[&old, &new]);
    test.source.set(at(30));
    assert_eq!(status(&test, "stats", &of_new).await, 200, "a new key is found");
    assert_eq!(provider.fetches(), 2);
    assert_eq!(status(&test, "stats", &of_old).await, 200, "both are accepted");

    // Withdrawn: refused once the keys are ten minutes old.
    provider.publish(&[&new]);
    test.source.set(at(30 + 599));
    assert_eq!(status(&test, "stats", &of_old).await, 200);
    test.source.set(at(30 + 600));
    assert_eq!(status(&test, "stats", &of_old).await, 401);
    assert_eq!(status(&test, "stats", &of_new).await, 200);
    assert_eq!(provider.fetches(), 3);
}

#[tokio::test]
async fn known_keys_stay_in_use_while_the_provider_is_away() {
    let signer = Signer::ed25519("d");
    let provider = Provider::start(&[&signer]).await;
    let test = start(&[("ANALYTICS_JWT_KEYS", &provider.url())]).await;
    let token = token(&signer, &claims(at(86_400), json!({})));
    provider.fail();
    assert_eq!(status(&test, "stats", &token).await, 503, "no key was ever had");
    assert_eq!(status(&test, "stats", "not.a.token").await, 401);
    provider.publish(&[&signer]);
    assert_eq!(status(&test, "stats", &token).await, 503, "within the pause");
    test.source.set(at(30));
    assert_eq!(status(&test, "stats", &token).await, 200);
    for wrong in ["", "{}", r#"{"keys":[]}"#, &"x".repeat(65_537)] {
        provider.answer(wrong);
        test.source.set(test.app.now().plus(3_600 * SECOND));
        assert_eq!(status(&test, "stats", &token).await, 200, "{} bytes", wrong.len());
    }
    provider.fail();
    test.source.set(test.app.now().plus(3_600 * SECOND));
    let before = provider.fetches();
    for _ in 0..10 {
        assert_eq!(status(&test, "stats", &token).await, 200);
    }
    assert_eq!(provider.fetches(), before + 1, "one try in the pause");
}

/// Otherwise a client that closes its connections could keep the keys from being fetched.
#[tokio::test]
async fn keys_are_fetched_though_the_client_has_left() {
    let signer = Signer::ed25519("d");
    let provider = Provider::start(&[&signer]).await;
    let test = start(&[("ANALYTICS_JWT_KEYS", &provider.url())]).await;
    let token = token(&signer, &changed(json!({})));
    let held = provider.held.lock().await;
    let asked = async {
        while provider.fetches() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        status = status(&test, "stats", &token) => panic!("{status} without a key"),
        () = asked => {}
    }
    drop(held);
    assert_eq!(status(&test, "stats", &token).await, 200, "within the pause");
    assert_eq!(provider.fetches(), 1);
}

/// Keys that are for something else are no keys of tokens.
#[tokio::test]
async fn keys_for_other_uses_are_passed_over() {
    let signer = Signer::p256("e");
    for change in [json!({"use": "enc"}), json!({"alg": "ES384"}), json!({"kty": "oct", "k": "AAAA"})] {
        let mut set: Value = serde_json::from_str(&provider::key_set(&[&signer, &Signer::ed25519("d")])).unwrap();
        set["keys"][0].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let test = start(&[("ANALYTICS_JWT_KEYS", &set.to_string())]).await;
        assert_eq!(status(&test, "stats", &token(&signer, &changed(json!({})))).await, 401, "{change}");
    }
}
