//! `ANALYTICS_STORE=sqlite:PATH`: forms that other programs use for a path, and that would name
//! an unexpected file here.

/// What to write instead, when a value looks like a database file in a form that is not
/// supported; `None` when it is `sqlite:PATH`, or the address of another engine.
pub(super) fn hint(value: &str) -> Option<&'static str> {
    let scheme = value.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let path = match scheme.as_deref() {
        Some("sqlite") if value.starts_with("sqlite:") => &value["sqlite:".len()..],
        Some("sqlite" | "sqlite3" | "file") => return Some("write sqlite:PATH"),
        Some("postgres" | "postgresql" | "dynamodb") => return None,
        _ if value.contains("://") => return None,
        _ if looks_like_file(value) => return Some("write sqlite: before the path"),
        _ => return None,
    };
    if path.contains(":memory:") || path.contains("mode=memory") {
        Some("events in memory are lost; write sqlite:PATH")
    } else if path.starts_with("//") {
        Some(
            "write sqlite:PATH without slashes before the path: sqlite:data/a.db is relative to the working folder, sqlite:/data/a.db is absolute",
        )
    } else if path.starts_with("file:") {
        Some("write sqlite:PATH without file:")
    } else if path.starts_with('~') || path.contains('$') {
        Some("~ and variables are not replaced; write the whole path")
    } else if path.contains('?') || path.contains('#') {
        Some("there are no parameters after the path, and ? and # cannot be in it")
    } else if path.ends_with('/') || path.ends_with('\\') {
        Some("that is a folder; write the path of a file")
    } else if path.starts_with(['"', '\'']) || path.chars().any(char::is_control) {
        Some("write the path without quotes and control characters")
    } else {
        None
    }
}

/// A path without a scheme.
fn looks_like_file(value: &str) -> bool {
    value.starts_with(['/', '.', '~']) || [".db", ".sqlite", ".sqlite3"].iter().any(|end| value.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_they_are() {
        for value in [
            "sqlite:data/analytics.db",
            "sqlite:/var/lib/a b.db",
            "sqlite:../a.db",
            "sqlite:a",
            "sqlite:C:\\data\\a.db",
            "sqlite:données.db",
            "sqlite:100%.db",
        ] {
            assert_eq!(hint(value), None, "{value}");
        }
        for other in ["postgres://u@h/d", "postgresql://u@h/d", "dynamodb:table", "mysql://x", "nonsense"] {
            assert_eq!(hint(other), None, "{other}");
        }
    }

    #[test]
    fn forms_that_would_name_another_file_are_refused() {
        for value in [
            "sqlite://a.db",
            "sqlite:///a.db",
            "sqlite:////a.db",
            "sqlite://",
            "sqlite:a.db?mode=rwc",
            "sqlite:a.db?",
            "sqlite:~/a.db",
            "sqlite:~",
            "sqlite:$HOME/a.db",
            "sqlite:${HOME}/a.db",
            "sqlite::memory:",
            "sqlite://:memory:",
            "sqlite:file:a.db",
            "sqlite:file:a.db?mode=memory",
            "sqlite:data/",
            "sqlite:\"a.db\"",
            "sqlite:a\n.db",
            "SQLITE:a.db",
            "sqlite3:a.db",
            "sqlite3://a.db",
            "file:a.db",
            "file:///a.db",
            "a.db",
            "/var/lib/analytics.db",
            "./analytics",
            "~/analytics.sqlite3",
        ] {
            assert!(hint(value).is_some(), "{value}");
        }
    }
}
