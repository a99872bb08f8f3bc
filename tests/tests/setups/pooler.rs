//! PgBouncer before PostgreSQL: by session it is no different from none, otherwise it is refused.

use serde_json::json;
use tests::engine::Engine;
use tests::home::Home;
use tests::servers::{Durability, PgBouncer, Postgres, Redis};
use tests::{number, uuid};

fn home(pooler: &PgBouncer, redis: &Redis) -> Home {
    Home::on(Engine::Sqlite).env("ANALYTICS_STORE", pooler.url()).env("ANALYTICS_REDIS", redis.url())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_fine() {
    let (postgres, redis) = (Postgres::start(Durability::Process), Redis::start());
    let pooler = PgBouncer::start(&postgres, "session");
    let server = home(&pooler, &redis).serve().await;
    for _ in 0..20 {
        server.store(&json!({"event_type": "page_view", "visitor_id": uuid()})).await;
    }
    assert_eq!(number(&server.data("/stats").await["total_events"]), 20);
    server.end().await;
}

/// Most events would be rejected: settings, locks and statements of a session would be those of
/// others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_and_statements_are_refused_at_start() {
    let (postgres, redis) = (Postgres::start(Durability::Process), Redis::start());
    for mode in ["transaction", "statement"] {
        let pooler = PgBouncer::start(&postgres, mode);
        let home = home(&pooler, &redis);
        for arguments in [&["serve"][..], &["verify"], &["cleanup"]] {
            let finished = home.run(arguments).await;
            assert!(finished.code.is_some_and(|code| code != 0), "{mode} {arguments:?}: {}", finished.output());
            assert!(finished.output().contains("must pool by session"), "{mode} {arguments:?}: {}", finished.output());
        }
    }
}
