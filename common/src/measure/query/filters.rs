//! Filters: from JSON to conditions on fields.

use serde_json::{Value, json};

use super::goals;
use super::input::{Result, list, object, refused, suggest, text};
use super::{Context, input};
use crate::event_type::EventType;
use crate::measure::property;
use crate::measure::question::{Dimension, Field, Filter, Leaf, Pattern, Scope, TimeUnit};
use crate::url::Url;

/// The most leaves of all filters of a query; each pattern of `matches` counts.
const MOST_TERMS: usize = 20;
/// How deep filters may be nested; a leaf alone is one level.
const MOST_LEVELS: usize = 5;
/// The most values of one leaf.
const MOST_VALUES: usize = 1_000;
/// The most characters of a value, and of a property.
const LONGEST_VALUE: usize = 2_048;
const LONGEST_PATTERN: usize = 200;

const OPERATORS: [&str; 11] = [
    "is",
    "is_not",
    "contains",
    "contains_not",
    "matches",
    "matches_not",
    "and",
    "or",
    "not",
    "has_done",
    "has_not_done",
];
/// Words for an unknown value, besides the empty string.
const UNKNOWN: [&str; 2] = ["(not set)", "(none)"];

/// A filter, how it is written in canonical form, and what it is about.
#[derive(Debug, Clone)]
pub(in crate::measure) struct Parsed {
    pub(in crate::measure) filter: Filter,
    pub(in crate::measure) json: Value,
    pub(in crate::measure) about: About,
}

/// How many leaves of a filter are about what.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::measure) struct About {
    leaves: usize,
    goals: usize,
    properties: usize,
    pages: usize,
    done: usize,
    /// Whether it names `event:name`, or a report as a goal.
    pub(in crate::measure) names: bool,
}

impl About {
    /// Whether conversion rates are based on visitors without regard to it.
    pub(in crate::measure) const fn is_conversion(self) -> bool {
        self.done == 0 && self.leaves == self.goals + self.properties
    }

    pub(in crate::measure) const fn has_goal(self) -> bool {
        self.goals > 0
    }

    pub(in crate::measure) const fn has_page(self) -> bool {
        self.pages > 0
    }

    /// Whether it says which pages a visit may have entered at.
    pub(in crate::measure) const fn is_page_only(self) -> bool {
        self.done == 0 && self.leaves == self.pages
    }

    fn and(self, other: Self) -> Self {
        Self {
            leaves: self.leaves + other.leaves,
            goals: self.goals + other.goals,
            properties: self.properties + other.properties,
            pages: self.pages + other.pages,
            done: self.done + other.done,
            names: self.names || other.names,
        }
    }
}

/// Reads the filters of one query.
#[derive(Debug)]
pub(in crate::measure) struct Filters<'a> {
    context: &'a Context<'a>,
    terms: usize,
}

impl<'a> Filters<'a> {
    pub(in crate::measure) const fn new(context: &'a Context<'a>) -> Self {
        Self { context, terms: 0 }
    }

    /// A list of filters that must all hold; a top-level `and` is taken apart.
    pub(in crate::measure) fn all(&mut self, value: &Value, place: &str) -> Result<Vec<Parsed>> {
        let mut parsed = Vec::new();
        for (number, filter) in list(value, place)?.iter().enumerate() {
            self.flat(filter, &format!("{place}[{number}]"), 1, &mut parsed)?;
        }
        Ok(parsed)
    }

    fn flat(&mut self, value: &Value, place: &str, level: usize, into: &mut Vec<Parsed>) -> Result<()> {
        match value.as_array().map(Vec::as_slice) {
            Some([Value::String(and), Value::Array(filters)]) if and == "and" && !filters.is_empty() => {
                self.levels(level)?;
                for (number, filter) in filters.iter().enumerate() {
                    self.flat(filter, &format!("{place}[1][{number}]"), level + 1, into)?;
                }
                Ok(())
            }
            _ => {
                into.push(self.one(value, place, level)?);
                Ok(())
            }
        }
    }

    /// One filter, at a level of 1 or deeper.
    pub(in crate::measure) fn one(&mut self, value: &Value, place: &str, level: usize) -> Result<Parsed> {
        self.levels(level)?;
        let parts = value.as_array().map(Vec::as_slice).unwrap_or_default();
        let [operator, rest @ ..] = parts else {
            return Err(refused(format!("{place} must be a list such as [\"is\", \"event:page\", [\"/\"]]")));
        };
        let operator = text(operator, &format!("{place}[0]"))?;
        if !OPERATORS.contains(&operator) {
            return Err(refused(format!("{place}[0] is not an operator{}", suggest(operator, OPERATORS))));
        }
        match (operator, rest) {
            ("and" | "or", [Value::Array(filters)]) if !filters.is_empty() => {
                let (mut parsed, mut about) = (Vec::new(), About::default());
                for (number, filter) in filters.iter().enumerate() {
                    let filter = self.one(filter, &format!("{place}[1][{number}]"), level + 1)?;
                    about = about.and(filter.about);
                    parsed.push(filter);
                }
                let json = json!([operator, parsed.iter().map(|filter| &filter.json).collect::<Vec<_>>()]);
                let filters = parsed.into_iter().map(|parsed| parsed.filter).collect();
                let filter = if operator == "and" { Filter::And(filters) } else { Filter::Or(filters) };
                Ok(Parsed { filter, json, about })
            }
            ("and" | "or", _) => {
                Err(refused(format!("{place} must be [\"{operator}\", [filter, …]] with at least one filter")))
            }
            ("not" | "has_done" | "has_not_done", [filter]) => {
                let inner = self.one(filter, &format!("{place}[1]"), level + 1)?;
                let json = json!([operator, inner.json]);
                let mut about = inner.about;
                let not = |filter| Filter::Not(Box::new(filter));
                if operator == "not" {
                    return Ok(Parsed { filter: not(inner.filter), json, about });
                }
                if about.done > 0 || !events_only(&inner.filter) {
                    let rule = "takes filters on event: dimensions only, and no has_done within it";
                    return Err(refused(format!("{place}: {operator} {rule}")));
                }
                about.done += 1;
                let done = Filter::HasDone(Box::new(inner.filter));
                Ok(Parsed { filter: if operator == "has_done" { done } else { not(done) }, json, about })
            }
            ("not" | "has_done" | "has_not_done", _) => {
                Err(refused(format!("{place} must be [\"{operator}\", filter]")))
            }
            (_, [dimension, values]) => self.test(operator, dimension, values, None, place),
            (_, [dimension, values, options]) => self.test(operator, dimension, values, Some(options), place),
            _ => {
                let form = format!("[\"{operator}\", dimension, [value, …]]");
                Err(refused(format!(
                    "{place} must be {form}, with {{\"case_sensitive\": false}} as a fourth item if wanted"
                )))
            }
        }
    }

    fn levels(&self, level: usize) -> Result<()> {
        if level > MOST_LEVELS {
            return Err(refused(format!("filters may be nested at most {MOST_LEVELS} levels deep")));
        }
        Ok(())
    }

    fn test(
        &mut self,
        operator: &str,
        dimension: &Value,
        values: &Value,
        options: Option<&Value>,
        place: &str,
    ) -> Result<Parsed> {
        let name = text(dimension, &format!("{place}[1]"))?;
        if name == "time" || name.starts_with("time:") {
            return Err(refused(format!("{place}[1]: time cannot be filtered by; use date_range")));
        }
        let dimension = parse_dimension(name, &format!("{place}[1]"))?;
        let case_sensitive = match options {
            Some(options) => {
                let options = object(options, &format!("{place}[3]"), &["case_sensitive"])?;
                let name = format!("{place}[3].case_sensitive");
                options.get("case_sensitive").map_or(Ok(true), |value| input::flag(Some(value), &name))?
            }
            None => true,
        };
        let place = format!("{place}[2]");
        let values = list(values, &place)?;
        if values.is_empty() || values.len() > MOST_VALUES {
            return Err(refused(format!("{place} must have 1 to {MOST_VALUES} values")));
        }
        let test = operator.strip_suffix("_not").unwrap_or(operator);
        self.terms += if test == "matches" { values.len() } else { 1 };
        if self.terms > MOST_TERMS {
            let rule = "conditions, where each pattern of matches is one";
            return Err(refused(format!("a query may have at most {MOST_TERMS} {rule}")));
        }
        let mut texts = Vec::with_capacity(values.len());
        for (number, value) in values.iter().enumerate() {
            let place = format!("{place}[{number}]");
            let value = property::plain(value)
                .ok_or_else(|| refused(format!("{place} must be a string, number or boolean")))?;
            if value.chars().count() > LONGEST_VALUE {
                return Err(refused(format!("{place} may have at most {LONGEST_VALUE} characters")));
            }
            texts.push(if test == "is" { normal(&dimension, value, &place)? } else { value });
        }
        if test == "is" {
            texts.sort_unstable();
            texts.dedup();
        }
        let mut json = vec![json!(operator), json!(dimension.to_string()), json!(texts)];
        if !case_sensitive {
            json.push(json!({"case_sensitive": false}));
        }
        let mut about = About { leaves: 1, ..About::default() };
        let filter = if dimension == Dimension::Goal {
            about.goals = 1;
            let goals = match test {
                "is" => goals::named(&texts, case_sensitive, &place, self.context)?,
                "contains" => goals::containing(&texts, case_sensitive, self.context),
                _ => return Err(refused(format!("{place}: event:goal takes is and contains, and their opposites"))),
            };
            about.names = goals.iter().any(|goal| goals::is_report(&goal.name));
            Filter::Or(goals.into_iter().map(|goal| goal.filter).collect())
        } else {
            about.properties = usize::from(matches!(dimension, Dimension::Property(_)));
            about.pages = usize::from(dimension == Dimension::Field(Field::Page));
            about.names = dimension == Dimension::Field(Field::EventName);
            leaf(dimension, test, texts, case_sensitive, &place)?
        };
        let filter = if operator == test { filter } else { Filter::Not(Box::new(filter)) };
        Ok(Parsed { filter, json: Value::Array(json), about })
    }
}

/// The dimension of that name.
pub(in crate::measure) fn parse_dimension(name: &str, place: &str) -> Result<Dimension> {
    Dimension::parse(name).ok_or_else(|| {
        let fields = Field::ALL.iter().map(|field| field.name());
        let units = TimeUnit::ALL.iter().map(|unit| unit.name());
        let allowed = fields.chain([Dimension::GOAL, "event:props:KEY", "time"]).chain(units);
        refused(format!("{place} is not a dimension{}", suggest(name, allowed)))
    })
}

fn leaf(dimension: Dimension, test: &str, texts: Vec<String>, case_sensitive: bool, place: &str) -> Result<Filter> {
    Ok(Filter::Leaf(match test {
        "is" => Leaf::is(dimension, texts, case_sensitive),
        "contains" => Leaf::contains(dimension, texts, case_sensitive),
        _ => {
            let patterns = texts.iter().enumerate();
            let compile =
                |(number, text): (usize, &String)| pattern(text, case_sensitive, &format!("{place}[{number}]"));
            Leaf::matches(dimension, patterns.map(compile).collect::<Result<_>>()?)
        }
    }))
}

fn pattern(text: &str, case_sensitive: bool, place: &str) -> Result<Pattern> {
    if text.chars().count() > LONGEST_PATTERN {
        return Err(refused(format!("{place} may have at most {LONGEST_PATTERN} characters")));
    }
    Pattern::new(text, case_sensitive).ok_or_else(|| {
        let rule = "a regular expression of linear time: no look-around, no back-references, bounded in size";
        refused(format!("{place} must be {rule}"))
    })
}

/// The normal form of a value that a dimension is compared with.
fn normal(dimension: &Dimension, value: String, place: &str) -> Result<String> {
    let unknown = value.is_empty() || UNKNOWN.contains(&value.as_str());
    Ok(match dimension {
        Dimension::Property(_) if unknown => String::new(),
        Dimension::Property(_) => value.chars().take(property::LONGEST).collect(),
        Dimension::Field(field) if unknown => field.unknown().to_owned(),
        Dimension::Field(field) if field.is_page() => page_form(&value),
        Dimension::Field(Field::Referrer) if value == Field::Source.unknown() => String::new(),
        Dimension::Field(Field::EventName) => EventType::parse(&value).map_or(value, |name| name.name().to_owned()),
        Dimension::Field(Field::Country) => {
            let code = value.to_ascii_uppercase();
            if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
                return Err(refused(format!("{place} must be a country's two letters, such as FR")));
            }
            code
        }
        _ => value,
    })
}

pub(in crate::measure) fn page_form(text: &str) -> String {
    Url::new(text).page().into_owned()
}

fn events_only(filter: &Filter) -> bool {
    match filter {
        Filter::And(filters) | Filter::Or(filters) => filters.iter().all(events_only),
        Filter::Not(filter) | Filter::HasDone(filter) => events_only(filter),
        Filter::Leaf(leaf) => leaf.dimension.scope() == Scope::Event,
    }
}

/// The filter, asked of the visit's entry page instead of the event's page.
pub(in crate::measure) fn of_entry_page(filter: &Filter) -> Filter {
    let all = |filters: &[Filter]| filters.iter().map(of_entry_page).collect();
    match filter {
        Filter::And(filters) => Filter::And(all(filters)),
        Filter::Or(filters) => Filter::Or(all(filters)),
        Filter::Not(filter) => Filter::Not(Box::new(of_entry_page(filter))),
        Filter::HasDone(filter) => Filter::HasDone(Box::new(of_entry_page(filter))),
        Filter::Leaf(leaf) => Filter::Leaf(Leaf { dimension: Dimension::Field(Field::EntryPage), ..leaf.clone() }),
    }
}
