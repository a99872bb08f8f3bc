//! Weeks are ISO weeks. (The earlier service formatted the month.)

use tests::server::Server;
use tests::text;

#[tokio::test]
async fn keys_around_new_year() {
    let server = Server::new().await;
    for (period, date, key) in [
        ("day", "2025-12-08", "2025-12-08"),
        ("week", "2025-12-08", "2025-W50"),
        ("month", "2025-12-08", "2025-12"),
        ("week", "2025-12-07", "2025-W49"),
        ("week", "2021-01-01", "2020-W53"),
        ("week", "2021-01-03", "2020-W53"),
        ("week", "2021-01-04", "2021-W01"),
        ("week", "2024-12-29", "2024-W52"),
        ("week", "2024-12-30", "2025-W01"),
        ("week", "2025-12-31", "2026-W01"),
        ("week", "2023-01-01", "2022-W52"),
        ("week", "2016-01-01", "2015-W53"),
        ("month", "2024-12-30", "2024-12"),
        ("day", "2024-02-29", "2024-02-29"),
    ] {
        let stats = server.data(&format!("/stats?period={period}&date={date}")).await;
        assert_eq!(text(&stats["period_key"]), key, "{period} of {date}");
        assert_eq!(text(&stats["period"]), period);
    }
}
