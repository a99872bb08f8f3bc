//! The goals of sites, as they are configured.
//!
//! ```json
//! [{"name":"Sign-up","event":"signup"},
//!  {"name":"Read the prices","page":"/prices*"},
//!  {"name":"Large order","site":"shop.example",
//!   "filter":["and",[["is","event:name",["order"]],["is","event:props:size",["large"]]]]}]
//! ```
//! Each has a name and one of: the name of an event, a page pattern in which `*` stands for any
//! characters, or a filter as in a query. With `site` it is a goal of that site only.

use serde_json::{Map, Value};

use super::question::Goal;
use crate::site::Site;

/// The most goals of all sites.
const MOST: usize = 200;
const KEYS: [&str; 5] = ["name", "site", "event", "page", "filter"];

/// The goals of all sites, in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoalList(Vec<(Option<Site>, Goal)>);

impl GoalList {
    /// Reads a list.
    ///
    /// # Errors
    /// All mistakes, each with the place of the goal.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let goals: Vec<Value> =
            serde_json::from_str(text).map_err(|error| vec![format!("it must be a JSON list of goals: {error}")])?;
        if goals.len() > MOST {
            return Err(vec![format!("there may be at most {MOST} goals")]);
        }
        let mut list = Self::default();
        let mut mistakes = Vec::new();
        for (number, goal) in goals.iter().enumerate() {
            match read(goal) {
                Ok((site, goal)) if list.clashes(site.as_ref(), &goal.name) => {
                    mistakes.push(format!("[{number}] the name {:?} is taken by another goal", goal.name));
                }
                Ok(goal) => list.0.push(goal),
                Err(mistake) => mistakes.push(format!("[{number}] {mistake}")),
            }
        }
        if mistakes.is_empty() { Ok(list) } else { Err(mistakes) }
    }

    /// The goals of a site, in order.
    pub fn of(&self, site: &Site) -> impl Iterator<Item = &Goal> {
        let own = move |(of, _): &&(Option<Site>, Goal)| of.as_ref().is_none_or(|of| of == site);
        self.0.iter().filter(own).map(|(_, goal)| goal)
    }

    fn clashes(&self, site: Option<&Site>, name: &str) -> bool {
        let meet = |other: &Option<Site>| other.is_none() || site.is_none() || other.as_ref() == site;
        self.0.iter().any(|(other, goal)| goal.name == name && meet(other))
    }
}

/// Reads one goal, and the site that it is restricted to.
pub(super) fn read(goal: &Value) -> Result<(Option<Site>, Goal), String> {
    let map = goal.as_object().ok_or("a goal must be an object with a name and one of event, page and filter")?;
    if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("{key:?} is not known; known are {}", KEYS.join(", ")));
    }
    let name = text(map, "name")?.ok_or("name is missing")?;
    let site = match text(map, "site")? {
        Some(site) => Some(Site::parse(site).ok_or_else(|| format!("site must be {}", Site::RULE))?),
        None => None,
    };
    let filter = match (text(map, "event")?, text(map, "page")?, map.get("filter")) {
        (Some(event), None, None) => Goal::event(event).ok_or("event must be the name of an event")?.filter,
        (None, Some(page), None) => {
            Goal::page(page).ok_or("page must be a path that begins with / or *, at most 200 characters")?.filter
        }
        (None, None, Some(filter)) => {
            let goal = Goal::configured(name, filter).map_err(|refusal| refusal.message)?;
            return Ok((site, goal));
        }
        _ => return Err("a goal must have exactly one of event, page and filter".to_owned()),
    };
    Ok((site, Goal::named(name, filter).map_err(|refusal| refusal.message)?))
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, String> {
    match map.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{key} must be a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &GoalList, site: &str) -> Vec<String> {
        list.of(&Site::parse(site).unwrap()).map(|goal| goal.name.clone()).collect()
    }

    #[test]
    fn goals_are_events_pages_or_filters() {
        let list = GoalList::parse(
            r#"[{"name":"Sign-up","event":"signup"},{"name":"Prices","page":"/prices*"},
                {"name":"Large","site":"shop.example","filter":["is","event:props:size",["large"]]},
                {"name":"Large","site":"other.example","event":"order"}]"#,
        )
        .unwrap();
        assert_eq!(names(&list, "default"), ["Sign-up", "Prices"]);
        assert_eq!(names(&list, "shop.example"), ["Sign-up", "Prices", "Large"]);
        let goals: Vec<&Goal> = list.0.iter().map(|(_, goal)| goal).collect();
        assert_eq!(goals[0].filter, Goal::parse("signup").unwrap().filter);
        assert_eq!(goals[1].filter, Goal::parse("Visit /prices*").unwrap().filter);
    }

    #[test]
    fn each_mistake_has_its_place() {
        for (list, expected) in [
            ("{}", "it must be a JSON list"),
            ("[1]", "[0] a goal must be an object"),
            (r#"[{"name":"a","event":"b"},{"name":"c"}]"#, "[1] a goal must have exactly one of"),
            (r#"[{"name":"a","event":"b","page":"/"}]"#, "[0] a goal must have exactly one of"),
            (r#"[{"event":"b"}]"#, "[0] name is missing"),
            (r#"[{"name":"","event":"b"}]"#, "[0] a goal's name must have"),
            (r#"[{"name":" ","page":"/"}]"#, "[0] a goal's name must have"),
            (r#"[{"name":"a","page":"prices"}]"#, "[0] page must be a path"),
            (r#"[{"name":"a","event":"b","value":3}]"#, "[0] \"value\" is not known"),
            (r#"[{"name":"a","event":"b","site":"A B"}]"#, "[0] site must be"),
            (r#"[{"name":"a","filter":["is","event:pag",["/"]]}]"#, "[0] filter"),
            (r#"[{"name":"a","filter":["is","event:goal",["x"]]}]"#, "[0] the filter of a goal cannot"),
            (r#"[{"name":"a","event":"b"},{"name":"a","site":"x","event":"c"}]"#, "[1] the name \"a\" is taken"),
        ] {
            let mistakes = GoalList::parse(list).unwrap_err().join("; ");
            assert!(mistakes.starts_with(expected), "{list}: {mistakes}");
        }
    }
}
