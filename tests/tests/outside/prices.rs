//! docs/deploy.md says what the cloud costs: its table must follow from its own prices,
//! assumptions and formula.

use tests::binary::workspace;

/// The columns of the table: events a month.
const EVENTS: [f64; 3] = [1e4, 1e6, 1e8];

fn document() -> String {
    std::fs::read_to_string(workspace().join("docs/deploy.md")).unwrap()
}

/// The cells of the row of a table whose first cell begins so, without the first.
fn row<'a>(document: &'a str, name: &str) -> Vec<&'a str> {
    let mut rows = document.lines().filter(|line| line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(name)));
    let row = rows.next().unwrap_or_else(|| panic!("no row {name}"));
    assert_eq!(rows.next(), None, "two rows {name}");
    row.trim_matches('|').split('|').skip(1).map(str::trim).collect()
}

/// All numbers in a text, without the signs around them.
fn numbers(text: &str) -> Vec<f64> {
    let pieces = text.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','));
    let plain = pieces.map(|piece| piece.trim_matches(['.', ',']).replace(',', ""));
    plain.filter(|piece| !piece.is_empty()).map(|piece| piece.parse().unwrap()).collect()
}

/// The value that a sentence gives to a letter, as in "*w* = 6".
fn assumed(document: &str, letter: &str) -> f64 {
    let (_, rest) = document.split_once(&format!("*{letter}* = ")).unwrap_or_else(|| panic!("{letter} is not said"));
    numbers(&rest[..rest.find([' ', '\n']).unwrap()])[0]
}

/// What a cell says: cents below a hundred dollars, dollars above.
fn agrees(cell: &str, dollars: f64) -> bool {
    let said = numbers(cell)[0];
    let unit = if cell.contains('.') { 0.01 } else { 1.0 };
    (said - dollars).abs() <= unit / 2.0 + 1e-9
}

#[test]
fn the_costs_follow_from_the_prices() {
    let document = document();
    let [write, read, store, free_store, recover] = numbers(row(&document, "DynamoDB, on demand")[0])[..] else {
        panic!()
    };
    let [request] = numbers(row(&document, "HTTP API")[0])[..] else { panic!() };
    let lambda = numbers(row(&document, "Lambda, arm64")[0]);
    let [call, free_calls, second, free_seconds] = lambda[..] else { panic!("{lambda:?}") };
    let [log, free_log] = numbers(row(&document, "log lines")[0])[..] else { panic!() };
    let [sent, free_sent] = numbers(row(&document, "data sent")[0])[..] else { panic!() };
    let [w, s, d, l, a] = ["w", "s", "d", "l", "a"].map(|letter| assumed(&document, letter));
    let beyond = |amount: f64, free: f64| (amount - free).max(0.0);
    for (column, events) in EVENTS.into_iter().enumerate() {
        // A question for every ten events.
        let questions = events / 10.0;
        let calls = events + questions;
        let gigabytes = events * 3.0 * s / 1e6;
        let expected = [
            ("writes", events * w * write / 1e6),
            ("reads", questions * 2.0 * read / 1e6),
            ("API |", calls * request / 1e6),
            (
                "Lambda |",
                beyond(calls, free_calls * 1e6) * call / 1e6 + beyond(calls * 0.25 * d, free_seconds) * second / 1e6,
            ),
            ("logs |", beyond(calls * l / 1e6, free_log) * log),
            ("sent |", beyond(calls * a / 1e6, free_sent) * sent),
            ("table and recovery", beyond(gigabytes, free_store) * store + gigabytes * recover),
        ];
        for (name, dollars) in expected {
            let cell = row(&document, name)[column];
            assert!(agrees(cell, dollars), "{name} at {events} events: {cell}, but it is {dollars}");
        }
        let together = expected.iter().map(|(_, dollars)| dollars).sum();
        let cell = row(&document, "**together**")[column];
        assert!(agrees(cell, together), "together at {events} events: {cell}, but it is {together}");
    }
}

#[test]
fn numbers_are_read_as_they_are_written() {
    assert_eq!(numbers("$0.625 a million, $13.33 beyond 400,000."), [0.625, 13.33, 400_000.0]);
    assert_eq!(assumed("With *w* = 6, *l* = 1.4, and", "l"), 1.4);
    for (cell, dollars, same) in [
        ("$3", 2.5, true),
        ("$3", 2.4, false),
        ("**$5.20**", 5.195, true),
        ("$0.03", 0.02, false),
        ("$0.00", 0.004, true),
    ] {
        assert_eq!(agrees(cell, dollars), same, "{cell} {dollars}");
    }
}
