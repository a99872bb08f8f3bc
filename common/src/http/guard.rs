//! The one check of who may do what. Each route needs the scope `read` unless it is named here, so a new
//! one cannot be forgotten.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use futures_util::future::{BoxFuture, Either};
use http::{HeaderMap, HeaderValue, Method, header};
use tower::{Layer, Service};

use super::{ApiError, BASE_PATH, ErrorPage, Ingest, answers};
use crate::App;
use crate::access::{Caller, ReadAuth, Scope, entitlement};
use crate::config::Config;
use crate::measure::plausible::error_body;
use crate::outcome::{Code, Refusal};

/// How a browser names a token where it opens a WebSocket, whose other headers it does not let pages
/// set: `Sec-WebSocket-Protocol: maicivy, bearer.TOKEN`. An address would be in the logs of proxies.
const SUBPROTOCOL: &str = "bearer.";

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: events, probes, the script, and the files of the dashboard, which have no data.
    Nothing,
    /// A scope, of a token that may read the site in question.
    Scope(Scope),
    /// A scope, of a token that may read all sites.
    AllSites(Scope),
}

impl Need {
    /// What a request with this method to the route with this pattern needs.
    #[must_use]
    pub fn of(method: &Method, route: &str, config: &Config) -> Self {
        if Ingest::at(route, &config.collect_path).is_some() || route.strip_prefix('/') == Some(&config.script_name) {
            return Self::Nothing;
        }
        match route {
            "/"
            | "/dashboard"
            | "/assets/maicivy/{file}"
            | "/script.js"
            | "/mcv.js"
            | "/openapi.json"
            | "/health"
            | "/health/live"
            | "/health/startup"
            | "/health/ready" => Self::Nothing,
            "/metrics" => Self::AllSites(Scope::Read),
            _ => match route.strip_prefix(BASE_PATH) {
                Some("/cleanup") => Self::AllSites(Scope::Admin),
                Some("/goals") if method == Method::PUT => Self::Scope(Scope::Admin),
                Some("/shares" | "/shares/{id}" | "/visitor/export" | "/visitor/erase") => Self::Scope(Scope::Admin),
                Some(rest) if rest.starts_with("/export/") => Self::Scope(Scope::Export),
                _ => Self::Scope(Scope::Read),
            },
        }
    }
}

/// The layer that checks requests of all routes. What no route answers, such as a site's own files, is not
/// restricted.
#[derive(Debug, Clone)]
pub struct Guard {
    app: App,
    /// The caller of an open service.
    anyone: Arc<Caller>,
}

impl Guard {
    /// Checks by an app's configuration and store.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self { app: app.clone(), anyone: Arc::new(Caller::anyone()) }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.clone() }
    }
}

/// Routes whose requests are checked.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Some(route) = request.extensions().get::<MatchedPath>().cloned() else {
            return Either::Left(self.inner.call(request));
        };
        let Guard { app, anyone } = &self.guard;
        let (scope, all_sites) = match Need::of(request.method(), route.as_str(), &app.config) {
            Need::Nothing => return Either::Left(self.inner.call(request)),
            Need::Scope(scope) => (scope, false),
            Need::AllSites(scope) => (scope, true),
        };
        if app.config.read_auth == ReadAuth::Open && scope != Scope::Admin {
            request.extensions_mut().insert(Arc::clone(anyone));
            return Either::Left(self.inner.call(request));
        }
        let app = app.clone();
        let unused = self.inner.clone();
        // The one that has said that it is ready.
        let mut inner = std::mem::replace(&mut self.inner, unused);
        let token = bearer(request.headers()).map(str::to_owned);
        Either::Right(Box::pin(async move {
            match admit(&app, token.as_deref(), route.as_str(), scope, all_sites).await {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    inner.call(request).await
                }
                Err(error) => Ok(refused(route.as_str(), error)),
            }
        }))
    }
}

/// Who calls a route with this token, if they may. Handlers know callers from here alone
/// ([`Params`](super::Params)), so a route that stands outside of the check can read no site.
async fn admit(
    app: &App,
    token: Option<&str>,
    route: &str,
    scope: Scope,
    all_sites: bool,
) -> Result<Arc<Caller>, ApiError> {
    let caller = match token {
        Some(token) => app.caller(token).await?,
        None => None,
    };
    let caller = caller.ok_or_else(|| {
        let hint = if app.config.tokens.is_empty() && app.config.jwt.is_none() {
            "; none is configured: set ANALYTICS_TOKENS or ANALYTICS_ADMIN_TOKEN"
        } else {
            ""
        };
        let scope = scope.as_str();
        let message =
            format!("this call needs the header Authorization: Bearer with a token of the scope {scope}{hint}");
        Refusal::new(Code::Unauthorized, message)
    })?;
    if !caller.has(scope) {
        return Err(Refusal::new(Code::Forbidden, format!("the token has not the scope {}", scope.as_str())).into());
    }
    let entitlement = entitlement(route);
    if !caller.is_entitled_to(entitlement) {
        return Err(Refusal::new(Code::Forbidden, format!("the plan has not the entitlement {entitlement}")).into());
    }
    if all_sites && caller.sites().is_some() {
        return Err(Refusal::new(Code::Forbidden, "this call is about all sites, and the token is for some").into());
    }
    Ok(caller)
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    // Other schemes are those of proxies.
    if let Some((_, token)) = authorization.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
        return Some(token);
    }
    let protocols = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut names = protocols.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    names.find_map(|name| name.trim().strip_prefix(SUBPROTOCOL))
}

fn refused(route: &str, error: ApiError) -> Response {
    let ApiError::Refused(refusal) = error else { return error.into_response() };
    let unauthorized = refusal.code == Code::Unauthorized;
    // Plausible's clients expect Plausible's errors.
    let mut answer = if route.starts_with("/api/v1/stats/") || route.starts_with("/api/v2/") {
        let body = error_body(&refusal).to_string();
        let mut answer = answers::json(refusal.code.into(), body.into());
        answer.extensions_mut().insert(ErrorPage);
        answer
    } else {
        refusal.into_response()
    };
    if unauthorized {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_in_the_header_or_in_the_subprotocol_of_a_websocket() {
        let given = |name: &'static str, value: &str| {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(given("authorization", "Bearer abc").as_deref(), Some("abc"));
        assert_eq!(given("authorization", "bearer abc").as_deref(), Some("abc"));
        assert_eq!(given("sec-websocket-protocol", "maicivy, bearer.abc").as_deref(), Some("abc"));
        for (name, value) in [
            ("authorization", "abc"),
            ("authorization", "Basic abc"),
            ("authorization", ""),
            ("sec-websocket-protocol", "maicivy"),
            ("cookie", "bearer.abc"),
        ] {
            assert_eq!(given(name, value), None, "{name}: {value}");
        }
    }

    #[test]
    fn a_route_that_is_not_named_is_closed() {
        let config = Config::from_vars([]).unwrap();
        assert_eq!(Need::of(&Method::GET, "/api/v1/analytics/new", &config), Need::Scope(Scope::Read));
        assert_eq!(Need::of(&Method::GET, "/health/new", &config), Need::Scope(Scope::Read));
        assert_eq!(Need::of(&Method::GET, "/mcv/notes", &config), Need::Nothing);
        assert_eq!(Need::of(&Method::GET, "/api/v1/analytics/export/themes", &config), Need::Scope(Scope::Export));
        assert_eq!(Need::of(&Method::POST, "/api/v1/analytics/cleanup", &config), Need::AllSites(Scope::Admin));
        let goals = |method| Need::of(&method, "/api/v1/analytics/goals", &config);
        assert_eq!([goals(Method::GET), goals(Method::PUT)], [Need::Scope(Scope::Read), Need::Scope(Scope::Admin)]);
    }
}
