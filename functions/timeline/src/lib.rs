//! What visitors did, newest first.

mod cursor;
mod visitor;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use common::App;
use common::event::{Event, EventData, MAX_CLOCK_SKEW};
use common::http::{Answer, ApiError, BASE_PATH, Params};
use common::outcome::{Code, Refusal};
use common::site::Site;
use common::store::{Store, StoreError, TimelineFrom};
use common::time::{SECOND, Timestamp};
use common::url::Url;
use common::visitor::Pseudonym;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

pub use cursor::Cursor;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Entry {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    pub id: String,
    /// A pseudonym of its visitor: another one for every event where reads are open, one a visitor and day
    /// (UTC) where they need a token.
    pub visitor_id: Pseudonym,
    /// What was done.
    pub event_type: String,
    /// Whatever else the sender said.
    #[schema(value_type = Object)]
    pub event_data: EventData,
    /// The page.
    #[schema(value_type = Option<String>)]
    pub page_url: Option<Url>,
    /// Where the visitor came from.
    #[schema(value_type = Option<String>)]
    pub referrer: Option<Url>,
    /// The event's own time.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What was asked, and how to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
// All functions are described in one document, where a name stands for one schema.
#[schema(as = TimelineMeta)]
pub struct Meta {
    /// The most events of a page.
    pub limit: usize,
    /// How many newer events were passed over; 0 with a cursor.
    pub offset: u32,
    /// How many events follow.
    pub count: usize,
    /// Where the next page starts; null when this is the last. A page of one visitor may have fewer events
    /// than its limit, or none, and still a next one.
    pub next_cursor: Option<String>,
}

/// `GET /timeline`.
pub fn router(app: App) -> Router {
    Router::new().route(&format!("{BASE_PATH}/timeline"), get(timeline)).with_state(app)
}

/// The documentation of this endpoint.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(timeline))]
    struct Api;
    Api::openapi()
}

/// Events, newest first. Pages by cursor neither skip nor repeat while events arrive.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/timeline",
    tag = "questions",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "How many, 50 when not said"),
        ("offset" = Option<u32>, Query, minimum = 0, maximum = 10000, description = "How many newer ones to pass over"),
        ("visitor" = Option<String>, Query, description = "A `visitor_id` of today, where reads need a token: only this visitor's events of today (UTC); not together with an offset"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before; not together with an offset"),
        ("site" = Option<String>, Query, description = "The site, `default` when none is named"),
    ),
    responses(
        (status = 200, description = "Events", body = Answer<Vec<Entry>, Meta>),
        (status = 400, description = "INVALID_LIMIT, INVALID_OFFSET, INVALID_CURSOR, INVALID_VISITOR or INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
async fn timeline(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let now = app.now();
    let site = params.site(&app)?;
    let limit = params.number("limit", 1..=100, 50_usize, Code::InvalidLimit)?;
    let offset = params.number("offset", 0..=10_000_u32, 0, Code::InvalidOffset)?;
    let from = match params.get("cursor") {
        // What lies further ahead than senders' clocks may is an old log moved to today: it waits
        // until its time comes. To the second, so that answers can be kept.
        None => {
            let until = Timestamp::from_millis((now.seconds() + 1) * SECOND - 1).plus(MAX_CLOCK_SKEW);
            TimelineFrom::Newest { until, offset }
        }
        Some(_) if offset > 0 => {
            return Err(Refusal::new(Code::InvalidOffset, "offset must be 0 or absent where there is a cursor").into());
        }
        Some(text) => {
            let Cursor(at, id) = Cursor::parse(text).ok_or_else(|| {
                Refusal::new(Code::InvalidCursor, "cursor must be a next_cursor that an earlier page gave")
            })?;
            TimelineFrom::Below(at, id)
        }
    };
    let of = params.pseudonyms();
    let visitor = params.get("visitor").map(|text| visitor::parse(text, of, offset)).transpose()?;
    app.answer(format!("timeline/{site}/{from:?}/{limit}/{of:?}/{visitor:?}"), async {
        let pseudonyms = app.identity.pseudonyms(of, now).await?;
        let (events, next) = match visitor {
            None => page(&*app.store, &site, from, limit).await?,
            Some(visitor) => {
                let wanted = |event: &Event| pseudonyms.of(event) == visitor;
                visitor::page(&*app.store, &site, from, limit, now.day(), wanted).await?
            }
        };
        let next_cursor = next.map(|next| next.to_string());
        let entries = events.into_iter().map(|event| Entry {
            id: event.id.to_string(),
            visitor_id: pseudonyms.of(&event),
            event_type: event.event_type.name().to_owned(),
            event_data: event.data,
            page_url: event.page_url,
            referrer: event.referrer,
            created_at: event.created_at,
        });
        let entries: Vec<Entry> = entries.collect();
        let meta = Meta { limit, offset, count: entries.len(), next_cursor };
        Ok(Answer::with_meta(entries, meta))
    })
    .await
}

/// A page of everything, and where the next one starts.
async fn page(
    store: &dyn Store,
    site: &Site,
    from: TimelineFrom,
    limit: usize,
) -> Result<(Vec<Event>, Option<Cursor>), StoreError> {
    // One more than asked for tells whether there is a next page.
    let mut events = store.timeline(site, from, limit + 1).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).map(Cursor::behind);
    Ok((events, next))
}
