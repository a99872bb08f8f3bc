//! What Redis's projection is built from: the figures of a site as of one position.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Client;
use tokio_postgres::error::Error;
use uuid::Uuid;

use super::connection::Connections;
use super::rows::{COLUMNS, committed};
use super::totals;
use super::values::count;
use crate::cv;
use crate::period::{Period, PeriodKey};
use crate::site::Site;
use crate::store::{Result, Totals};
use crate::time::{Day, HOUR, Timestamp};
use crate::visitor::VisitorId;

/// Rows that are read at a time.
const CHUNK: i32 = 10_000;
/// How long the reading of one chunk may take.
const SESSION: &str = "set statement_timeout = '60s'; set idle_in_transaction_session_timeout = '60s'";

/// The right to rebuild a site's projection: one process's at a time. It is released with its
/// connection, which nothing else uses.
#[derive(Debug)]
pub(super) struct RebuildLock {
    _connection: Client,
}

impl RebuildLock {
    /// `None` when another process has it.
    pub(super) async fn acquire(connections: &Connections, store: &str, site: &Site) -> Result<Option<Self>> {
        let connection = connections.own().await?;
        let name = format!("maicivy-analytics/rebuild/{store}/{site}");
        let row = connection.query_one("select pg_try_advisory_lock(hashtextextended($1, 0))", &[&name]).await?;
        Ok(row.try_get::<_, bool>(0)?.then_some(Self { _connection: connection }))
    }
}

/// A site as of one position, in a repeatable-read transaction that ends with it.
#[derive(Debug)]
pub(super) struct Snapshot {
    connection: Client,
    site: Site,
    id: i32,
    /// The position.
    pub(super) position: u64,
    /// The event that stands there, if it is kept.
    pub(super) last: Option<Uuid>,
    visitors_open: bool,
}

impl Snapshot {
    pub(super) async fn begin(connections: &Connections, site: &Site) -> Result<Self> {
        let connection = connections.own().await?;
        connection.batch_execute(SESSION).await?;
        connection.batch_execute("begin isolation level repeatable read read only").await?;
        let find = "select id, position from analytics_sites where name = $1";
        let (id, position) = match connection.query_opt(find, &[&site.as_str()]).await? {
            Some(row) => (row.try_get(0)?, row.try_get(1)?),
            // Ids begin with 1: this site has nothing.
            None => (0, 0_i64),
        };
        let last = "select id from analytics_events where site = $1 and position = $2";
        let last = connection.query_opt(last, &[&id, &position]).await?;
        let last = last.map(|row| row.try_get(0)).transpose()?;
        Ok(Self { connection, site: site.clone(), id, position: count(position), last, visitors_open: false })
    }

    /// All totals.
    pub(super) async fn totals(&self) -> Result<BTreeMap<PeriodKey, Totals>> {
        let sql = format!("select bucket, {} from analytics_totals where site = $1", totals::COLUMNS);
        let mut all = BTreeMap::new();
        for row in self.connection.query(&sql, &[&self.id]).await? {
            if let Some(key) = PeriodKey::from_bucket(row.try_get(0)?) {
                all.insert(key, totals::read(&row, 1)?);
            }
        }
        Ok(all)
    }

    /// The next visitors, each with a period in which they came; none after the last.
    pub(super) async fn next_visitors(&mut self) -> Result<HashMap<PeriodKey, Vec<VisitorId>>> {
        if !std::mem::replace(&mut self.visitors_open, true) {
            let declare = format!(
                "declare visitors no scroll cursor for
                 select month, visitor, days from analytics_visitors where site = {}",
                self.id
            );
            self.connection.batch_execute(&declare).await?;
        }
        let mut found = HashMap::<PeriodKey, Vec<VisitorId>>::new();
        for row in self.connection.query_typed(&format!("fetch {CHUNK} from visitors"), &[]).await? {
            let (month, visitor, days): (Day, Uuid, i32) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let days = (0..31).filter(|bit| days >> bit & 1 == 1).map(|bit| month.plus(bit));
            for key in days.flat_map(|day| Period::ALL.map(|period| PeriodKey::of(period, day))) {
                let visitors = found.entry(key).or_default();
                if visitors.last() != Some(&visitor.into()) {
                    visitors.push(visitor.into());
                }
            }
        }
        Ok(found)
    }

    /// How often each theme was viewed on a day.
    pub(super) async fn themes(&self, day: Day) -> Result<HashMap<String, u64>> {
        // Most events have none, and need not be read.
        let declare = format!(
            "declare themes no scroll cursor for select {COLUMNS} from analytics_events
             where site = {} and created_at >= '{}' and created_at < '{}'
               and event_type in ('page_view', 'cv_theme_change') and (data like '%\"theme\"%' or page_url like '%?%')",
            self.id,
            day.start(),
            day.plus(1).start()
        );
        self.connection.batch_execute(&declare).await?;
        let mut themes = HashMap::new();
        loop {
            let rows = self.connection.query_typed(&format!("fetch {CHUNK} from themes"), &[]).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                if let Some(theme) = cv::theme(&committed(&self.site, row)?.event) {
                    *themes.entry(theme).or_default() += 1;
                }
            }
        }
        self.connection.batch_execute("close themes").await?;
        Ok(themes)
    }

    /// Who had events in the hour before `now`, or after it, and when the latest was.
    pub(super) async fn presence(&self, now: Timestamp) -> Result<Vec<(VisitorId, Timestamp)>> {
        let sql = "select visitor, max(created_at) from analytics_events
            where site = $1 and created_at > $2 group by visitor";
        let rows = self.connection.query(sql, &[&self.id, &now.plus(-HOUR)]).await?;
        let seen = rows.iter().map(|row| Ok((row.try_get::<_, Uuid>(0)?.into(), row.try_get(1)?)));
        Ok(seen.collect::<Result<_, Error>>()?)
    }
}
