//! Whatever dies when, in any order: the product, PostgreSQL, Redis, what Redis holds, the lines
//! between them.

use tests::ledger::Ledger;
use tests::proxy::{Line, Proxy};
use tests::wait::until;

use crate::stores::{Stores, healed};

const ROUNDS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anything_at_random_moments() {
    let mut stores = Stores::start();
    let lines = [Proxy::before(stores.postgres.port()).await, Proxy::before(stores.redis.port()).await];
    let mut server = stores.home_at(lines[0].port, lines[1].port).serve().await;
    let mut ledger = Ledger::new(10);
    for round in 0..ROUNDS {
        let sending = ledger.start(&[server.address]);
        for _ in 0..1 + ledger.random().below(2) {
            let [before, meanwhile] = [ledger.random().millis(20, 400), ledger.random().millis(20, 600)];
            tokio::time::sleep(before).await;
            let victim = ledger.random().below(6);
            eprintln!("round {round}: {victim} after {before:?}, for {meanwhile:?}");
            match victim {
                0 => stores.postgres.kill(),
                1 => stores.redis.kill(),
                2 => drop(stores.redis.command(&["flushall"])),
                3 => stores.redis.pause(),
                4 => lines[0].set(Line::Cut),
                _ => lines[1].set(Line::Cut),
            }
            tokio::time::sleep(meanwhile).await;
            match victim {
                0 => stores.postgres.restart(),
                1 => stores.redis.restart(),
                3 => stores.redis.resume(),
                _ => lines.iter().for_each(|line| line.set(Line::Open)),
            }
        }
        // Every other round, the product itself, in whatever state that left it.
        if round % 2 == 0 {
            let home = server.kill().await;
            ledger.finish(sending).await;
            server = home.serve().await;
        } else {
            ledger.finish(sending).await;
        }
    }
    until("it is ready", async || match server.send(tests::http::get("/health/ready")).await.status {
        200 => Ok(()),
        other => Err(other),
    })
    .await;
    ledger.settle(&server).await;
    healed(&server).await;
    ledger.compare(&server).await;
    let home = server.kill().await;
    home.run(&["verify"]).await.expect_code(0);
    home.run(&["rebuild"]).await.expect_code(0);
    home.run(&["verify"]).await.expect_code(0);
}
