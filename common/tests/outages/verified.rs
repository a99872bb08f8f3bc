//! Whatever Redis has wrong, by however little, is found, named and mended.

use common::store::conformance::samples::quiet;
use common::store::roles::*;

use crate::Bench;

/// One thing that somebody changed, and how the report names it.
const CHANGES: [(&[&str], &str); 11] = [
    (&["INCR", "analytics:{a}:stats:day:2025-12-31:total_events"], "redis, site a, 2025-12-31, events"),
    (&["DECR", "analytics:{b}:stats:week:2026-W01:page_views"], "redis, site b, 2026-W01, page views"),
    (&["INCR", "analytics:{a}:stats:month:2025-12:letters_motivation"], "2025-12, letters motivation"),
    (&["ZINCRBY", "analytics:{a}:themes:day:2025-12-31", "1", "t0"], "2025-12-31, theme \"t0\""),
    (&["ZADD", "analytics:{a}:themes:month:2025-12", "1", "invented"], "2025-12, theme \"invented\""),
    (&["ZREM", "analytics:{b}:themes:week:2026-W01", "t1"], "2026-W01, theme \"t1\""),
    (&["ZINCRBY", "analytics:{b}:themes:week:2026-W01", "-1", ""], "2026-W01, theme views"),
    // One visitor more than there were, in a sketch.
    (&["PFADD", "analytics:{a}:visitors:unique:day:2025-12-31", "a stranger"], "2025-12-31, distinct visitors"),
    (&["PFADD", "analytics:{b}:visitors:unique:month:2025-12", "a stranger"], "2025-12, distinct visitors"),
    (&["ZPOPMIN", "analytics:{a}:realtime:visitors"], "site a, visitors of the last hour"),
    (&["ZINCRBY", "analytics:{a}:themes:top", "2", "t2"], "site a, since 2025-12-30, theme \"t2\""),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_difference_is_named_and_mended() {
    let Some(mut bench) = Bench::start().await else { return };
    bench.append(60).await;
    for (command, name) in CHANGES {
        // Asks for themes since some day, too, so that they are kept.
        bench.well().await;
        bench.redis.command::<redis::Value>(command).await;
        let recount = bench.store.verify(bench.now, quiet()).await.unwrap();
        let names: Vec<&str> = recount.differences.iter().map(|difference| &*difference.aggregate).collect();
        assert!(matches!(names[..], [one] if one.contains(name)), "{command:?}: {names:?}");
        assert_eq!(recount.different, 1);
        let mended = bench.store.rebuild(bench.now, quiet()).await.unwrap();
        assert_eq!(mended.differences, recount.differences, "{command:?}");
    }
    bench.well().await;
}
