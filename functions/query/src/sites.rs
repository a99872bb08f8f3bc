//! Which sites there are, and whether anything happens on them.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use common::App;
use common::http::{Answer, ApiError, Params};
use common::outcome::Code;
use common::site::Site;
use common::store::TimelineFrom;
use common::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::outcomes::Outcomes;

/// The days of [`SiteSummary::visitors`].
const DAYS: usize = 7;
const MOST_SITES: usize = 100;
const DEFAULT_LIMIT: usize = 50;
const MOST_OFFSET: usize = 1_000_000;

/// A site at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SiteSummary {
    /// Its name.
    #[schema(value_type = String)]
    pub(crate) site: Site,
    /// The time of its latest event that is kept.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) last_event: Option<Timestamp>,
    /// How many events are kept.
    pub(crate) events: u64,
    /// Distinct visitors of each of the last seven days (UTC), oldest first; the last one is today.
    pub(crate) visitors: Vec<u64>,
    /// What became of the events of a range, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcomes: Option<Outcomes>,
}

/// What there is to say about a list of sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SitesMeta {
    /// How many sites there are on all pages.
    pub(crate) total: usize,
}

/// The sites that the caller may read, by name.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/sites",
    tag = "questions",
    params(
        ("site" = Option<String>, Query, description = "Only this site, also when it has no events yet"),
        ("date_range" = Option<String>, Query, description = "A range as in queries, of which each site also has `outcomes`; an array as JSON"),
        ("limit" = Option<usize>, Query, description = "The most sites, 50 if not said", minimum = 1, maximum = 100),
        ("offset" = Option<usize>, Query, description = "How many sites to pass over", minimum = 0, maximum = 1_000_000),
    ),
    responses(
        (status = 200, description = "Sites by name, with their last event and a week of visitors", body = Answer<Vec<SiteSummary>, SitesMeta>),
        (status = 400, description = "INVALID_SITE, INVALID_DATE, INVALID_LIMIT or INVALID_OFFSET"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn sites(State(app): State<App>, params: Params) -> Result<Response, ApiError> {
    let now = app.now();
    let limit = params.number("limit", 1..=MOST_SITES, DEFAULT_LIMIT, Code::InvalidLimit)?;
    let offset = params.number("offset", 0..=MOST_OFFSET, 0, Code::InvalidOffset)?;
    let one = params.get("site").map(|_| params.site(&app)).transpose()?;
    let range = Outcomes::range(&params);
    let asked = one.as_ref().map(Site::as_str);
    let key = format!("sites/{asked:?}/{limit}/{offset}/{}/{}", now.day(), params.readers());
    let ask = async {
        let named = match one {
            Some(site) => vec![site],
            None => app.store.sites().await?,
        };
        let known: Vec<_> = named.into_iter().filter(|site| params.may_read(&app, site).is_ok()).collect();
        let meta = SitesMeta { total: known.len() };
        let mut summaries = Vec::new();
        for site in known.into_iter().skip(offset).take(limit) {
            let outcomes = match &range {
                Some(range) => Some(Outcomes::of(&app, &site, range, now).await?),
                None => None,
            };
            summaries.push(SiteSummary { outcomes, ..summary(&app, site, now).await? });
        }
        Ok(Answer::with_meta(summaries, meta))
    };
    // Outcomes move without the store's version.
    if range.is_some() { Ok(ask.await?.into_response()) } else { app.answer(key, ask).await }
}

async fn summary(app: &App, site: Site, now: Timestamp) -> Result<SiteSummary, ApiError> {
    let counts = app.measure.counts(&*app.store, &site, now).await?;
    let today = now.day();
    let first = today.plus(1 - i32::try_from(DAYS).unwrap_or_default());
    let week = app.store.daily(&site, first..today.plus(1)).await?;
    let newest = app.store.timeline(&site, TimelineFrom::all(0), 1).await?;
    Ok(SiteSummary {
        last_event: newest.first().map(|event| event.created_at),
        events: counts.values().sum(),
        visitors: week.into_iter().map(|(_, totals)| totals.visitors).collect(),
        outcomes: None,
        site,
    })
}
