use proptest::prelude::*;

use super::super::record::{Agent, Record};
use super::*;

const SAMPLE: &str = concat!(
    r#"198.18.0.1 - - [17/May/2015:10:05:03 +0000] "GET /cv?a=b HTTP/1.1" 200 203023 "#,
    r#""http://example.com/" "Mozilla/5.0 (X11)""#
);

fn parse(line: &str) -> Result<(Record, Format), Malformed> {
    let (fields, format) = read(line.as_bytes())?;
    Ok((fields.record(&[])?, format))
}

fn combined(line: &str) -> Record {
    match parse(line) {
        Ok((record, Format::Text { common: false, .. })) => record,
        other => panic!("{line}: {other:?}"),
    }
}

fn told(line: &str) -> String {
    parse(line).unwrap_err().to_string()
}

#[test]
fn a_combined_line() {
    let record = combined(SAMPLE);
    assert_eq!(record.client.to_string(), "198.18.0.1");
    assert_eq!(record.time.to_string(), "2015-05-17T10:05:03.000Z");
    assert_eq!((&*record.method, &*record.target, record.status), ("GET", "/cv?a=b", 200));
    assert_eq!(record.referrer.as_deref(), Some("http://example.com/"));
    assert_eq!(record.agent, Agent::Sent("Mozilla/5.0 (X11)".into()));
    assert_eq!(record.host, None);
}

#[test]
fn a_common_line() {
    let line = r#"198.18.0.1 ident jo doe [01/Dec/2025:23:30:00 -0130] "GET / HTTP/1.0" 304 -"#;
    let (record, format) = parse(line).unwrap();
    assert_eq!(format, Format::Text { vhost: false, common: true });
    assert_eq!(record.time.to_string(), "2025-12-02T01:00:00.000Z");
    assert_eq!((record.status, record.referrer, record.agent), (304, None, Agent::Unknown));
}

#[test]
fn more_may_stand_around_the_fields() {
    for line in [
        format!("{SAMPLE} \"203.0.113.9\" 0.004"),
        format!("{SAMPLE} \"203.0.113.7\" \"site.example\" rt=0.004 uct=\"0.000\""),
        format!("{SAMPLE} 5 \"router@docker\" \"http://10.0.0.2:80\" 4ms"),
        format!("{SAMPLE} \"unclosed"),
        SAMPLE.replace(" - - [", " - -  [").replace("] \"", "]  \"").replace("\" 200", "\"  200"),
        SAMPLE
            .replace(' ', "\t")
            .replace("17/May/2015:10:05:03\t", "17/May/2015:10:05:03 ")
            .replace("GET\t/cv?a=b\t", "GET /cv?a=b ")
            .replace("5.0\t", "5.0 "),
        SAMPLE.replace("203023", "203023 0.015"),
        SAMPLE.replace("203023", "203023 [0.100 s] "),
        SAMPLE.replace("200", "\"200\""),
        SAMPLE.replace("- - [", "- joe [x] ["),
    ] {
        assert_eq!(combined(&line), combined(SAMPLE), "{line}");
    }
}

#[test]
fn a_host_may_stand_in_many_places() {
    for line in [
        format!("site.example {SAMPLE}"),
        format!("Site.Example:443 {SAMPLE}"),
        SAMPLE.replace("198.18.0.1 -", "198.18.0.1 site.example"),
        r#"[17/May/2015:10:05:03 +0000] 198.18.0.1 - - "site.example" "GET /cv?a=b HTTP/1.1" "200" 946 [0.100 s]  "http://example.com/" "Mozilla/5.0 (X11)""#.to_owned(),
    ] {
        let record = combined(&line);
        assert_eq!(record.host.as_deref(), Some("site.example"), "{line}");
        assert_eq!(Record { host: None, ..record }, combined(SAMPLE), "{line}");
    }
    assert_eq!(combined(&format!("- {SAMPLE}")).host, None);
    for host in ["127.0.1.1:80", "127.0.1.1", "203.0.113.7"] {
        let record = combined(&format!("{host} {SAMPLE}"));
        assert_eq!((record.host.as_deref(), record.client), (host.split(':').next(), combined(SAMPLE).client));
    }
    let intranet = combined(&format!("127.0.1.1:80 {}", SAMPLE.replace("198.18.0.1", "10.0.0.9")));
    assert_eq!(intranet.client.to_string(), "10.0.0.9");
    let forwarded = combined(&SAMPLE.replace("198.18.0.1", "198.18.0.1 10.0.0.2"));
    assert_eq!((forwarded.host, forwarded.client.to_string().as_str()), (None, "198.18.0.1"));
    let local = combined(&format!("localhost:80 {}", SAMPLE.replace("198.18.0.1", "::1")));
    assert_eq!((local.host.as_deref(), local.client.to_string().as_str()), (Some("localhost"), "::1"));
}

#[test]
fn clients_have_ports_brackets_zones_and_hops() {
    for (client, read) in [
        ("198.18.0.5:51008", "198.18.0.5"),
        ("[2001:db8::1]:51008", "2001:db8::1"),
        ("[2001:db8::2]", "2001:db8::2"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:198.18.0.6", "198.18.0.6"),
        ("198.18.0.5, 10.0.0.1", "198.18.0.5"),
        ("198.18.0.5,10.0.0.1", "198.18.0.5"),
        ("\"198.18.0.5, 10.0.0.1\"", "198.18.0.5"),
    ] {
        assert_eq!(combined(&SAMPLE.replace("198.18.0.1", client)).client.to_string(), read, "{client}");
    }
}

#[test]
fn times_are_written_in_many_ways() {
    for time in [
        "[17/May/2015:10:05:03.123 +0000]",
        "[17/May/2015:10:05:03 +00:00]",
        "[17/May/2015:10:05:03]",
        "[17/mai/2015:10:05:03 +0000]",
        "[2015-05-17T10:05:03+00:00]",
        "[2015-05-17 10:05:03]",
        "17/May/2015:10:05:03 +0000",
        "2015-05-17 10:05:03",
        "2015-05-17T10:05:03Z",
        "1431857103.000",
    ] {
        let record = combined(&SAMPLE.replace("[17/May/2015:10:05:03 +0000]", time));
        assert_eq!(record.time.seconds(), 1_431_857_103, "{time}");
    }
}

#[test]
fn nothing_is_written_as_a_dash() {
    for nothing in ["\"-\" \"-\"", "\"\" \"\""] {
        let line = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/2.0" 200 - {nothing}"#);
        let record = combined(&line);
        assert_eq!((record.referrer, record.agent), (None, Agent::Missing));
    }
}

#[test]
fn what_is_no_request_has_no_method() {
    for request in ["-", "", r"\x16\x03\x01", "GET", "site.example"] {
        let text = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "{request}" 400 0 "-" "-""#);
        assert_eq!(combined(&text).method, "", "{request}");
    }
}

#[test]
fn mistakes_say_what_was_expected_where() {
    let client = "a client address";
    let time = "a time like [17/May/2015:10:05:03 +0000]";
    for (line, column, expected, found) in [
        ("", 1, client, "the end of the line"),
        ("::1 - - ", 9, time, "the end of the line"),
        ("<x> - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1", 1, client, "<"),
        ("site.example - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1", 1, client, "a host name"),
        ("a.example b.example - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1", 1, client, "a host name"),
        ("a.example - 198.18.0.9 [17/May/2015:10:05:03 +0000] \"GET /\" 200 1", 1, client, "a host name"),
        ("::1 - - [17/Foo/2015:10:05:03 +0000] \"GET /\" 200 1", 9, time, "["),
        ("::1 - - \"GET /\" 200 1", 9, time, "\""),
        ("::1 - - [17/May/2015:10:05:03 +0000]", 37, "a request like \"GET /cv HTTP/1.1\"", "the end of the line"),
        (
            "::1 - - [17/May/2015:10:05:03 +0000] \"GET /",
            38,
            "a request like \"GET /cv HTTP/1.1\"",
            "a quote that is not closed",
        ),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 2", 46, "a status like 200", "a number"),
        ("::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 x", 50, "a size, or -", "a word"),
        (
            "::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1 \"-",
            52,
            "a referrer in quotes",
            "a quote that is not closed",
        ),
        (
            "::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1 \"-\"",
            55,
            "a user agent in quotes",
            "the end of the line",
        ),
        (
            "::1 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1 \"-\" \"x",
            56,
            "a user agent in quotes",
            "a quote that is not closed",
        ),
    ] {
        assert_eq!(told(line), format!("column {column}: expected {expected}, found {found}"), "{line}");
    }
}

#[test]
fn nothing_of_the_client_is_shown() {
    assert!(!format!("{:?}", combined(SAMPLE)).contains("198"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&line).map(|(fields, _)| fields.record(&[]));
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
        let _ = read(&line[..end]).map(|(fields, _)| fields.record(&[]));
    }

    /// What a server writes is read as it was meant, whatever the fields hold.
    #[test]
    fn fields_come_back(target in "/[^ \\\\\"\u{0}-\u{1f}]{0,40}", agent in "[a-zA-Z\\\\\" ();/.]{1,60}") {
        let escaped = agent.replace('\\', r"\\").replace('"', "\\\"");
        let line = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "GET {target} HTTP/1.1" 200 1 "-" "{escaped}""#);
        let record = combined(&line);
        prop_assert_eq!(record.target, target);
        prop_assert_eq!(record.agent.as_str().trim(), agent.trim());
    }
}
