//! Whatever happens, in any order: afterwards everything is right.

use common::store::roles::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use crate::Bench;
use crate::servers::sql;

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Action {
    Append(usize),
    Again,
    Ask,
    Restart,
    Flush,
    CutRedis,
    CutPostgres,
    KillRedis,
    RunRedis,
    Pause,
    Resume,
    Save,
    DropWatermark(bool),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => (1_usize..20).prop_map(Action::Append),
        2 => Just(Action::Again),
        3 => Just(Action::Ask),
        1 => Just(Action::Restart),
        2 => Just(Action::Flush),
        2 => Just(Action::CutRedis),
        1 => Just(Action::CutPostgres),
        1 => Just(Action::KillRedis),
        3 => Just(Action::RunRedis),
        1 => Just(Action::Pause),
        3 => Just(Action::Resume),
        1 => Just(Action::Save),
        2 => any::<bool>().prop_map(Action::DropWatermark),
    ]
}

/// How Redis is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Running,
    Paused,
    Dead,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_everything_is_right_again() {
    let Some(mut bench) = Bench::start().await else { return };
    let mut runner = TestRunner::new(Config::default());
    let mut is = Is::Running;
    for _ in 0..8 {
        let actions = prop::collection::vec(action(), 5..25).new_tree(&mut runner).unwrap().current();
        println!("{actions:?}");
        for action in actions {
            step(&mut bench, action, &mut is).await;
        }
        set(&mut bench, &mut is, Is::Running).await;
        bench.well().await;
    }
}

async fn set(bench: &mut Bench, is: &mut Is, to: Is) {
    match (*is, to) {
        (Is::Paused, Is::Running | Is::Dead) => bench.redis.resume(),
        (Is::Dead, Is::Running | Is::Paused) => bench.redis.run().await,
        _ => {}
    }
    match to {
        Is::Dead => bench.redis.kill(),
        Is::Paused if *is != Is::Paused => bench.redis.pause(),
        _ => {}
    }
    *is = to;
}

async fn step(bench: &mut Bench, action: Action, is: &mut Is) {
    match action {
        Action::Append(count) => {
            let events = bench.made(count);
            // A connection that was cut under way may be a refusal: who sends again loses
            // nothing and doubles nothing.
            while bench.store.append(events.clone(), bench.now).await.is_err() {
                tokio::task::yield_now().await;
            }
            bench.events.extend(events);
        }
        Action::Again => {
            let events: Vec<_> = bench.events.iter().rev().take(5).cloned().collect();
            let _ = bench.store.append(events, bench.now).await;
        }
        Action::Ask => {
            if *is == Is::Dead || *is == Is::Running {
                bench.check().await;
            }
        }
        Action::Restart => bench.reopen().await,
        Action::CutPostgres => {
            sql(
                &bench.databases.postgres,
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
            )
            .await;
        }
        Action::KillRedis => set(bench, is, Is::Dead).await,
        Action::RunRedis | Action::Resume => set(bench, is, Is::Running).await,
        Action::Pause => set(bench, is, Is::Paused).await,
        _ if *is != Is::Running => {}
        Action::Flush => bench.redis.command(&["FLUSHALL"]).await,
        Action::CutRedis => {
            bench.redis.command::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
            bench.redis.command::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        }
        Action::Save => bench.redis.command(&["SAVE"]).await,
        Action::DropWatermark(first) => {
            let key = format!("analytics:{{{}}}:watermark", if first { "a" } else { "b" });
            bench.redis.command::<u64>(&["DEL", &key]).await;
        }
    }
}
