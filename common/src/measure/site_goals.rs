//! The goals and funnels of one site that are made while the service runs, beside the configured goals:
//! one small document a site in the store.
//!
//! ```json
//! {"goals":[{"name":"Sign-up","event":"signup"},{"name":"Prices read","page":"/prices*"}],
//!  "funnels":[{"name":"Order","steps":[{"page":"/cart"},{"event":"order"}]}]}
//! ```
//! A goal is one of the configuration, without `site`. A step of a funnel has one of `event`, `page` and
//! `filter`, as a goal has.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::goals;
use super::query::{Context, Filters, input, refused};
use super::question::Goal;
use super::question::funnel::Funnel;
use super::service::Service;
use crate::outcome::{Code, Refusal};
use crate::site::Site;
use crate::store::{BlockKind, Store, StoreError};
use crate::time::{Day, Timestamp};

/// The most goals of a site.
const MOST_GOALS: usize = 50;
/// The most funnels of a site.
const MOST_FUNNELS: usize = 20;
/// The most bytes of the whole: filters may be long.
const MOST_BYTES: usize = 64 * 1024;
/// The most characters of a funnel's name.
const LONGEST_NAME: usize = 200;

/// How long what was read is used: what another process stored is known after that.
const FRESH: Duration = Duration::from_secs(5);
/// How many sites' goals are kept in memory.
const MOST_KEPT: u64 = 1_000;

/// Goals that were read a moment ago.
pub(super) type Kept = Cache<Site, Arc<SiteGoals>>;

pub(super) fn kept() -> Kept {
    Cache::builder().max_capacity(MOST_KEPT).time_to_live(FRESH).build()
}

/// The day under which the document stands: it has none of its own.
fn place() -> Range<Day> {
    Day::from_number(0)..Day::from_number(1)
}

impl Service {
    /// The configured goals of a site.
    #[must_use]
    pub fn configured_goals(&self, site: &Site) -> Vec<Goal> {
        self.goals.of(site).cloned().collect()
    }

    /// The goals and funnels of a site that were made while the service runs, as of five seconds ago at most,
    /// and mostly at once after [`Self::put_site_goals`] in this process.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn site_goals(&self, store: &dyn Store, site: &Site) -> Result<Arc<SiteGoals>, StoreError> {
        match self.site_goals.get(site).await {
            Some(goals) => Ok(goals),
            None => self.stored_site_goals(store, site).await,
        }
    }

    /// The same as they are now.
    ///
    /// # Errors
    /// When the store cannot answer.
    pub async fn stored_site_goals(&self, store: &dyn Store, site: &Site) -> Result<Arc<SiteGoals>, StoreError> {
        let stored = store.blocks(site, BlockKind::Goals, place()).await?.pop();
        let read = |(_, bytes): (Day, Vec<u8>)| SiteGoals::stored(&bytes, &self.configured_goals(site));
        let goals = Arc::new(stored.map(read).unwrap_or_default());
        self.site_goals.insert(site.clone(), Arc::clone(&goals)).await;
        Ok(goals)
    }

    /// Stores goals and funnels in the place of those that the site has.
    ///
    /// # Errors
    /// When the store cannot.
    pub async fn put_site_goals(
        &self,
        store: &dyn Store,
        site: &Site,
        goals: SiteGoals,
    ) -> Result<Arc<SiteGoals>, StoreError> {
        let bytes = goals.json().to_string().into_bytes();
        store.put_block(site, BlockKind::Goals, place().start, bytes).await?;
        let goals = Arc::new(goals);
        self.site_goals.insert(site.clone(), Arc::clone(&goals)).await;
        Ok(goals)
    }
}

/// A funnel that has a name.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedFunnel {
    /// Its name.
    pub name: String,
    /// Its steps, as filters of the query language.
    pub steps: Vec<Value>,
}

/// The goals and funnels of a site, checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SiteGoals {
    /// The goals, in their order.
    pub goals: Vec<Goal>,
    /// The funnels, in their order.
    pub funnels: Vec<NamedFunnel>,
    /// Each goal as it was given.
    given_goals: Vec<Value>,
    /// Each funnel as it was given.
    given_funnels: Vec<Value>,
}

impl SiteGoals {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.goals.is_empty() && self.funnels.is_empty()
    }

    /// Reads what a client sends; `configured` are the names of the site's configured goals, which are taken.
    ///
    /// # Errors
    /// `INVALID_QUERY` or `NAME_TAKEN` with the place of the first mistake.
    pub fn parse(value: &Value, configured: &[Goal]) -> Result<Self, Refusal> {
        if value.to_string().len() > MOST_BYTES {
            return Err(refused(format!("goals and funnels may have at most {MOST_BYTES} bytes")));
        }
        let map = input::object(value, "the body", &["goals", "funnels"])?;
        let list = |name: &str, most: usize| {
            let items = map.get(name).map_or(Ok(&[][..]), |items| input::list(items, name))?;
            let many = || refused(format!("a site may have at most {most} {name}"));
            if items.len() > most { Err(many()) } else { Ok(items) }
        };
        let mut all = Self::default();
        for (number, goal) in list("goals", MOST_GOALS)?.iter().enumerate() {
            all.goal(goal, configured).map_err(|mistake| mistake.at(&format!("goals[{number}]")))?;
        }
        for (number, funnel) in list("funnels", MOST_FUNNELS)?.iter().enumerate() {
            all.funnel(funnel).map_err(|mistake| mistake.at(&format!("funnels[{number}]")))?;
        }
        Ok(all)
    }

    /// Reads what was stored. What cannot be read any more is left out, such as a goal whose name was given to
    /// a configured one since.
    #[must_use]
    pub fn stored(bytes: &[u8], configured: &[Goal]) -> Self {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let items = |name: &str| value.get(name).and_then(Value::as_array).into_iter().flatten();
        let mut all = Self::default();
        for goal in items("goals") {
            let _ = all.goal(goal, configured);
        }
        for funnel in items("funnels") {
            let _ = all.funnel(funnel);
        }
        all
    }

    /// As it was given, to be stored and shown.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"goals": self.given_goals, "funnels": self.given_funnels})
    }

    /// A short text that is another one when anything of it has changed.
    #[must_use]
    pub fn version(&self) -> String {
        let digest = Sha256::digest(self.json().to_string());
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    fn goal(&mut self, given: &Value, configured: &[Goal]) -> Result<(), Refusal> {
        let (site, goal) = goals::read(given).map_err(refused)?;
        if site.is_some() {
            return Err(refused("\"site\" is not known; the goal is one of this site"));
        }
        if self.goals.iter().chain(configured).any(|other| other.name == goal.name) {
            return Err(taken(format!("the name {:?} is taken by another goal", goal.name)));
        }
        self.goals.push(goal);
        self.given_goals.push(given.clone());
        Ok(())
    }

    fn funnel(&mut self, given: &Value) -> Result<(), Refusal> {
        let map = input::object(given, "a funnel", &["name", "steps"])?;
        let name = map.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(refused(format!("a funnel's name must have 1 to {LONGEST_NAME} characters")));
        }
        if self.funnels.iter().any(|other| other.name == name) {
            return Err(taken(format!("the name {name:?} is taken by another funnel")));
        }
        let steps = map.get("steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if !(Funnel::FEWEST_STEPS..=Funnel::MOST_STEPS).contains(&steps.len()) {
            return Err(refused(format!("a funnel has {} to {} steps", Funnel::FEWEST_STEPS, Funnel::MOST_STEPS)));
        }
        let step = |(number, step): (usize, &Value)| {
            step_filter(step).map_err(|mistake| refused(format!("steps[{number}] {mistake}")))
        };
        let steps = steps.iter().enumerate().map(step).collect::<Result<_, _>>()?;
        self.funnels.push(NamedFunnel { name: name.to_owned(), steps });
        self.given_funnels.push(given.clone());
        Ok(())
    }
}

fn taken(message: String) -> Refusal {
    Refusal::new(Code::NameTaken, message)
}

/// The filter that a step stands for.
fn step_filter(step: &Value) -> Result<Value, String> {
    let map = input::object(step, "a step", &["event", "page", "filter"]).map_err(|refusal| refusal.message)?;
    let text = |name: &str| map.get(name).and_then(Value::as_str);
    if map.len() != 1 {
        return Err("a step must have exactly one of event, page and filter".to_owned());
    }
    let filter = match (text("event"), text("page"), map.get("filter")) {
        (Some(event), None, None) => {
            let goal = Goal::event(event).ok_or("event must be the name of an event")?;
            json!(["is", "event:name", [goal.name]])
        }
        (None, Some(page), None) => {
            let goal = Goal::page(page).ok_or("page must be a path that begins with / or *, at most 200 characters")?;
            json!(["is", "event:goal", [goal.name]])
        }
        (None, None, Some(filter)) => filter.clone(),
        _ => return Err("event and page must be texts".to_owned()),
    };
    let context = Context::at(Timestamp::from_millis(0));
    Filters::new(&context).one(&filter, "filter", 1).map_err(|refusal| refusal.message)?;
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured() -> Vec<Goal> {
        vec![Goal { name: "Taken".to_owned(), ..Goal::event("taken").unwrap() }]
    }

    fn error(value: &Value) -> String {
        SiteGoals::parse(value, &configured()).unwrap_err().message
    }

    #[test]
    fn goals_and_funnels_are_read_and_given_back() {
        let given = json!({
            "goals": [{"name": "Sign-up", "event": "signup"}, {"name": "Prices", "page": "/prices*"},
                {"name": "Large", "filter": ["is", "event:props:size", ["large"]]}],
            "funnels": [{"name": "Order", "steps": [{"page": "/cart/"}, {"event": "order"}, {"filter": ["is", "event:page", ["/thanks"]]}]}],
        });
        let read = SiteGoals::parse(&given, &configured()).unwrap();
        assert_eq!(
            read.goals.iter().map(|goal| goal.name.as_str()).collect::<Vec<_>>(),
            ["Sign-up", "Prices", "Large"]
        );
        let steps = [
            json!(["is", "event:goal", ["Visit /cart"]]),
            json!(["is", "event:name", ["order"]]),
            json!(["is", "event:page", ["/thanks"]]),
        ];
        assert_eq!(read.funnels, [NamedFunnel { name: "Order".to_owned(), steps: steps.to_vec() }]);
        assert_eq!(read.json(), given);
        assert_eq!(SiteGoals::stored(given.to_string().as_bytes(), &configured()), read);
        assert_eq!(SiteGoals::parse(&json!({}), &[]).unwrap().json(), json!({"goals": [], "funnels": []}));
    }

    #[test]
    fn mistakes_have_their_place() {
        let step = json!({"event": "a"});
        let many = |item: Value, most: usize| vec![item; most + 1];
        for (given, expected) in [
            (json!([]), "the body must be an object"),
            (json!({"goal": []}), "the body"),
            (json!({"goals": {}}), "goals"),
            (json!({"goals": many(json!(1), MOST_GOALS)}), "a site may have at most 50 goals"),
            (json!({"funnels": many(json!(1), MOST_FUNNELS)}), "a site may have at most 20 funnels"),
            (json!({"goals": [{"name": "a", "event": "b", "site": "default"}]}), "goals[0] \"site\" is not known"),
            (json!({"goals": [{"name": "Taken", "event": "b"}]}), "goals[0] the name \"Taken\" is taken"),
            (
                json!({"goals": [{"name": "a", "event": "b"}, {"name": "a", "page": "/"}]}),
                "goals[1] the name \"a\" is taken",
            ),
            (json!({"goals": [{"name": "a", "event": "B!"}]}), "goals[0] event must be"),
            (json!({"funnels": [{"name": " ", "steps": [step, step]}]}), "funnels[0] a funnel's name"),
            (json!({"funnels": [{"name": "a", "steps": [step]}]}), "funnels[0] a funnel has 2 to 8 steps"),
            (json!({"funnels": [{"name": "a", "steps": [step, {"page": "x"}]}]}), "funnels[0] steps[1] page must be"),
            (
                json!({"funnels": [{"name": "a", "steps": [step, {"page": 1}]}]}),
                "funnels[0] steps[1] event and page must be texts",
            ),
            (
                json!({"funnels": [{"name": "a", "steps": [step, {"event": "a", "page": "/"}]}]}),
                "funnels[0] steps[1] a step must have exactly one",
            ),
            (json!({"funnels": [{"name": "a", "steps": [step, {"filter": ["is"]}]}]}), "funnels[0] steps[1] filter"),
            (
                json!({"funnels": [{"name": "a", "steps": [step, step]}, {"name": "a", "steps": [step, step]}]}),
                "funnels[1] the name \"a\" is taken",
            ),
            (
                json!({"goals": [{"name": "a", "filter": ["contains", "event:page", ["x".repeat(MOST_BYTES)]]}]}),
                "goals and funnels may have at most",
            ),
        ] {
            let told = error(&given);
            assert!(told.starts_with(expected), "{expected}: {told}");
        }
    }

    #[test]
    fn what_is_stored_and_cannot_be_read_is_left_out() {
        let stored =
            json!({"goals": [{"name": "Taken", "event": "x"}, {"name": "a", "event": "b"}, 1], "funnels": [2]});
        let read = SiteGoals::stored(stored.to_string().as_bytes(), &configured());
        assert_eq!(read.json(), json!({"goals": [{"name": "a", "event": "b"}], "funnels": []}));
        assert_eq!(SiteGoals::stored(b"no JSON", &[]), SiteGoals::default());
    }
}
