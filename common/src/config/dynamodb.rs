//! Which DynamoDB table, and where it is: `dynamodb:TABLE?endpoint=…&region=…&secrets=…`.

use std::fmt;

/// A table of DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamoDbUrl {
    table: String,
    secrets: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
}

impl DynamoDbUrl {
    /// Parses what follows `dynamodb:`.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (table, query) = text.split_once('?').unwrap_or((text, ""));
        let mut url = Self { table: named("the table", table)?, secrets: None, endpoint: None, region: None };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "endpoint" => &mut url.endpoint,
                "region" => &mut url.region,
                "secrets" => &mut url.secrets,
                _ => return Err("a dynamodb store takes endpoint, region and secrets, and nothing else".to_owned()),
            };
            if place.is_some() {
                return Err(format!("{name} is given twice"));
            }
            *place = Some(match &*name {
                "endpoint" => endpoint(&value)?,
                "region" => region(&value)?,
                _ => named("secrets", &value)?,
            });
        }
        Ok(url)
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The table of the secrets: one of their own, so that no backup holds them, or the same.
    #[must_use]
    pub fn secrets(&self) -> &str {
        self.secrets.as_deref().unwrap_or(&self.table)
    }

    /// Where the service is, if not where the platform says.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// In which region, if not in the platform's.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Whether it is the platform's own service: there the deployment makes the tables.
    #[must_use]
    pub fn is_aws(&self) -> bool {
        self.endpoint.as_deref().is_none_or(|endpoint| {
            let host = endpoint.split("://").nth(1).unwrap_or_default();
            let host = host.split(['/', ':']).next().unwrap_or_default();
            host.ends_with(".amazonaws.com") || host.ends_with(".api.aws") || host.ends_with(".amazonaws.com.cn")
        })
    }
}

impl fmt::Display for DynamoDbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)?;
        let mut separator = '?';
        for (name, value) in [("endpoint", &self.endpoint), ("region", &self.region), ("secrets", &self.secrets)] {
            if let Some(value) = value {
                write!(f, "{separator}{name}={value}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

/// A table's name, by the service's rule.
fn named(what: &str, name: &str) -> Result<String, String> {
    let valid = (3..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if valid { Ok(name.to_owned()) } else { Err(format!("{what} must be 3 to 255 of a-z, A-Z, 0-9, '_', '.' and '-'")) }
}

/// No user info: it would stand in logs.
fn endpoint(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or_default();
    let valid = host.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'[')
        && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#".contains(&byte));
    if valid { Ok(text.to_owned()) } else { Err("endpoint must be http://HOST:PORT or https://HOST".to_owned()) }
}

fn region(text: &str) -> Result<String, String> {
    let valid = (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if valid { Ok(text.to_owned()) } else { Err("region must be one such as eu-west-3".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_where_it_is() {
        let url = DynamoDbUrl::parse("analytics").unwrap();
        assert_eq!((url.table(), url.secrets(), url.endpoint(), url.region()), ("analytics", "analytics", None, None));
        assert!(url.is_aws());
        let text = "analytics?endpoint=http://127.0.0.1:8000&region=eu-west-3&secrets=analytics-secrets";
        let url = DynamoDbUrl::parse(text).unwrap();
        assert_eq!((url.endpoint(), url.region()), (Some("http://127.0.0.1:8000"), Some("eu-west-3")));
        assert_eq!((url.secrets(), url.is_aws()), ("analytics-secrets", false));
        assert_eq!(url.to_string(), text);
        assert!(DynamoDbUrl::parse("analytics?endpoint=https://dynamodb.eu-west-3.amazonaws.com").unwrap().is_aws());
        assert!(!DynamoDbUrl::parse("analytics?endpoint=https://amazonaws.com.example").unwrap().is_aws());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, name) in [
            ("", "the table"),
            ("ab", "the table"),
            ("a b c", "the table"),
            (&*"t".repeat(256), "the table"),
            ("table?endpoint=127.0.0.1:8000", "endpoint"),
            ("table?endpoint=http://", "endpoint"),
            ("table?endpoint=http://me:pw@x", "endpoint"),
            ("table?region=", "region"),
            ("table?region=Paris", "region"),
            ("table?region=a&region=b", "region is given twice"),
            ("table?secrets=x", "secrets"),
            ("table?regoin=a", "nothing else"),
        ] {
            let mistake = DynamoDbUrl::parse(text).unwrap_err();
            assert!(mistake.contains(name), "{text}: {mistake}");
            assert!(!mistake.contains("pw"), "{mistake}");
        }
    }
}
