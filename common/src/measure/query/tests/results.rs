use super::*;
use crate::measure::question::{Answer, Number, ResultRow, VisitorCount};

fn number(value: i64) -> Option<Number> {
    Some(Number::whole(value))
}

fn answer(rows: &[(&[&str], &[Option<Number>])]) -> Answer {
    let row = |(dimensions, metrics): &(&[&str], &[Option<Number>])| ResultRow {
        dimensions: dimensions.iter().map(|value| (*value).to_owned()).collect(),
        metrics: metrics.to_vec(),
    };
    Answer {
        rows: rows.iter().map(row).collect(),
        visitors: VisitorCount::Distinct,
        capped: Vec::new(),
        summaries: None,
    }
}

fn values(query: &Query, rows: &[(&[&str], &[Option<Number>])]) -> Vec<String> {
    let (results, _) = query.results(answer(rows), None);
    results.results.into_iter().map(|row| row.dimensions.join(" ")).collect()
}

#[test]
fn rows_are_ordered_with_ties_by_value_and_null_last() {
    let rows: [(&[&str], &[Option<Number>]); 5] = [
        (&["é"], &[number(2), None]),
        (&["b"], &[number(2), number(5)]),
        (&["B"], &[number(2), number(0)]),
        (&["z"], &[number(9), None]),
        (&["a"], &[number(1), number(7)]),
    ];
    let query = |order: Value| {
        let metrics = json!(["visitors", "bounce_rate"]);
        parse(&json!({"metrics": metrics, "dimensions": ["visit:source"], "order_by": order})).unwrap()
    };
    assert_eq!(values(&query(Value::Null), &rows), ["z", "B", "b", "é", "a"]);
    assert_eq!(values(&query(json!([["bounce_rate", "desc"]])), &rows), ["a", "b", "B", "z", "é"]);
    assert_eq!(values(&query(json!([["bounce_rate", "asc"]])), &rows), ["B", "b", "a", "z", "é"]);
    assert_eq!(values(&query(json!([["visit:source", "desc"]])), &rows), ["é", "z", "b", "a", "B"]);
    for offset in 0..6 {
        let changes = json!({"dimensions": ["visit:source"], "metrics": ["visitors", "bounce_rate"], "limit": 2, "offset": offset});
        let page = parse(&changes).unwrap();
        let all = ["z", "B", "b", "é", "a"];
        let (results, _) = page.results(answer(&rows), None);
        assert_eq!(results.total_rows, 5);
        assert_eq!(values(&page, &rows), all[offset.min(5)..(offset + 2).min(5)]);
    }
}

#[test]
fn rows_by_time_are_in_the_order_of_time() {
    let hours =
        json!({"dimensions": ["time:hour"], "timezone": "Europe/Paris", "date_range": ["2026-10-25", "2026-10-25"]});
    let (first, second) = ("2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00");
    let rows: [(&[&str], &[Option<Number>]); 2] = [(&[second], &[number(2)]), (&[first], &[number(1)])];
    assert_eq!(values(&parse(&hours).unwrap(), &rows), [first, second]);
    let of_day: [(&[&str], &[Option<Number>]); 2] = [(&["10"], &[number(2)]), (&["9"], &[number(1)])];
    assert_eq!(values(&parse(&json!({"dimensions": ["time:hour_of_day"]})).unwrap(), &of_day), ["9", "10"]);
}

#[test]
fn comparison_finds_the_same_row_of_the_other_range() {
    let query = parse(&json!({
        "metrics": ["visitors", "bounce_rate", "percentage"], "dimensions": ["time:day", "visit:source"],
        "date_range": ["2026-11-09", "2026-11-10"], "compare": ["2026-11-01", "2026-11-01"], "include": {"time_labels": true},
    }));
    let percent = |value: i128| Number::ratio(value, 1, 1);
    let main = answer(&[
        (&["2026-11-09", "a"], &[number(3), number(55), percent(30)]),
        (&["2026-11-09", "b"], &[number(4), None, percent(40)]),
        (&["2026-11-10", "a"], &[number(1), number(10), percent(10)]),
    ]);
    let other = answer(&[(&["2026-11-01", "a"], &[number(1), number(40), percent(60)])]);
    let (results, meta) = query.unwrap().results(main, Some(other));
    let written = serde_json::to_string(&results.results).unwrap();
    assert_eq!(
        written,
        "[{\"dimensions\":[\"2026-11-09\",\"b\"],\"metrics\":[4,null,40.0],\"comparison\":{\"dimensions\":[\"2026-11-01\",\"b\"],\
         \"metrics\":[0,null,0.0],\"change\":[100,null,100]}},\
         {\"dimensions\":[\"2026-11-09\",\"a\"],\"metrics\":[3,55,30.0],\"comparison\":{\"dimensions\":[\"2026-11-01\",\"a\"],\
         \"metrics\":[1,40,60.0],\"change\":[200,15,-50]}},\
         {\"dimensions\":[\"2026-11-10\",\"a\"],\"metrics\":[1,10,10.0],\"comparison\":{\"dimensions\":null,\
         \"metrics\":[null,null,null],\"change\":[null,null,null]}}]"
    );
    assert_eq!(meta.time_labels.unwrap(), ["2026-11-09", "2026-11-10"]);
}

#[test]
fn csv_is_safe_to_open_in_a_spreadsheet() {
    let query = parse(&json!({"dimensions": ["visit:source"], "compare": "previous_period"})).unwrap();
    let main = answer(&[(&["=1+1"], &[number(1)]), (&["say \"hi\", now"], &[number(1)])]);
    let (results, _) = query.results(main, Some(answer(&[(&["=1+1"], &[number(2)])])));
    assert_eq!(
        query.csv(&results),
        "visit:source,visitors,visitors_comparison,visitors_change\r\n'=1+1,1,2,-50\r\n\"say \"\"hi\"\", now\",1,0,100\r\n"
    );
    let query = parse(&json!({"metrics": ["bounce_rate", "views_per_visit"], "dimensions": ["visit:source"]})).unwrap();
    let ratio = Number::ratio(-3, 2, 2);
    let rows: [(&[&str], &[Option<Number>]); 6] = [
        (&[""], &[None, ratio]),
        (&["+a"], &[None, ratio]),
        (&["-b"], &[None, ratio]),
        (&["@c"], &[None, ratio]),
        (&["\td\n"], &[None, ratio]),
        (&["\re"], &[None, ratio]),
    ];
    let (results, _) = query.results(answer(&rows), None);
    assert_eq!(
        query.csv(&results),
        "visit:source,bounce_rate,views_per_visit\r\n,,-1.50\r\n\"'\td\n\",,-1.50\r\n\"'\re\",,-1.50\r\n'+a,,-1.50\r\n\
         '-b,,-1.50\r\n'@c,,-1.50\r\n"
    );
}

#[test]
fn results_are_provisional_while_events_may_arrive() {
    for (range, provisional) in [("7d", true), ("day", true), ("6mo", false)] {
        assert_eq!(parse(&json!({"date_range": range})).unwrap().provisional, provisional, "{range}");
    }
    let query = parse(&json!({"date_range": ["2026-11-01", "2026-11-26"]})).unwrap();
    assert!(!query.provisional);
}
