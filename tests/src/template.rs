//! `template.yaml`, read: short tags become the long forms that they stand for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{binary, text};

/// The deployment as it is described.
#[derive(Debug)]
pub struct Template(Value);

impl Template {
    /// Reads the project's template.
    #[must_use]
    pub fn read() -> Self {
        let path = binary::workspace().join("template.yaml");
        let yaml = std::fs::read_to_string(path).expect("there is a template.yaml");
        Self(long(yaml_serde::from_str(&yaml).expect("template.yaml is YAML")))
    }

    /// A section, such as `Parameters`, by name.
    #[must_use]
    pub fn section(&self, name: &str) -> &Map<String, Value> {
        self.0[name].as_object().unwrap_or_else(|| panic!("no section {name}"))
    }

    /// A resource.
    #[must_use]
    pub fn resource(&self, name: &str) -> &Value {
        self.section("Resources").get(name).unwrap_or_else(|| panic!("no resource {name}"))
    }

    /// All resources of a type, such as `AWS::Logs::LogGroup`, by name.
    #[must_use]
    pub fn of_type(&self, kind: &str) -> BTreeMap<&str, &Value> {
        let resources = self.section("Resources").iter();
        resources.filter(|(_, resource)| resource["Type"] == kind).map(|(name, resource)| (&**name, resource)).collect()
    }

    /// Every name that a `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Condition` or `Fn::If` speaks of, and
    /// where it does.
    #[must_use]
    pub fn references(&self) -> BTreeSet<(String, String)> {
        let mut found = BTreeSet::new();
        for section in ["Rules", "Conditions", "Globals", "Resources", "Outputs"] {
            references(&Value::Object(self.section(section).clone()), section, &mut found);
        }
        found
    }

    /// A value as it is deployed with these parameters, all others at their defaults. What only
    /// the cloud knows becomes its name in angle brackets.
    #[must_use]
    pub fn resolve(&self, value: &Value, parameters: &[(&str, &str)]) -> Value {
        Resolver { template: self, parameters }.value(value)
    }
}

fn long(value: yaml_serde::Value) -> Value {
    match value {
        yaml_serde::Value::Tagged(tagged) => {
            let name = tagged.tag.to_string().trim_start_matches('!').to_owned();
            let inner = long(tagged.value);
            match name.as_str() {
                "Ref" | "Condition" => json!({ name: inner }),
                "GetAtt" => {
                    let (resource, attribute) = text(&inner).split_once('.').expect("an attribute");
                    json!({ "Fn::GetAtt": [resource, attribute] })
                }
                _ => json!({ format!("Fn::{name}"): inner }),
            }
        }
        yaml_serde::Value::Mapping(mapping) => {
            let key = |key: yaml_serde::Value| key.as_str().expect("keys are strings").to_owned();
            Value::Object(mapping.into_iter().map(|(name, value)| (key(name), long(value))).collect())
        }
        yaml_serde::Value::Sequence(values) => values.into_iter().map(long).collect(),
        plain => serde_json::to_value(plain).expect("plain values are JSON, too"),
    }
}

/// The names in `${…}` of a `Fn::Sub`.
fn names(template: &str) -> impl Iterator<Item = &str> {
    template.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name)
}

fn references(value: &Value, place: &str, found: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| references(value, place, found)),
        Value::Object(fields) => {
            for (field, value) in fields {
                let inner = format!("{place}/{field}");
                match (field.as_str(), value) {
                    ("Ref" | "Condition", Value::String(name)) => _ = found.insert((name.clone(), inner.clone())),
                    ("Fn::GetAtt" | "Fn::If", Value::Array(parts)) => {
                        found.insert((text(&parts[0]).to_owned(), inner.clone()));
                    }
                    ("Fn::Sub", Value::String(template)) => {
                        found.extend(names(template).map(|name| (name.to_owned(), inner.clone())));
                    }
                    ("Fn::Sub", Value::Array(parts)) => {
                        let given = parts[1].as_object().expect("names and values");
                        let others = names(text(&parts[0])).filter(|name| !given.contains_key(*name));
                        found.extend(others.map(|name| (name.to_owned(), inner.clone())));
                    }
                    _ => {}
                }
                references(value, &inner, found);
            }
        }
        _ => {}
    }
}

struct Resolver<'a> {
    template: &'a Template,
    parameters: &'a [(&'a str, &'a str)],
}

impl Resolver<'_> {
    fn value(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(|value| self.value(value)).collect(),
            Value::Object(fields) => match fields.iter().next() {
                Some((function, argument)) if fields.len() == 1 => self.function(function, argument),
                _ => Value::Object(fields.iter().map(|(name, value)| (name.clone(), self.value(value))).collect()),
            },
            plain => plain.clone(),
        }
    }

    fn function(&self, function: &str, argument: &Value) -> Value {
        match function {
            "Ref" => self.named(text(argument)),
            "Fn::If" => self.value(&argument[if self.holds(text(&argument[0])) { 1 } else { 2 }]),
            "Fn::Join" => {
                let joined = self.value(&argument[1]);
                let items: Vec<String> = match &joined {
                    Value::Array(items) => items.iter().map(spelled).collect(),
                    list => vec![spelled(list)],
                };
                json!(items.join(text(&argument[0])))
            }
            "Fn::Sub" => match argument {
                Value::Array(parts) => self.substituted(text(&parts[0]), parts[1].as_object().expect("names")),
                template => self.substituted(text(template), &Map::new()),
            },
            "Fn::GetAtt" => json!(format!("<{}.{}>", text(&argument[0]), text(&argument[1]))),
            other => json!({ other: self.value(argument) }),
        }
    }

    fn named(&self, name: &str) -> Value {
        if let Some((_, given)) = self.parameters.iter().find(|(parameter, _)| *parameter == name) {
            return json!(given);
        }
        match self.template.section("Parameters").get(name) {
            Some(parameter) => parameter["Default"].clone(),
            None => json!(format!("<{name}>")),
        }
    }

    fn substituted(&self, template: &str, given: &Map<String, Value>) -> Value {
        let mut whole = template.to_owned();
        for name in names(template) {
            let value = given.get(name).map_or_else(|| self.named(name), |value| self.value(value));
            whole = whole.replace(&format!("${{{name}}}"), &spelled(&value));
        }
        json!(whole)
    }

    fn holds(&self, condition: &str) -> bool {
        self.is_true(&self.template.section("Conditions")[condition])
    }

    fn is_true(&self, condition: &Value) -> bool {
        let (function, argument) = condition.as_object().and_then(|fields| fields.iter().next()).expect("a condition");
        let all = || argument.as_array().expect("conditions").iter();
        match function.as_str() {
            "Condition" => self.holds(text(argument)),
            "Fn::Equals" => spelled(&self.value(&argument[0])) == spelled(&self.value(&argument[1])),
            "Fn::Not" => !self.is_true(&argument[0]),
            "Fn::And" => all().all(|condition| self.is_true(condition)),
            "Fn::Or" => all().any(|condition| self.is_true(condition)),
            other => panic!("no condition: {other}"),
        }
    }
}

/// A plain value as an environment variable has it.
fn spelled(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
