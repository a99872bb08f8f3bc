//! What the platform hands over, and how much of it can be believed: the address, the path and
//! the request's id come from the platform, not from headers, which a client can forge.

use std::net::IpAddr;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{LambdaEvent, Request, RequestExt};

use crate::http::{BASE_PATH, PeerAddress, RequestId, address};

/// Takes out what would make a URL that cannot be parsed, which `lambda_http` answers with a
/// panic: the headers that it builds the URL's origin from, which this code does not read, and
/// characters that no query may have.
pub(super) fn without_traps(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    let headers = match &mut event.payload {
        LambdaRequest::ApiGatewayV2(request) => {
            request.request_context.domain_name = None;
            if let Some(query) = &mut request.raw_query_string {
                *query = queryable(query);
            }
            Some(&mut request.headers)
        }
        LambdaRequest::ApiGatewayV1(request) => {
            request.request_context.domain_name = None;
            Some(&mut request.headers)
        }
        LambdaRequest::Alb(request) => Some(&mut request.headers),
        _ => None,
    };
    if let Some(headers) = headers {
        headers.remove(HOST);
        headers.remove("x-forwarded-proto");
    }
    event
}

/// The query with every byte encoded that a URI does not allow there.
fn queryable(query: &str) -> String {
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x24..=0x3b | 0x3d | 0x3f..=0x7e);
    let mut text = String::with_capacity(query.len());
    for byte in query.bytes() {
        if allowed(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The request with the client's address, its id and its path as the platform knows them.
pub(super) fn from_platform(mut request: Request) -> Request {
    let id = request.lambda_context().request_id;
    request.extensions_mut().insert(RequestId(id));
    let context = request.extensions().get::<RequestContext>().cloned();
    if let Some(address) = context.as_ref().and_then(|context| source_address(context, request.headers())) {
        request.extensions_mut().insert(PeerAddress(address));
    }
    if let Some(uri) = context.and_then(|context| without_stage(request.uri(), &context)) {
        *request.uri_mut() = uri;
    }
    request
}

/// Where the request came from, as the platform saw it. A load balancer has no field for it: it
/// appends the address it saw to `X-Forwarded-For`, with its port if it is configured to preserve
/// that, so the last entry is the platform's, and those before it can be forged.
fn source_address(context: &RequestContext, headers: &HeaderMap) -> Option<IpAddr> {
    match context {
        RequestContext::ApiGatewayV2(context) => address(context.http.source_ip.as_deref()?),
        RequestContext::ApiGatewayV1(context) => address(context.identity.source_ip.as_deref()?),
        RequestContext::Alb(_) => {
            let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
            address(last.rsplit(',').next()?)
        }
        _ => None,
    }
}

/// The URI without the stage that API Gateway's paths begin with, and that `lambda_http` adds
/// where they do not; `None` when the path is a path of ours as it is.
fn without_stage(uri: &Uri, context: &RequestContext) -> Option<Uri> {
    let stage = match context {
        RequestContext::ApiGatewayV2(context) => context.stage.as_deref(),
        RequestContext::ApiGatewayV1(context) => context.stage.as_deref(),
        _ => None,
    }?;
    if uri.path().starts_with(BASE_PATH) {
        return None;
    }
    let path = uri.path().strip_prefix('/')?.strip_prefix(stage).filter(|path| path.starts_with('/'))?;
    let path = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Some(PathAndQuery::try_from(path).ok()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_can_always_be_parsed() {
        let all: String = (0_u8..=0x7f).map(char::from).chain("é☃".chars()).collect();
        let text = format!("/?{}", queryable(&all));
        assert_eq!(text.parse::<Uri>().unwrap().query(), Some(&text[2..]));
        assert_eq!(queryable("a=b%20c&d=é+"), "a=b%20c&d=%C3%A9+");
    }

    #[test]
    fn stages_are_taken_off_once() {
        let mut context = lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext::default();
        for (stage, uri, expected) in [
            ("prod", "/prod/api/v1/analytics/stats?a=b", Some("/api/v1/analytics/stats?a=b")),
            ("prod", "/api/v1/analytics/stats", None),
            ("prod", "/production/api/v1/analytics/stats", None),
            ("api", "/api/v1/analytics/stats", None),
            ("api", "/api/api/v1/analytics/stats", Some("/api/v1/analytics/stats")),
            ("$default", "/api/v1/analytics/stats", None),
            ("prod", "/prod", None),
        ] {
            context.stage = Some(stage.to_owned());
            let found = without_stage(&uri.parse().unwrap(), &RequestContext::ApiGatewayV2(context.clone()));
            assert_eq!(found.map(|uri| uri.to_string()).as_deref(), expected, "{stage} {uri}");
        }
    }

    #[test]
    fn a_load_balancer_speaks_last() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "203.0.113.9, 198.18.0.1".parse().unwrap());
        headers.append("x-forwarded-for", "203.0.113.8, 198.18.0.2".parse().unwrap());
        let context = RequestContext::Alb(lambda_http::aws_lambda_events::alb::AlbTargetGroupRequestContext::default());
        assert_eq!(source_address(&context, &headers), "198.18.0.2".parse().ok());
        assert_eq!(source_address(&context, &HeaderMap::new()), None);
        for (last, expected) in
            [("198.18.0.3:54321", "198.18.0.3"), ("[2001:db8::3]:54321", "2001:db8::3"), ("2001:db8::3", "2001:db8::3")]
        {
            headers.append("x-forwarded-for", last.parse().unwrap());
            assert_eq!(source_address(&context, &headers), expected.parse().ok(), "{last}");
        }
    }
}
