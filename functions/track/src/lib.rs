//! Takes events: one, or a batch. The write path reads from here to `common::collect`, to the
//! store's `append`, and back as an answer.

mod body;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use common::App;
use common::collect::{Sender, collect};
use common::event::SentEvent;
use common::http::answers::json;
use common::http::{ApiError, BASE_PATH, Budget, MOST_BYTES_BATCH, MOST_BYTES_EVENT, MOST_EVENTS};
use common::outcome::{Code, Outcome, Refusal};
use common::time::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Ref, Schema, SchemaType};
use utoipa::{OpenApi, ToSchema};

/// How many bytes of an event one token of the rate limit pays for.
const BYTES_OF_TOKEN: usize = 2_048;

/// An event as it is sent. Only `event_type` is required; fields not listed are passed over.
#[derive(Debug, ToSchema)]
#[schema(as = Event)]
#[allow(dead_code, reason = "the schema of the wire; common::event::SentEvent parses it")]
pub struct EventOnTheWire {
    /// `page_view`, `cv_theme_change`, `letter_generate`, `pdf_download`, `button_click`,
    /// `link_click`, `form_submit`, `scroll`, `hover`, or a name of your own.
    #[schema(pattern = "^[a-z][a-z0-9_.:-]{0,49}$", example = "button_click")]
    event_type: String,
    /// At most 8 KiB and 32 levels. Clicks have `x` and `y` in percent of the page, themes
    /// `theme`, letters `letter_type` (`motivation` or `anti_motivation`).
    #[schema(value_type = Option<Object>, example = json!({"button": "cta", "x": 45.2, "y": 20}))]
    event_data: Option<serde_json::Value>,
    /// The page; of its query only `theme`, `ref`, `source` and `utm_*` are kept, and at most 2,048
    /// characters altogether.
    #[schema(example = "/cv?theme=backend")]
    page_url: Option<String>,
    /// The visitor, a UUID; without it one is taken from the header or cookie, or made for the day.
    #[schema(format = Uuid)]
    visitor_id: Option<String>,
    /// Names the event, a UUID: sending it again counts nothing twice.
    #[schema(format = Uuid)]
    event_id: Option<String>,
    /// The site, `default` when none is named.
    #[schema(pattern = "^[a-z0-9.-]{1,63}$")]
    site: Option<String>,
    /// Where the visitor came from; kept like `page_url`.
    referrer: Option<String>,
    /// The event's own time, at most 24 h ago and 5 minutes ahead; now when not said.
    #[schema(format = DateTime)]
    timestamp: Option<String>,
    /// Of a page view that the server has counted by the page's request: the name that the
    /// answer gave it in `Server-Timing`. What names no view, or is no text, is passed over.
    view_id: Option<serde_json::Value>,
    /// How many milliseconds ago it happened, by the sender's own clock: at most 24 h. Stands above
    /// `timestamp`, for senders whose clock may be wrong.
    #[schema(minimum = -300_000, maximum = 86_400_000, example = 1500)]
    age_ms: Option<f64>,
    #[schema(schema_with = context)]
    context: Option<ContextOnTheWire>,
}

/// Anything is taken.
fn context() -> Schema {
    let description = "What surrounds the visitor. What is malformed of it is passed over, and the event is kept.";
    let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
    let known = AnyOfBuilder::new().description(Some(description)).item(Ref::from_schema_name("Context"));
    Schema::AnyOf(known.item(any).build())
}

/// What surrounds a visitor, as a browser knows it. Country, screen class and language are derived
/// from it where the request does not tell them; it is not kept itself.
#[derive(Debug, ToSchema)]
#[schema(as = Context)]
#[allow(dead_code, reason = "the schema of the wire; common::event::SentEvent parses it")]
pub struct ContextOnTheWire {
    /// The browser's time zone, an IANA name.
    #[schema(example = "Europe/Paris")]
    timezone: Option<String>,
    /// The screen's width in CSS pixels.
    #[schema(example = 1440)]
    screen_width: Option<f64>,
    /// The browser's language, a BCP 47 tag.
    #[schema(example = "fr")]
    language: Option<String>,
}

/// What became of one event.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tracked {
    success: bool,
    message: &'static str,
    data: TrackedData,
}

/// The event's id, where it has one, and its outcome.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrackedData {
    /// Names the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Uuid)]
    id: Option<String>,
    /// `stored`, `duplicate` or `filtered`.
    outcome: &'static str,
    /// Why it was filtered: `bot`, `opt_out`, `origin` or `ignored`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch {
    success: bool,
    data: BatchData,
}

/// How many events had which outcome.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct BatchData {
    /// Durable and counted.
    stored: u32,
    /// Stored before; not counted again.
    duplicate: u32,
    /// Left out on purpose.
    filtered: u32,
    /// The sender's mistakes.
    rejected: Vec<RejectedEvent>,
}

/// One bad event of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct RejectedEvent {
    /// Its place in the batch, from 0.
    index: usize,
    /// The error code.
    code: &'static str,
    /// What is wrong and what is allowed.
    error: String,
}

/// `POST /event` and `POST /events`, both a second time below `ANALYTICS_COLLECT_PATH`, and that
/// path itself, which takes one event or a batch: block lists know the word `event`.
pub fn router(app: App) -> Router {
    let collect_path = &app.config.collect_path;
    let router = Router::new().route(collect_path, post(event_or_events));
    [BASE_PATH, collect_path]
        .into_iter()
        .fold(router, |router, base| {
            router.route(&format!("{base}/event"), post(event)).route(&format!("{base}/events"), post(events))
        })
        .with_state(app)
}

/// The documentation of these endpoints.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(event, events), components(schemas(ContextOnTheWire)))]
    struct Api;
    Api::openapi()
}

/// Takes one event. An answer 201 means that it is durable and counted.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/event",
    tag = "events",
    request_body = EventOnTheWire,
    responses(
        (status = 201, description = "Stored", body = Tracked),
        (status = 200, description = "An event with this event_id was stored before", body = Tracked),
        (status = 202, description = "Filtered: a bot, a visitor who asks not to be tracked, an origin that is not allowed, or a network that is ignored", body = Tracked),
        (status = 400, description = "INVALID_JSON, INVALID_EVENT, INVALID_SITE or MISSING_VISITOR"),
        (status = 413, description = "PAYLOAD_TOO_LARGE: more than 64 KiB"),
        (status = 429, description = "RATE_LIMITED; Retry-After says for how long"),
        (status = 503, description = "UNAVAILABLE or STORE_FULL: send it again later with the same event_id"),
    )
)]
async fn event(State(app): State<App>, sender: Sender, request: Request) -> Result<Response, ApiError> {
    let now = app.now();
    let budget = request.extensions().get::<Budget>().cloned();
    let body = body::read(request, MOST_BYTES_EVENT, &app.config).await;
    take_one(&app, sender, budget, body, now).await
}

/// Charges what the events cost beyond the one token that the request has paid: large ones cost more,
/// because they fill the store.
async fn charge(
    app: &App,
    budget: Option<Budget>,
    sizes: impl ExactSizeIterator<Item = usize>,
) -> Result<(), ApiError> {
    let events = sizes.len();
    let tokens = sizes.map(|bytes| bytes.div_ceil(BYTES_OF_TOKEN).max(1)).sum::<usize>();
    match (budget, u32::try_from(tokens.saturating_sub(1))) {
        (Some(Budget(charge)), Ok(more @ 1..)) => charge(more).await.map_err(|retry_after| {
            app.metrics.limit(events);
            ApiError::RateLimited { retry_after }
        }),
        _ => Ok(()),
    }
}

async fn take_one(
    app: &App,
    sender: Sender,
    budget: Option<Budget>,
    body: Result<Bytes, Refusal>,
    now: Timestamp,
) -> Result<Response, ApiError> {
    if let Ok(body) = &body {
        charge(app, budget, [body.len()].into_iter()).await?;
    }
    let sent = body.and_then(|body| parse_one(&body, now));
    let outcome = collect(app, sender, vec![sent], now).await.pop().unwrap_or(Outcome::Failed);
    match outcome {
        Outcome::Stored(id) => {
            Ok(tracked(StatusCode::CREATED, "Event tracked successfully", Some(id.to_string()), "stored", None))
        }
        Outcome::Duplicate(id) => {
            Ok(tracked(StatusCode::OK, "Event was tracked before", Some(id.to_string()), "duplicate", None))
        }
        Outcome::Filtered(filter) => {
            Ok(tracked(StatusCode::ACCEPTED, "Event filtered", None, "filtered", Some(filter.as_str())))
        }
        Outcome::Rejected(refusal) => Err(refusal.into()),
        Outcome::Failed => Err(ApiError::NotStored),
    }
}

fn parse_one(body: &[u8], now: Timestamp) -> Result<SentEvent, Refusal> {
    // Bodies are text when they have been read. Whether one is JSON at all matters only if it is no event.
    let text = str::from_utf8(body).unwrap_or_default();
    SentEvent::parse(text, now).map_err(|refusal| body::parse::<&RawValue>(body).err().unwrap_or(refusal))
}

fn tracked(
    status: StatusCode,
    message: &'static str,
    id: Option<String>,
    outcome: &'static str,
    reason: Option<&'static str>,
) -> Response {
    let data = TrackedData { id, outcome, reason };
    answer(status, &Tracked { success: true, message, data })
}

/// Takes up to 500 events. Good ones are stored whatever the bad ones are.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/events",
    tag = "events",
    request_body = Vec<EventOnTheWire>,
    responses(
        (status = 200, description = "What became of them", body = Batch),
        (status = 400, description = "INVALID_JSON: not an array"),
        (status = 413, description = "PAYLOAD_TOO_LARGE: more than 1 MiB or 500 events"),
        (status = 429, description = "RATE_LIMITED; Retry-After says for how long"),
        (status = 503, description = "UNAVAILABLE or STORE_FULL: send them again later with the same event_ids"),
    )
)]
async fn events(State(app): State<App>, sender: Sender, request: Request) -> Result<Response, ApiError> {
    let now = app.now();
    let budget = request.extensions().get::<Budget>().cloned();
    let body = body::read(request, MOST_BYTES_BATCH, &app.config).await;
    take_batch(&app, sender, budget, body, now).await
}

/// Takes one event, or an array of them.
async fn event_or_events(State(app): State<App>, sender: Sender, request: Request) -> Result<Response, ApiError> {
    let now = app.now();
    let budget = request.extensions().get::<Budget>().cloned();
    let body = body::read(request, MOST_BYTES_BATCH, &app.config).await;
    match &body {
        Ok(one) if !body::is_array(one) => {
            let body = body.and_then(|body| body::limited(body, MOST_BYTES_EVENT));
            take_one(&app, sender, budget, body, now).await
        }
        _ => take_batch(&app, sender, budget, body, now).await,
    }
}

async fn take_batch(
    app: &App,
    sender: Sender,
    budget: Option<Budget>,
    body: Result<Bytes, Refusal>,
    now: Timestamp,
) -> Result<Response, ApiError> {
    let batch = body.as_ref().map_err(Clone::clone).and_then(|body| {
        let batch: Vec<&RawValue> = body::parse(body)?;
        if batch.len() > MOST_EVENTS {
            let many = format!("a batch may have at most {MOST_EVENTS} events, this has {}", batch.len());
            return Err(Refusal::new(Code::PayloadTooLarge, many));
        }
        Ok(batch)
    });
    let batch = match batch {
        Ok(batch) => batch,
        Err(refusal) => {
            // A body that cannot be split into events counts as one rejected event.
            collect(app, sender, vec![Err(refusal.clone())], now).await;
            return Err(refusal.into());
        }
    };
    charge(app, budget, batch.iter().map(|json| json.get().len())).await?;
    let sent = batch.into_iter().map(|json| SentEvent::parse(json.get(), now)).collect();
    let outcomes = collect(app, sender, sent, now).await;
    if outcomes.contains(&Outcome::Failed) {
        return Err(ApiError::NotStored);
    }
    if let Some(Outcome::Rejected(full)) = outcomes.iter().find(|outcome| outcome.is_full()) {
        return Err(full.clone().into());
    }
    let mut data = BatchData::default();
    for (index, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Outcome::Stored(_) => data.stored += 1,
            Outcome::Duplicate(_) => data.duplicate += 1,
            Outcome::Filtered(_) => data.filtered += 1,
            Outcome::Rejected(Refusal { code, message, .. }) => {
                data.rejected.push(RejectedEvent { index, code: code.as_str(), error: message });
            }
            Outcome::Failed => {}
        }
    }
    Ok(answer(StatusCode::OK, &Batch { success: true, data }))
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    // Our own types cannot fail to be JSON.
    json(status, serde_json::to_vec(body).unwrap_or_default().into())
}
