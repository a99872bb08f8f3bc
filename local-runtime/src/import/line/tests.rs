use proptest::prelude::*;

use super::*;

const SAMPLE: &str = concat!(
    r#"198.18.0.1 - - [17/May/2015:10:05:03 +0000] "GET /cv?a=b HTTP/1.1" 200 203023 "#,
    r#""http://example.com/" "Mozilla/5.0 (X11)""#
);

fn combined(line: &str) -> Result<LogLine<'_>, Malformed> {
    LogLine::parse(line.as_bytes(), Format::Combined)
}

#[test]
fn a_combined_line() {
    let line = combined(SAMPLE).unwrap();
    assert!(line.client == Client::Address("198.18.0.1".parse().unwrap()));
    assert_eq!(line.time.to_string(), "2015-05-17T10:05:03.000Z");
    assert_eq!((&*line.method, &*line.target, line.status), ("GET", "/cv?a=b", 200));
    assert_eq!(line.referrer.as_deref(), Some("http://example.com/"));
    assert_eq!(line.user_agent.as_deref(), Some("Mozilla/5.0 (X11)"));
}

#[test]
fn a_common_line() {
    let text = r#"cache-1.example.net ident jo doe [01/Dec/2025:23:30:00 -0130] "GET / HTTP/1.0" 304 -"#;
    let line = LogLine::parse(text.as_bytes(), Format::Common).unwrap();
    assert!(line.client == Client::Name("cache-1.example.net"));
    assert_eq!(line.time.to_string(), "2025-12-02T01:00:00.000Z");
    assert_eq!((line.status, line.referrer, line.user_agent), (304, None, None));
    assert_eq!(combined(text), Err(Malformed::Referrer));
}

#[test]
fn a_combined_line_is_a_common_line_too_and_more_may_follow() {
    let line = LogLine::parse(SAMPLE.as_bytes(), Format::Common).unwrap();
    assert_eq!(line.user_agent, None);
    assert!(combined(&format!("{SAMPLE} \"203.0.113.9\" 0.004")).is_ok());
}

#[test]
fn nothing_is_written_as_a_dash() {
    let line = combined(r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/2.0" 200 - "-" "-""#).unwrap();
    assert_eq!((line.referrer, line.user_agent), (None, None));
    let line = combined(r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/2.0" 200 - "" """#).unwrap();
    assert_eq!((line.referrer, line.user_agent), (None, None));
}

#[test]
fn escapes_are_undone() {
    let line = combined(
        r#"::1 - - [17/May/2015:10:05:03 +0000] "GET /\"a\" b\\ HTTP/1.1" 200 1 "\xc3\xa9\xff\x4" "a \"b\" \q\""#,
    );
    assert_eq!(line, Err(Malformed::UserAgent), "the last quote is escaped");
    let line = combined(
        r#"::1 - - [17/May/2015:10:05:03 +0000] "GET /\"a\" b\\ HTTP/1.1" 200 1 "\xc3\xa9\xff\x4" "a \"b\" \q\\""#,
    )
    .unwrap();
    assert_eq!(line.target, r#"/"a" b\"#);
    assert_eq!(line.referrer.unwrap(), "é\u{fffd}\\x4");
    assert_eq!(line.user_agent.unwrap(), r#"a "b" \q\"#);
}

#[test]
fn what_is_no_request_has_no_method() {
    for request in ["-", "", r"\x16\x03\x01", "GET"] {
        let text = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "{request}" 400 0 "-" "-""#);
        assert_eq!(combined(&text).unwrap().method, "", "{request}");
    }
    let old = combined(r#"::1 - - [17/May/2015:10:05:03 +0000] "GET /old" 200 0 "-" "-""#).unwrap();
    assert_eq!((&*old.method, &*old.target), ("GET", "/old"));
}

#[test]
fn mistakes_say_where() {
    for (line, mistake) in [
        ("", Malformed::Client),
        ("- - - [", Malformed::Client),
        ("<x> - - [", Malformed::Client),
        ("::1", Malformed::Client),
        ("::1 - - ", Malformed::Time),
        ("::1 - - [17/May/2015:10:05:03]", Malformed::Time),
        ("::1 - - [17/Mai/2015:10:05:03 +0000] \"", Malformed::Time),
        ("::1 - - [31/Feb/2015:10:05:03 +0000] \"", Malformed::Time),
        ("::1 - - [17/May/1969:10:05:03 +0000] \"", Malformed::Time),
        ("::1 - - [17/May/2015:24:05:03 +0000] \"", Malformed::Time),
        ("::1 - - [17/May/2015:10:05:03 *0000] \"", Malformed::Time),
        ("::1 - - [17/May/2015:10:05:03 +0000]", Malformed::Time),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1", Malformed::Request),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 2", Malformed::Status),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 099 1", Malformed::Status),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 2001", Malformed::Size),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 x", Malformed::Size),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1", Malformed::Referrer),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1 \"-\"", Malformed::UserAgent),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1 \"-\" \"x", Malformed::UserAgent),
    ] {
        assert_eq!(combined(line), Err(mistake), "{line}");
    }
}

#[test]
fn nothing_of_a_line_is_shown() {
    let line = combined(SAMPLE).unwrap();
    assert!(!format!("{:?}", line.client).contains("198"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = LogLine::parse(&line, Format::Combined);
        let _ = LogLine::parse(&line, Format::Common);
    }

    /// Random bytes seldom get past the first field; a good line with some bytes spoilt does.
    #[test]
    fn no_spoilt_line_makes_it_panic(
        spoilt in proptest::collection::vec((0..SAMPLE.len(), any::<u8>()), 0..6),
        end in 0..=SAMPLE.len(),
    ) {
        let mut line = SAMPLE.as_bytes().to_vec();
        for (at, byte) in spoilt {
            line[at] = byte;
        }
        let _ = LogLine::parse(&line[..end], Format::Combined);
        let _ = LogLine::parse(&line[..end], Format::Common);
    }

    /// What a server writes is read as it was meant, whatever the fields hold.
    #[test]
    fn fields_come_back(target in "/[^ \\\\\"\u{0}-\u{1f}]{0,40}", agent in "[a-zA-Z\\\\\" ();/.]{1,60}") {
        let escaped = agent.replace('\\', r"\\").replace('"', "\\\"");
        let line = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "GET {target} HTTP/1.1" 200 1 "-" "{escaped}""#);
        let parsed = combined(&line).unwrap();
        prop_assert_eq!(parsed.target, target);
        let read = parsed.user_agent.unwrap_or_default();
        prop_assert_eq!(read.trim(), agent.trim());
    }
}
