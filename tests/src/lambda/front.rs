//! What stands before a function, and how each kind hands over a request.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::SOURCE_ADDRESS;
use crate::binary;
use crate::http::Request;

/// A kind of front.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// An API Gateway HTTP API.
    HttpApi,
    /// The same, with a named stage.
    HttpApiStage,
    /// A function URL.
    FunctionUrl,
    /// An API Gateway REST API.
    RestApi,
    /// An Application Load Balancer.
    LoadBalancer,
    /// The same, with multi-value headers.
    LoadBalancerMulti,
}

impl Front {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::HttpApi,
        Self::HttpApiStage,
        Self::FunctionUrl,
        Self::RestApi,
        Self::LoadBalancer,
        Self::LoadBalancerMulti,
    ];

    const fn file(self) -> &'static str {
        match self {
            Self::HttpApi => "http-api.json",
            Self::HttpApiStage => "http-api-stage.json",
            Self::FunctionUrl => "function-url.json",
            Self::RestApi => "rest-api.json",
            Self::LoadBalancer => "load-balancer.json",
            Self::LoadBalancerMulti => "load-balancer-multi.json",
        }
    }

    /// What the function is invoked with when this request comes from [`SOURCE_ADDRESS`].
    #[must_use]
    pub fn event(self, request: &Request) -> Value {
        let mut event = sample(self.file());
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        match self {
            Self::HttpApi | Self::HttpApiStage | Self::FunctionUrl => {
                let stage = if self == Self::HttpApiStage { "/prod" } else { "" };
                event["rawPath"] = json!(format!("{stage}{path}"));
                event["rawQueryString"] = json!(query);
                event["requestContext"]["http"]["method"] = json!(request.method);
                event["requestContext"]["http"]["path"] = json!(format!("{stage}{path}"));
                let mut headers = joined(request);
                // Without cookies there is no such field.
                if let Some(cookies) = headers.remove("cookie") {
                    event["cookies"] = cookies.split("; ").collect();
                }
                event["headers"] = json!(headers);
                if let Some(body) = &request.body {
                    put_body(&mut event, body);
                }
            }
            Self::RestApi => {
                event["path"] = json!(path);
                event["requestContext"]["path"] = json!(format!("/prod{path}"));
                event["httpMethod"] = json!(request.method);
                event["requestContext"]["httpMethod"] = json!(request.method);
                event["headers"] = json!(joined(request));
                event["multiValueHeaders"] = json!(listed(request));
                if !query.is_empty() {
                    let parameters = parameters(query, true);
                    event["queryStringParameters"] = last_of_each(&parameters);
                    event["multiValueQueryStringParameters"] = json!(parameters);
                }
                if let Some(body) = &request.body {
                    put_body(&mut event, body);
                }
            }
            Self::LoadBalancer | Self::LoadBalancerMulti => {
                event["path"] = json!(path);
                event["httpMethod"] = json!(request.method);
                let seen = with_address_seen(request);
                // Load balancers hand over queries as they came.
                let parameters = parameters(query, false);
                if self == Self::LoadBalancer {
                    event["headers"] = json!(joined(&seen));
                    event["queryStringParameters"] = last_of_each(&parameters);
                } else {
                    event["multiValueHeaders"] = json!(listed(&seen));
                    event["multiValueQueryStringParameters"] = json!(parameters);
                }
                put_body(&mut event, request.body.as_deref().unwrap_or_default());
            }
        }
        event
    }

    /// The same, the body in base64, as the platform has it for what it does not take for text.
    #[must_use]
    pub fn event_in_base64(self, request: &Request) -> Value {
        let mut event = self.event(request);
        event["body"] = json!(base64(request.body.as_deref().unwrap_or_default()));
        event["isBase64Encoded"] = json!(true);
        event
    }
}

/// A payload from `tests/events`.
#[must_use]
pub fn sample(file: &str) -> Value {
    let path = binary::workspace().join("tests/events").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn put_body(event: &mut Value, body: &[u8]) {
    match std::str::from_utf8(body) {
        Ok(text) => event["body"] = json!(text),
        Err(_) => {
            event["body"] = json!(base64(body));
            event["isBase64Encoded"] = json!(true);
        }
    }
}

/// One value a name: what comes more than once is joined.
fn joined(request: &Request) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::<String, String>::new();
    for (name, value) in &request.headers {
        let joined = headers.entry(name.clone()).or_default();
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(value);
    }
    headers
}

fn listed(request: &Request) -> BTreeMap<String, Vec<String>> {
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in &request.headers {
        headers.entry(name.clone()).or_default().push(value.clone());
    }
    headers
}

/// The request with the address that the load balancer saw behind all others.
fn with_address_seen(request: &Request) -> Request {
    let mut request = request.clone();
    let before = request.headers.iter().position(|(name, _)| name == "x-forwarded-for");
    match before {
        Some(at) => {
            let told = &mut request.headers[at].1;
            *told = format!("{told}, {SOURCE_ADDRESS}");
        }
        None => request.headers.push(("x-forwarded-for".to_owned(), SOURCE_ADDRESS.to_owned())),
    }
    request
}

fn parameters(query: &str, decode: bool) -> BTreeMap<String, Vec<String>> {
    let mut parameters = BTreeMap::<String, Vec<String>>::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |text: &str| if decode { decoded(text) } else { text.to_owned() };
        parameters.entry(text(name)).or_default().push(text(value));
    }
    parameters
}

fn last_of_each(parameters: &BTreeMap<String, Vec<String>>) -> Value {
    let last = parameters.iter().map(|(name, values)| (name.clone(), json!(values.last())));
    Value::Object(last.collect::<Map<_, _>>())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// RFC 4648, section 4.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = u32::from(chunk[0]) << 16
            | u32::from(chunk.get(1).copied().unwrap_or(0)) << 8
            | u32::from(chunk.get(2).copied().unwrap_or(0));
        for digit in 0..4_usize {
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{get, request};

    #[test]
    fn base64_of_the_standard() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn fields_are_where_the_kinds_have_them() {
        let question = get("/x?a=1&a=2&b=c%20d").header("cookie", "p=q; r=s").header("x-forwarded-for", "203.0.113.9");
        let event = Front::HttpApiStage.event(&question);
        assert_eq!((&event["rawPath"], &event["cookies"]), (&json!("/prod/x"), &json!(["p=q", "r=s"])));
        assert!(event.get("body").is_none() && event["headers"].get("cookie").is_none());
        assert!(Front::HttpApi.event(&get("/x")).get("cookies").is_none());
        let event = Front::RestApi.event(&question);
        assert_eq!(event["multiValueQueryStringParameters"], json!({"a": ["1", "2"], "b": ["c d"]}));
        assert_eq!(event["queryStringParameters"], json!({"a": "2", "b": "c d"}));
        let event = Front::LoadBalancer.event(&question);
        assert_eq!(event["headers"]["x-forwarded-for"], format!("203.0.113.9, {SOURCE_ADDRESS}"));
        assert_eq!(event["queryStringParameters"]["b"], "c%20d");
        let event = Front::HttpApi.event(&request("POST", "/x").body([0xff]));
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("/w=="), &json!(true)));
    }
}
