//! Lines of JSON: Caddy's, Traefik's, and what nginx and others are set up to write. Fields are
//! found by their names, at any depth.

use std::borrow::Cow;

use common::json::mend;
use serde_json::Value;

use super::fields::{Fields, role};
use super::format::Format;
use super::record::{Expected, Malformed};

/// How many levels of objects fields are looked for in.
const DEEPEST: usize = 6;

/// Parses a line.
///
/// # Errors
/// When it is no JSON object.
pub(super) fn parse(line: &[u8]) -> Result<Value, Malformed> {
    let text = mend(line);
    let parsed = serde_json::from_slice(&text).or_else(|error| {
        // nginx without `escape=json` writes `\x22`.
        let text = String::from_utf8_lossy(&text);
        if text.contains("\\x") { serde_json::from_str(&text.replace("\\x", "\\u00")) } else { Err(error) }
    });
    match parsed {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Malformed::at(line, 0, Expected::Json)),
        Err(error) if error.is_eof() => Err(Malformed::at(line, line.len(), Expected::Json)),
        Err(error) => Err(Malformed::at(line, error.column().saturating_sub(1), Expected::Json)),
    }
}

/// Finds the fields of a parsed line.
pub(super) fn read<'a>(line: &'a [u8], value: &'a Value) -> (Fields<'a>, Format) {
    let mut fields = Fields::new(line);
    let request = value.get("request");
    // A client that sends no user agent leaves none in the headers either.
    let has_headers = request.is_some_and(|request| request.get("headers").is_some());
    fields.tells_agents =
        has_headers || value.as_object().is_some_and(|fields| fields.keys().any(|name| name.starts_with("request_")));
    collect(&mut fields, "", value, DEEPEST);
    let format = if has_headers {
        Format::Caddy
    } else if value.get("DownstreamStatus").is_some() {
        Format::Traefik
    } else {
        Format::Json
    };
    (fields, format)
}

fn collect<'a>(fields: &mut Fields<'a>, parent: &str, value: &'a Value, levels: usize) {
    let Some(members) = value.as_object().filter(|_| levels > 0) else { return };
    for (name, value) in members {
        let known = || role(name).or_else(|| role(&format!("{parent}{name}")));
        let text: Cow<'a, str> = match value {
            Value::Object(_) if name == "resp_headers" => continue,
            Value::Object(_) => {
                collect(fields, name, value, levels - 1);
                continue;
            }
            // Headers are lists in Caddy's log.
            Value::Array(values) => match values.first() {
                Some(Value::String(text)) => text.into(),
                _ => continue,
            },
            Value::String(text) => text.into(),
            Value::Number(number) => number.to_string().into(),
            Value::Null => "".into(),
            Value::Bool(_) => continue,
        };
        if let Some(known) = known() {
            let at = position(fields.line(), name);
            fields.set(known, text, at);
        }
    }
}

/// Where the value of a name stands, for messages.
fn position(line: &[u8], name: &str) -> usize {
    let quoted = format!("\"{name}\"");
    let Some(at) = line.windows(quoted.len()).position(|part| part == quoted.as_bytes()) else { return 0 };
    let value = at + quoted.len();
    value + line[value..].iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == b':').count()
}

#[cfg(test)]
mod tests {
    use super::super::record::{Agent, Record};
    use super::*;

    fn read_line(line: &str) -> Result<(Record, Format), Malformed> {
        let value = parse(line.as_bytes())?;
        let (fields, format) = read(line.as_bytes(), &value);
        Ok((fields.record(&[])?, format))
    }

    #[test]
    fn caddy() {
        let line = r#"{"level":"info","ts":1795853730.638059,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"203.0.113.7","remote_port":"1234","client_ip":"198.18.0.5","proto":"HTTP/2.0","method":"GET","host":"Site.example:8443","uri":"/cv?theme=a","headers":{"User-Agent":["Mozilla/5.0 (X11)"],"Referer":["https://search.example/"]},"tls":{"server_name":"other.example"}},"duration":0.0015,"size":3436,"status":200,"resp_headers":{"Server":["Caddy"],"Host":["x"]}}"#;
        let (record, format) = read_line(line).unwrap();
        assert_eq!(format, Format::Caddy);
        assert_eq!(record.client.to_string(), "198.18.0.5");
        assert_eq!(record.time.to_string(), "2026-11-28T08:15:30.638Z");
        assert_eq!((&*record.method, &*record.target, record.status), ("GET", "/cv?theme=a", 200));
        assert_eq!(record.host.as_deref(), Some("site.example"));
        assert_eq!(record.agent, Agent::Sent("Mozilla/5.0 (X11)".into()));
        assert_eq!(record.referrer.as_deref(), Some("https://search.example/"));
        let without = line.replace(r#""User-Agent":["Mozilla/5.0 (X11)"],"#, "");
        assert_eq!(read_line(&without).unwrap().0.agent, Agent::Missing);
        let old = line
            .replace(r#""client_ip":"198.18.0.5","#, "")
            .replace(r#""remote_ip":"203.0.113.7""#, r#""remote_addr":"198.18.0.9:51008""#);
        assert_eq!(read_line(&old).unwrap().0.client.to_string(), "198.18.0.9");
    }

    #[test]
    fn traefik() {
        let line = r#"{"ClientAddr":"198.18.0.5:51008","ClientHost":"198.18.0.5","DownstreamStatus":200,"Duration":1500,"OriginStatus":200,"RequestAddr":"site.example","RequestHost":"site.example","RequestMethod":"GET","RequestPath":"/cv?theme=a","RequestProtocol":"HTTP/2.0","ServiceURL":"http://10.0.0.2:80","StartLocal":"2026-11-28T09:15:30.1+01:00","StartUTC":"2026-11-28T08:15:30.1Z","level":"info","msg":"","request_User-Agent":"Mozilla/5.0 (X11)","time":"2026-11-28T08:15:31Z"}"#;
        let (record, format) = read_line(line).unwrap();
        assert_eq!(format, Format::Traefik);
        assert_eq!(
            (&*record.target, record.status, record.time.to_string().as_str()),
            ("/cv?theme=a", 200, "2026-11-28T08:15:30.100Z")
        );
        assert_eq!(record.agent, Agent::Sent("Mozilla/5.0 (X11)".into()));
        let without = line.replace(r#""request_User-Agent":"Mozilla/5.0 (X11)","#, "");
        assert_eq!(read_line(&without).unwrap().0.agent, Agent::Unknown, "by default headers are not logged");
    }

    #[test]
    fn nginx_and_others() {
        let nginx = r#"{"time":"2026-11-28T08:15:30+00:00","remote_addr":"198.18.0.5","request":"GET /cv?q=\x22 HTTP/1.1","status":"200","body_bytes_sent":"512","http_referrer":"","http_user_agent":""}"#;
        let (record, format) = read_line(nginx).unwrap();
        assert_eq!((format, &*record.target, record.agent), (Format::Json, "/cv?q=\"", Agent::Missing));
        let ecs = r#"{"@timestamp":"2026-11-28T08:15:30Z","http":{"request":{"method":"GET","referrer":"https://a.example/"},"response":{"status_code":200}},"url":{"path":"/cv"},"source":{"ip":"198.18.0.5"},"user_agent":{"original":"Mozilla/5.0"}}"#;
        let (record, _) = read_line(ecs).unwrap();
        assert_eq!((&*record.target, record.agent), ("/cv", Agent::Sent("Mozilla/5.0".into())));
        assert_eq!(record.referrer.as_deref(), Some("https://a.example/"));
    }

    #[test]
    fn mistakes_say_where() {
        let told = |line| read_line(line).unwrap_err().to_string();
        assert_eq!(told(r#"{"a":1"#), "column 7: expected a JSON object, found the end of the line");
        assert_eq!(
            told(r#"{"remote_addr":"site.example","time":"x"}"#),
            "column 16: expected a client address, found \""
        );
        assert_eq!(told(r#"{"msg":"serving"}"#), "column 1: expected a client address, found no such field");
    }
}
