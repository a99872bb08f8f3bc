//! Figures of a period as a file: `GET /export/{visitors|themes|letters}`.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use common::App;
use common::http::{Answer, ApiError, BASE_PATH, Params};
use common::measure::query::{Context, Csv, Query};
use common::measure::question::Number;
use common::outcome::Refusal;
use common::period::{Period, PeriodKey};
use common::site::Site;
use common::store::Totals;
use common::time::{Day, Timestamp};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::{as_csv, wants_csv};

/// The most themes of one file.
const MOST_THEMES: usize = 10_000;

/// Visitors of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct VisitorsRow {
    /// The UTC day.
    pub(crate) date: String,
    /// Distinct visitors.
    pub(crate) unique_visitors: u64,
    /// Visits.
    pub(crate) visits: u64,
    /// Page views.
    pub(crate) page_views: u64,
    /// All events but scroll and hover reports.
    pub(crate) events: u64,
}

/// A theme and how often it was viewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ThemesRow {
    /// Its name.
    pub(crate) theme: String,
    /// Its views.
    pub(crate) views: u64,
}

/// Letters of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LettersRow {
    /// The UTC day.
    #[schema(value_type = String, format = Date, example = "2025-12-08")]
    pub(crate) date: Day,
    /// All letters.
    pub(crate) total: u64,
    /// Letters of motivation.
    pub(crate) motivation: u64,
    /// Letters of the opposite.
    pub(crate) anti_motivation: u64,
}

/// A row of a file: its columns, and what they hold.
trait Row {
    const COLUMNS: &[&str];
    fn write(&self, csv: &mut Csv);
}

fn write(csv: &mut Csv, name: &str, numbers: &[u64]) {
    csv.text(name);
    numbers.iter().for_each(|number| csv.number(Some(Number::count(*number))));
}

impl Row for VisitorsRow {
    const COLUMNS: &[&str] = &["date", "unique_visitors", "visits", "page_views", "events"];

    fn write(&self, csv: &mut Csv) {
        write(csv, &self.date, &[self.unique_visitors, self.visits, self.page_views, self.events]);
    }
}

impl Row for ThemesRow {
    const COLUMNS: &[&str] = &["theme", "views"];

    fn write(&self, csv: &mut Csv) {
        write(csv, &self.theme, &[self.views]);
    }
}

impl Row for LettersRow {
    const COLUMNS: &[&str] = &["date", "total", "motivation", "anti_motivation"];

    fn write(&self, csv: &mut Csv) {
        write(csv, &self.date.to_string(), &[self.total, self.motivation, self.anti_motivation]);
    }
}

/// `GET /export/{visitors|themes|letters}`.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route(&format!("{BASE_PATH}/export/visitors"), get(visitors))
        .route(&format!("{BASE_PATH}/export/themes"), get(themes))
        .route(&format!("{BASE_PATH}/export/letters"), get(letters))
}

/// What a file is to be about.
struct Asked {
    site: Site,
    key: PeriodKey,
    now: Timestamp,
    csv: bool,
}

impl Asked {
    fn parse(app: &App, params: &Params, headers: &HeaderMap) -> Result<Self, Refusal> {
        let now = app.now();
        Ok(Self { site: params.site(app)?, key: params.period_key(now)?, now, csv: wants_csv(params, headers)? })
    }

    /// The first and the last day of the period so far; none of a period that has not begun.
    fn days(&self) -> Option<(Day, Day)> {
        self.key.days_so_far(self.now).last().map(|last| (self.key.first_day(), last))
    }
}

/// Visitors, visits, page views and events by day of a period so far.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/export/visitors",
    tag = "questions",
    params(
        ("period" = Option<Period>, Query, description = "The kind of period, `day` when none is named"),
        ("date" = Option<String>, Query, description = "A day of the period, today when none is named"),
        ("format" = Option<String>, Query, description = "`json` (the default) or `csv`"),
        ("site" = Option<String>, Query, description = "The site, `default` when none is named"),
    ),
    responses(
        (status = 200, description = "A row for each UTC day so far, zeros included", body = Answer<Vec<VisitorsRow>>),
        (status = 400, description = "INVALID_PERIOD, INVALID_DATE, INVALID_QUERY or INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn visitors(State(app): State<App>, params: Params, headers: HeaderMap) -> Result<Response, ApiError> {
    let asked = Asked::parse(&app, &params, &headers)?;
    Ok(present(&visitors_of(&app, &asked).await?, asked.csv))
}

/// Themes of a period by views.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/export/themes",
    tag = "questions",
    params(
        ("period" = Option<Period>, Query, description = "The kind of period, `day` when none is named"),
        ("date" = Option<String>, Query, description = "A day of the period, today when none is named"),
        ("format" = Option<String>, Query, description = "`json` (the default) or `csv`"),
        ("site" = Option<String>, Query, description = "The site, `default` when none is named"),
    ),
    responses(
        (status = 200, description = "A row for each theme, most viewed first", body = Answer<Vec<ThemesRow>>),
        (status = 400, description = "INVALID_PERIOD, INVALID_DATE, INVALID_QUERY or INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn themes(State(app): State<App>, params: Params, headers: HeaderMap) -> Result<Response, ApiError> {
    let asked = Asked::parse(&app, &params, &headers)?;
    Ok(present(&themes_of(&app, &asked).await?, asked.csv))
}

/// Letters by day of a period so far.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/export/letters",
    tag = "questions",
    params(
        ("period" = Option<Period>, Query, description = "The kind of period, `day` when none is named"),
        ("date" = Option<String>, Query, description = "A day of the period, today when none is named"),
        ("format" = Option<String>, Query, description = "`json` (the default) or `csv`"),
        ("site" = Option<String>, Query, description = "The site, `default` when none is named"),
    ),
    responses(
        (status = 200, description = "A row for each UTC day so far, zeros included", body = Answer<Vec<LettersRow>>),
        (status = 400, description = "INVALID_PERIOD, INVALID_DATE, INVALID_QUERY or INVALID_SITE"),
        (status = 503, description = "UNAVAILABLE, with Retry-After"),
    )
)]
pub(crate) async fn letters(State(app): State<App>, params: Params, headers: HeaderMap) -> Result<Response, ApiError> {
    let asked = Asked::parse(&app, &params, &headers)?;
    Ok(present(&letters_of(&app, &asked).await?, asked.csv))
}

fn present<T: Row + Serialize>(rows: &[T], csv: bool) -> Response {
    if !csv {
        return Answer::new(rows).into_response();
    }
    let mut file = Csv::default();
    T::COLUMNS.iter().for_each(|column| file.text(column));
    file.end_line();
    for row in rows {
        row.write(&mut file);
        file.end_line();
    }
    as_csv(file.finish())
}

async fn visitors_of(app: &App, asked: &Asked) -> Result<Vec<VisitorsRow>, ApiError> {
    let Some((first, last)) = asked.days() else { return Ok(Vec::new()) };
    let (site, now) = (&asked.site, asked.now);
    let query = json!({
        "site": site.as_str(), "metrics": ["visitors", "visits", "pageviews", "events"], "timezone": "UTC",
        "dimensions": ["time:day"], "date_range": [first.to_string(), last.to_string()],
    });
    let counts = app.measure.counts(&*app.store, site, now).await?;
    let query = Query::parse(&query, &Context::at(now))?;
    let (results, _) = app.measure.query(&*app.store, &query, &counts, now).await?;
    let row = |day: Day| {
        let date = day.to_string();
        let found = results.results.iter().find(|row| row.dimensions.first() == Some(&date));
        let number = |place: usize| {
            let number = found.and_then(|row| row.metrics.get(place).copied().flatten());
            number.map_or(0, |number| number.scaled().unsigned_abs())
        };
        let [unique_visitors, visits, page_views, events] = [0, 1, 2, 3].map(number);
        VisitorsRow { date, unique_visitors, visits, page_views, events }
    };
    Ok(asked.key.days_so_far(now).map(row).collect())
}

async fn themes_of(app: &App, asked: &Asked) -> Result<Vec<ThemesRow>, ApiError> {
    let days = asked.key.first_day()..asked.key.last_day().plus(1);
    let themes = app.measure.themes(&*app.store, &asked.site, days, MOST_THEMES, asked.now).await?;
    Ok(themes.rows.into_iter().map(|(theme, views)| ThemesRow { theme, views }).collect())
}

async fn letters_of(app: &App, asked: &Asked) -> Result<Vec<LettersRow>, ApiError> {
    let Some((first, last)) = asked.days() else { return Ok(Vec::new()) };
    let daily = app.store.daily(&asked.site, first..last.plus(1)).await?;
    let row = |(date, totals): (Day, Totals)| LettersRow {
        date,
        total: totals.letters,
        motivation: totals.motivation,
        anti_motivation: totals.anti_motivation,
    };
    Ok(daily.into_iter().map(row).collect())
}
