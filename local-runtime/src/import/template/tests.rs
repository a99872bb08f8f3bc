use proptest::prelude::*;

use super::super::record::{Agent, Record};
use super::*;

const NGINX: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

fn read(format: &str, line: &str) -> Result<Record, Malformed> {
    Template::parse(format).unwrap().read(line.as_bytes())?.record(&[])
}

#[test]
fn formats_of_nginx() {
    let agent = "Mozilla/5.0 (X11)";
    for (format, line) in [
        (
            NGINX,
            r#"198.18.0.5 - - [28/Nov/2026:08:15:30 +0000] "GET /cv HTTP/1.1" 200 512 "-" "Mozilla/5.0 (X11)" more"#,
        ),
        (
            r#"$time_iso8601|$remote_addr|$host|$request_method|$uri|$args|$status|$http_user_agent"#,
            "2026-11-28T08:15:30+00:00|198.18.0.5|site.example|GET|/cv|-|200|Mozilla/5.0 (X11)",
        ),
        (
            r#"${msec} ${remote_addr} "${request}" $status "$http_user_agent""#,
            r#"1795853730.000 198.18.0.5 "GET /cv HTTP/1.1" 200 "Mozilla/5.0 (X11)""#,
        ),
        (
            r#"$remote_addr $time_local $request_method $request_uri $status $http_user_agent"#,
            "198.18.0.5 28/Nov/2026:08:15:30 +0000 GET /cv 200 Mozilla/5.0 (X11)",
        ),
        (
            r#"$http_x_forwarded_for - [$time_local] "$request" $status "$http_user_agent""#,
            r#"198.18.0.5, 10.0.0.1 - [28/Nov/2026:08:15:30 +0000] "GET /cv HTTP/1.1" 200 "Mozilla/5.0 (X11)""#,
        ),
    ] {
        let record = read(format, line).unwrap_or_else(|mistake| panic!("{format}: {mistake}"));
        assert_eq!(record.client.to_string(), "198.18.0.5", "{format}");
        assert_eq!(record.time.to_string(), "2026-11-28T08:15:30.000Z", "{format}");
        assert_eq!((&*record.method, &*record.target, record.status), ("GET", "/cv", 200), "{format}");
        assert_eq!(record.agent, Agent::Sent(agent.into()), "{format}");
    }
}

#[test]
fn formats_of_apache() {
    let line = r#"site.example:443 client.example - - [28/Nov/2026:08:15:30 +0000] "GET /cv HTTP/1.1" 200 512 "https://a.example/" "Mozilla/5.0""#;
    let format = r#"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""#;
    let record = read(format, line).unwrap();
    assert_eq!(record.host.as_deref(), Some("site.example"));
    assert_eq!(record.referrer.as_deref(), Some("https://a.example/"));
    assert!(matches!(record.client, std::net::IpAddr::V6(v6) if v6.is_unique_local()), "%h may be a name");
    assert_eq!(
        read(&format.replace("%h", "%a"), line).unwrap_err().to_string(),
        "column 18: expected a client address, found a host name"
    );

    let record = read(
        "%{%Y-%m-%d %H:%M:%S}t %a %m %U %q %400,501{User-agent}i",
        "2026-11-28 08:15:30 198.18.0.5 GET /cv ?theme=a x",
    )
    .unwrap();
    assert_eq!((record.time.seconds(), &*record.target), (1_795_853_730, "/cv?theme=a"));
}

#[test]
fn known_formats() {
    for (formats, line) in [
        (
            PROXY_MANAGER,
            r#"[28/Nov/2026:08:15:30 +0000] - 200 200 - GET https site.example "/cv" [Client 198.18.0.5] [Length 512] [Gzip -] [Sent-to 10.0.0.1] "Mozilla/5.0" "https://a.example/""#,
        ),
        (
            PROXY_MANAGER,
            r#"[28/Nov/2026:08:15:30 +0000] 200 - GET https site.example "/cv" [Client 198.18.0.5] [Length 512] [Gzip -] "Mozilla/5.0" "https://a.example/""#,
        ),
        (
            LOAD_BALANCER,
            r#"h2 2026-11-28T08:15:30.000000Z app/lb/1 198.18.0.5:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET https://site.example:443/cv HTTP/2.0" "Mozilla/5.0" ECDHE TLSv1.2 arn:x "Root=1" "site.example" "arn""#,
        ),
        (
            LOAD_BALANCER,
            r#"2026-11-28T08:15:30.000000Z my-lb 198.18.0.5:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 0 29 "GET http://site.example:80/cv HTTP/1.1" "Mozilla/5.0" - -"#,
        ),
    ] {
        let record = formats.iter().find_map(|format| read(format, line).ok()).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(
            (record.client.to_string().as_str(), record.host.as_deref()),
            ("198.18.0.5", Some("site.example")),
            "{line}"
        );
        assert_eq!(
            (record.time.seconds(), &*record.method, &*record.target, record.status),
            (1_795_853_730, "GET", "/cv", 200),
            "{line}"
        );
        assert_eq!(record.agent, Agent::Sent("Mozilla/5.0".into()), "{line}");
    }
}

#[test]
fn mistakes_in_formats_are_named() {
    for (format, told) in [
        ("$remote_addr $", "column 14: expected the name of a field behind $ or %"),
        ("$remote_addr$status", "column 13: two fields need something between them"),
        ("$time_local $request", "it has no client address, as in "),
        ("%a %r", "it has no time, as in "),
        ("%a %t", "it has no request, as in "),
        ("combined", "it has no client address, as in "),
    ] {
        let mistake = Template::parse(format).unwrap_err().to_string();
        assert!(mistake.starts_with(told), "{format}: {mistake}");
    }
}

#[test]
fn mistakes_in_lines_say_where() {
    for (line, told) in [
        (
            r#"site.example - - [28/Nov/2026:08:15:30 +0000] "GET / HTTP/1.1" 200 1 "-" "x""#,
            "column 1: expected a client address, found a host name",
        ),
        (r#"::1 - - 28/Nov/2026:08:15:30"#, "column 7: expected what --log-format has there, found -"),
        (
            r#"::1 - - [28/Foo/2026:08:15:30 +0000] "GET / HTTP/1.1" 200 1 "-" "x""#,
            "column 10: expected a time like [17/May/2015:10:05:03 +0000], found a number",
        ),
        (
            r#"::1 - - [28/Nov/2026:08:15:30 +0000] "GET / HTTP/1.1" 200 1 "-" "x"#,
            "column 66: expected a user agent in quotes, found a word",
        ),
    ] {
        assert_eq!(read(NGINX, line).unwrap_err().to_string(), told, "{line}");
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(format in "([$%{}\"a-z\\\\ ^é]|\\$remote_addr |\\$time_local |\\$request ){0,12}", line in "\\PC{0,60}") {
        for format in [&*format, NGINX] {
            if let Ok(template) = Template::parse(format) {
                let _ = template.read(line.as_bytes()).map(|fields| fields.record(&[]));
            }
        }
    }
}
