//! What the cloud's platform puts into the environment of what it runs: where it is, and the
//! keys with which it may ask.

use std::fmt;

/// What the platform says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The region.
    pub region: Option<String>,
    /// The keys, if they are whole.
    pub keys: Option<Keys>,
}

/// Keys that requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The public one.
    pub id: String,
    /// The secret one.
    pub secret: String,
    /// What temporary keys bring along.
    pub token: Option<String>,
}

/// No secret gets into a log.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Platform {
    /// Reads the process's environment.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "beside Config::from_env this is what reads the environment")]
    pub fn from_env() -> Self {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// Reads these variables; an empty value is as good as none.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name: &str| var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let keys = given("AWS_ACCESS_KEY_ID").zip(given("AWS_SECRET_ACCESS_KEY"));
        Self {
            region: given("AWS_REGION").or_else(|| given("AWS_DEFAULT_REGION")),
            keys: keys.map(|(id, secret)| Keys { id, secret, token: given("AWS_SESSION_TOKEN") }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(vars: &[(&str, &str)]) -> Platform {
        Platform::from_vars(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn half_of_the_keys_is_none() {
        let whole = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "s3cret"), ("AWS_SESSION_TOKEN", "t0ken")];
        let keys = platform(&whole).keys.unwrap();
        assert_eq!((&*keys.id, &*keys.secret, keys.token.as_deref()), ("id", "s3cret", Some("t0ken")));
        assert_eq!(platform(&whole[..2]).keys.unwrap().token, None);
        assert_eq!(platform(&whole[..1]).keys, None);
        assert_eq!(platform(&[whole[0], ("AWS_SECRET_ACCESS_KEY", " "), whole[2]]).keys, None);
        let shown = format!("{:?}", platform(&whole));
        assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    }

    #[test]
    fn the_region_has_two_names() {
        let both = [("AWS_REGION", "eu-west-3"), ("AWS_DEFAULT_REGION", "us-east-1")];
        assert_eq!(platform(&both).region.as_deref(), Some("eu-west-3"));
        assert_eq!(platform(&both[1..]).region.as_deref(), Some("us-east-1"));
        assert_eq!(platform(&[]).region, None);
    }
}
