//! What events change in the counters and click cells, and which of it counts by its own name.
//!
//! The same code counts events as they arrive and recounts them for `verify` and `rebuild`
//! (in tables of the same shape with another prefix): the order of positions decides which
//! values a full day still takes, so a recount takes the same ones.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use tokio_postgres::error::Error;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::values::{count, to_text};
use crate::tally::{Dimension, MOST_VALUES, OTHER, Tally};
use crate::time::Day;

/// A value of a dimension on a site's day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Value {
    site: i32,
    day: Day,
    dimension: Dimension,
    value: Cow<'static, str>,
}

/// What was clicked on a site's day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Target {
    site: i32,
    day: Day,
    page: String,
    element: String,
}

/// A place on a target in an hour.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Cell {
    target: Target,
    hour: i64,
    x: u8,
    y: u8,
}

/// Where at most [`MOST_VALUES`] names have room: a dimension, or none for click targets.
type Place = (i32, Day, Option<Dimension>);

/// The net change of many events, each thing in the order of its first appearance.
#[derive(Debug, Default)]
pub(super) struct Changes {
    counters: IndexMap<Value, i64, RandomState>,
    clicks: IndexMap<Cell, i64, RandomState>,
}

impl Changes {
    /// Counts one event, which must come after all that were counted before.
    pub(super) fn add(&mut self, site: i32, day: Day, hour: i64, tally: &Tally) {
        for (dimension, value) in tally.counters.iter().flatten() {
            let value = Value { site, day, dimension: *dimension, value: value.clone() };
            *self.counters.entry(value).or_default() += 1;
        }
        if let Some(click) = &tally.click {
            let target = Target { site, day, page: click.page.clone(), element: click.element.clone() };
            *self.clicks.entry(Cell { target, hour, x: click.x, y: click.y }).or_default() += 1;
        }
    }

    fn open_values(&self) -> impl Iterator<Item = &Value> {
        self.counters.keys().filter(|value| value.dimension.is_open())
    }

    /// The names that have to be looked for.
    pub(super) fn names(&self) -> Names<'_> {
        let mut names = Names::default();
        self.open_values().for_each(|value| names.push(value));
        names
    }
}

/// Which days are full, once that is known: it stays so for as long as the day is kept.
#[derive(Debug, Default)]
pub(super) struct Full(HashSet<Place, RandomState>);

/// What the tables already have of the names in some [`Changes`].
#[derive(Debug, Default)]
pub(super) struct Known {
    values: HashSet<Value, RandomState>,
    targets: HashSet<Target, RandomState>,
    sizes: HashMap<Place, usize, RandomState>,
}

impl Known {
    /// Notes the names at these places, which [`find_values`] answers.
    pub(super) fn learn<E>(
        &mut self,
        changes: &Changes,
        places: impl Iterator<Item = Result<i64, E>>,
    ) -> Result<(), E> {
        let open: Vec<&Value> = changes.open_values().collect();
        for place in places {
            self.values.extend(open.get(count(place?) as usize - 1).map(|value| (*value).clone()));
        }
        Ok(())
    }
}

/// Statements on the tables with one prefix, prepared on one connection.
#[derive(Debug)]
pub(super) struct Tables {
    find_values: Statement,
    find_targets: Statement,
    count_values: Statement,
    count_targets: Statement,
    add_counters: Statement,
    add_clicks: Statement,
}

/// Where the first of so many parameters stands: `$3, $4, …` as the parameters of a fragment.
fn parameters<const N: usize>(first: usize) -> [String; N] {
    std::array::from_fn(|at| format!("${}", first + at))
}

/// Finds which open values have a counter, given [`Names::parameters`]; answers their places.
pub(super) fn find_values(prefix: &str, first: usize) -> String {
    let [sites, days, dimensions, values] = parameters(first);
    format!(
        "select q.at from unnest({sites}::int4[], {days}::date[], {dimensions}::int2[], {values}::text[])
             with ordinality as q (site, day, dimension, value, at)
         where exists (select from {prefix}_counters c where c.site = q.site and c.day = q.day
             and c.dimension = q.dimension and c.value = q.value)"
    )
}

/// Adds to counters, given [`Sums::parameters`].
pub(super) fn add_counters(prefix: &str, first: usize) -> String {
    let [sites, days, dimensions, values, ns] = parameters(first);
    format!(
        "insert into {prefix}_counters as c (site, day, dimension, value, n)
         select * from unnest({sites}::int4[], {days}::date[], {dimensions}::int2[], {values}::text[], {ns}::int8[])
         on conflict (site, day, dimension, value) do update set n = c.n + excluded.n"
    )
}

/// A value that a statement is given.
pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// Names of counters, as columns.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    sites: Vec<i32>,
    days: Vec<Day>,
    dimensions: Vec<i16>,
    values: Vec<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    fn push(&mut self, value: &'a Value) {
        self.sites.push(value.site);
        self.days.push(value.day);
        self.dimensions.push(value.dimension as i16);
        self.values.push(to_text(&value.value));
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.sites.is_empty()
    }

    /// For [`find_values`].
    pub(super) fn parameters(&self) -> [Parameter<'_>; 4] {
        [&self.sites, &self.days, &self.dimensions, &self.values]
    }
}

/// What is added to counters, as columns.
#[derive(Debug, Default)]
pub(super) struct Sums<'a> {
    names: Names<'a>,
    ns: Vec<i64>,
}

impl Sums<'_> {
    /// For [`add_counters`].
    pub(super) fn parameters(&self) -> [Parameter<'_>; 5] {
        let [sites, days, dimensions, values] = self.names.parameters();
        [sites, days, dimensions, values, &self.ns]
    }
}

impl Tables {
    /// Prepares all statements, for the tables `{prefix}_counters` and so on.
    pub(super) async fn prepare(client: &Client, prefix: &str) -> Result<Self, Error> {
        let find_values = find_values(prefix, 1);
        let find_targets = format!(
            "select q.at from unnest($1::int4[], $2::date[], $3::uuid[]) with ordinality as q (site, day, name, at)
             where exists (select from {prefix}_click_targets t
                 where t.site = q.site and t.day = q.day and t.name = q.name)"
        );
        let count_values = format!(
            "select (select count(*) from {prefix}_counters c
                 where c.site = q.site and c.day = q.day and c.dimension = q.dimension and c.value <> $4)
             from unnest($1::int4[], $2::date[], $3::int2[]) with ordinality as q (site, day, dimension, at)
             order by at"
        );
        let count_targets = format!(
            "select (select count(*) from {prefix}_click_targets t
                 where t.site = q.site and t.day = q.day and t.name <> $3)
             from unnest($1::int4[], $2::date[]) with ordinality as q (site, day, at) order by at"
        );
        let add_counters = add_counters(prefix, 1);
        let add_clicks = format!(
            "with targets as (
                 insert into {prefix}_click_targets (site, day, name, page, element)
                 select * from unnest($1::int4[], $2::date[], $3::uuid[], $4::text[], $5::text[])
                 on conflict (site, day, name) do nothing
             )
             insert into {prefix}_clicks as c (site, hour, target, x, y, n)
             select * from unnest($6::int4[], $7::int4[], $8::uuid[], $9::int2[], $10::int2[], $11::int8[])
             on conflict (site, hour, target, x, y) do update set n = c.n + excluded.n"
        );
        let (find_values, find_targets, count_values, count_targets, add_counters, add_clicks) = tokio::try_join!(
            client.prepare(&find_values),
            client.prepare(&find_targets),
            client.prepare(&count_values),
            client.prepare(&count_targets),
            client.prepare(&add_counters),
            client.prepare(&add_clicks),
        )?;
        Ok(Self { find_values, find_targets, count_values, count_targets, add_counters, add_clicks })
    }

    /// Looks which names are there: one round trip, or none when there is nothing to look for.
    pub(super) async fn look(&self, client: &Client, changes: &Changes) -> Result<Known, Error> {
        let names = changes.names();
        let values = async {
            if names.is_empty() {
                return Ok(Vec::new());
            }
            client.query(&self.find_values, &names.parameters()).await
        };
        let (values, targets) = tokio::try_join!(values, self.look_for_targets(client, changes))?;
        let mut known = targets;
        known.learn(changes, values.iter().map(|row| row.try_get(0)))?;
        Ok(known)
    }

    /// Looks which click targets are there, and at nothing else.
    pub(super) async fn look_for_targets(&self, client: &Client, changes: &Changes) -> Result<Known, Error> {
        let mut known = Known::default();
        let targets: Vec<&Target> = changes.clicks.keys().map(|cell| &cell.target).collect();
        if targets.is_empty() {
            return Ok(known);
        }
        let sites: Vec<i32> = targets.iter().map(|target| target.site).collect();
        let days: Vec<Day> = targets.iter().map(|target| target.day).collect();
        let names: Vec<Uuid> = targets.iter().map(|target| name_of(&target.page, &target.element)).collect();
        for row in client.query(&self.find_targets, &[&sites, &days, &names]).await? {
            let at = count(row.try_get(0)?) as usize - 1;
            known.targets.extend(targets.get(at).map(|target| (*target).clone()));
        }
        Ok(known)
    }

    /// Counts how many names there are wherever a new one wants in; seldom anywhere.
    pub(super) async fn measure(
        &self,
        client: &Client,
        changes: &Changes,
        known: &mut Known,
        full: &Full,
    ) -> Result<(), Error> {
        let mut places = HashSet::<Place, RandomState>::default();
        for value in changes.open_values().filter(|value| !known.values.contains(*value)) {
            places.insert((value.site, value.day, Some(value.dimension)));
        }
        for cell in changes.clicks.keys().filter(|cell| !known.targets.contains(&cell.target)) {
            places.insert((cell.target.site, cell.target.day, None));
        }
        let (full, places): (Vec<Place>, Vec<Place>) = places.into_iter().partition(|place| full.0.contains(place));
        known.sizes.extend(full.into_iter().map(|place| (place, MOST_VALUES)));
        let (targets, values): (Vec<Place>, Vec<Place>) = places.into_iter().partition(|place| place.2.is_none());
        let split =
            |places: &[Place]| -> (Vec<i32>, Vec<Day>) { places.iter().map(|place| (place.0, place.1)).unzip() };
        let counted_values = async {
            if values.is_empty() {
                return Ok(Vec::new());
            }
            let (sites, days) = split(&values);
            let dimensions: Vec<i16> =
                values.iter().filter_map(|place| place.2).map(|dimension| dimension as i16).collect();
            client.query(&self.count_values, &[&sites, &days, &dimensions, &OTHER]).await
        };
        let counted_targets = async {
            if targets.is_empty() {
                return Ok(Vec::new());
            }
            let (sites, days) = split(&targets);
            client.query(&self.count_targets, &[&sites, &days, &name_of(OTHER, "")]).await
        };
        let (counted_values, counted_targets) = tokio::try_join!(counted_values, counted_targets)?;
        let counted = counted_values.iter().chain(&counted_targets);
        for (place, row) in values.into_iter().chain(targets).zip(counted) {
            known.sizes.insert(place, count(row.try_get(0)?) as usize);
        }
        Ok(())
    }

    /// Adds the changes; all statements go out at once.
    pub(super) async fn add(&self, client: &Client, rows: &Rows) -> Result<(), Error> {
        let sums = rows.sums();
        let counters = async {
            if sums.ns.is_empty() {
                return Ok(0);
            }
            client.execute(&self.add_counters, &sums.parameters()).await
        };
        tokio::try_join!(counters, self.add_clicks(client, rows)).map(drop)
    }

    /// Adds clicks and their targets, if there are any, and nothing else.
    pub(super) async fn add_clicks(&self, client: &Client, rows: &Rows) -> Result<u64, Error> {
        if rows.clicks.is_empty() {
            return Ok(0);
        }
        let (mut sites, mut days, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let (mut pages, mut elements) = (Vec::new(), Vec::new());
        for (name, target) in &rows.targets {
            sites.push(target.site);
            days.push(target.day);
            targets.push(*name);
            pages.push(to_text(&target.page));
            elements.push(to_text(&target.element));
        }
        let (mut of_sites, mut hours, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let (mut xs, mut ys, mut ns) = (Vec::new(), Vec::new(), Vec::new());
        for ((site, hour, name, x, y), n) in &rows.clicks {
            of_sites.push(*site);
            hours.push(i32::try_from(*hour).unwrap_or(i32::MAX));
            names.push(*name);
            xs.push(i16::from(*x));
            ys.push(i16::from(*y));
            ns.push(*n);
        }
        let values: [Parameter<'_>; 11] =
            [&sites, &days, &targets, &pages, &elements, &of_sites, &hours, &names, &xs, &ys, &ns];
        client.execute(&self.add_clicks, &values).await
    }
}

/// What is written: every name has room.
#[derive(Debug, Default)]
pub(super) struct Rows {
    counters: IndexMap<Value, i64, RandomState>,
    /// New ones only.
    targets: Vec<(Uuid, Target)>,
    clicks: IndexMap<(i32, i64, Uuid, u8, u8), i64, RandomState>,
}

impl Rows {
    /// What is added to the counters.
    pub(super) fn sums(&self) -> Sums<'_> {
        let mut sums = Sums::default();
        for (value, n) in &self.counters {
            sums.names.push(value);
            sums.ns.push(*n);
        }
        sums
    }

    /// Decides, in order of first appearance, which names still have room.
    pub(super) fn of(changes: Changes, mut known: Known, full: &mut Full) -> Self {
        let mut rows = Self::default();
        let mut fits = |place: Place, full: &mut Full| {
            // More than a thousand full days is somebody trying.
            if full.0.len() > 1_000 {
                full.0.clear();
            }
            let size = known.sizes.entry(place).or_insert(0);
            if *size < MOST_VALUES {
                *size += 1;
                return true;
            }
            full.0.insert(place);
            false
        };
        for (mut value, n) in changes.counters {
            // A sender's own "(other)" takes no place: it is not counted as one either.
            if value.dimension.is_open()
                && value.value != OTHER
                && !known.values.contains(&value)
                && !fits((value.site, value.day, Some(value.dimension)), full)
            {
                value.value = OTHER.into();
            }
            *rows.counters.entry(value).or_default() += n;
        }
        for (cell, n) in changes.clicks {
            let Cell { mut target, hour, x, y } = cell;
            if !known.targets.contains(&target) {
                let other = target.page == OTHER && target.element.is_empty();
                if other || fits((target.site, target.day, None), full) {
                    known.targets.insert(target.clone());
                } else {
                    target = Target { page: OTHER.to_owned(), element: String::new(), ..target };
                }
                rows.targets.push((name_of(&target.page, &target.element), target.clone()));
            }
            let name = name_of(&target.page, &target.element);
            *rows.clicks.entry((target.site, hour, name, x, y)).or_default() += n;
        }
        rows.targets.sort_by(|(a, x), (b, y)| (x.site, x.day, a).cmp(&(y.site, y.day, b)));
        rows.targets.dedup();
        rows
    }
}

/// A target's name: page and element together may be longer than an index takes.
fn name_of(page: &str, element: &str) -> Uuid {
    let digest = Sha256::new().chain_update(page).chain_update([0]).chain_update(element).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
