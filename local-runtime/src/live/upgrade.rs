//! From a request to a live connection, or to the reason why not.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common::http::{Params, may_follow};
use common::outcome::{Code, Refusal};
use uuid::Uuid;

use super::LARGEST_MESSAGE;
use super::hub::Hub;
use super::session::Session;
use crate::address::AddressKeys;

/// Where clients connect.
const ROUTE: &str = "/ws/analytics";

/// Read at once; messages of clients are short, and the buffer stays with the connection.
const READ_BUFFER: usize = 512;
/// Collected before it is written, so that several events are one write.
const WRITE_BUFFER: usize = 2 * 1024;
/// What may wait for a slow client to read on: the largest event and a few small ones.
const MOST_UNWRITTEN: usize = 64 * 1024;

/// The live feed's route.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    let keys = Arc::new(AddressKeys::default());
    Router::new().route(ROUTE, get(connect)).with_state((hub, keys))
}

/// The live feed
///
/// A WebSocket; the messages are described with the project's live feed. Refused with 503 when
/// there are too many connections, all in all or from one address, and with 401 for browsers
/// on origins that are not allowed.
#[utoipa::path(
    get,
    path = "/ws/analytics",
    tag = "live",
    params(
        ("site" = Option<String>, Query, description = "Which site; `default` when none is named"),
        ("after" = Option<Uuid>, Query, description = "The last event that was received: those stored since come first"),
    ),
    responses(
        (status = 101, description = "Live from here on"),
        (status = 400, description = "`site` or `after` is none, or this is no WebSocket handshake"),
        (status = 401, description = "The origin is not allowed"),
        (status = 503, description = "Too many live connections, or the server is stopping; try again after `Retry-After` seconds"),
    )
)]
pub(crate) async fn connect(
    State((hub, keys)): State<(Arc<Hub>, Arc<AddressKeys>)>,
    request: Request,
) -> Result<Response, Response> {
    let app = hub.app.clone();
    let address = keys.of(&request, &app);
    let (mut parts, _) = request.into_parts();
    let params = Params::of(&parts);
    let site = params.site(&app).map_err(IntoResponse::into_response)?;
    let after = after(&params).map_err(IntoResponse::into_response)?;
    let caller = params.caller().cloned();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let upgrade = upgrade.map_err(IntoResponse::into_response)?;
    if !may_follow(&parts.headers, &app.config.allowed_origins) {
        hub.app.metrics.websocket_rejected_total.inc();
        let refusal = Refusal::new(
            Code::Unauthorized,
            "this origin may not connect; ANALYTICS_ALLOWED_ORIGINS lists those that may",
        );
        return Err(refusal.into_response());
    }
    let unavailable = |why| {
        hub.app.metrics.websocket_rejected_total.inc();
        Refusal::new(Code::Unavailable, why).into_response()
    };
    if hub.stop.is_cancelled() {
        return Err(unavailable("the server is stopping; connect again"));
    }
    let place = hub.admission.admit(Some(address));
    let place = place.ok_or_else(|| unavailable("there are too many live connections; try again later"))?;
    let session = hub.sessions.token();
    Ok(upgrade
        // What is sent beside the token, and the only one that is answered.
        .protocols(["maicivy"])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MOST_UNWRITTEN)
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE)
        .on_upgrade(move |socket| async move {
            let subscription = hub.join(&site, params.pseudonyms()).await;
            Session::new(hub, socket, subscription, caller, place, after).run().await;
            drop(session);
        }))
}

/// The event after which the feed is to begin, if one is named.
fn after(params: &Params) -> Result<Option<Uuid>, Refusal> {
    let parse = |text: &str| {
        text.parse().map_err(|_| Refusal::new(Code::InvalidCursor, "after must be the id of an event, a UUID"))
    };
    params.get("after").map(parse).transpose()
}
