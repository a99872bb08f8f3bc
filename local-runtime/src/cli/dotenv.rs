//! The file `.env` in the working folder.

use std::path::PathBuf;
use std::{fs, io};

use super::Failure;

/// Adds the variables of `.env` in the working folder to the process's environment, but for those
/// that it has already, empty ones included. Folders above are not searched: what is read must be
/// seen at once. Called before any other thread exists.
///
/// Answers the file's path; `None` when there is none.
///
/// # Errors
/// Of usage, when the file cannot be read or a line of it is no assignment.
pub(super) fn load() -> Result<Option<PathBuf>, Failure> {
    let path = std::env::current_dir().unwrap_or_default().join(".env");
    let failed = |reason: String| Failure::Usage(format!("{}: {reason}", path.display()));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    check(&text).map_err(failed)?;
    dotenvy::from_read(text.as_bytes()).map_err(|error| failed(error.to_string()))?;
    Ok(Some(path))
}

/// Says where the first line is that cannot be read, but nothing of it: it may be a password.
fn check(text: &str) -> Result<(), String> {
    let mut before = None;
    for variable in dotenvy::from_read_iter(text.as_bytes()) {
        let Ok((name, _)) = variable else {
            let place = before.map_or("the first variable".to_owned(), |name| format!("the variable after {name}"));
            return Err(format!(
                "{place} cannot be read: lines are NAME=value, with '…' around values of spaces, quotes, $ or \\"
            ));
        };
        // A line of base64 can look like a variable.
        if name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_') {
            before = Some(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copied to `.env`, with everything in it switched on, it says what is the default anyway.
    #[test]
    fn the_example_can_be_read_as_it_is() {
        let example = include_str!("../../../.env.example");
        let example = example.replace("\n# ANALYTICS_", "\nANALYTICS_").replace("\n# OTEL_", "\nOTEL_");
        let read: Vec<_> = dotenvy::from_read_iter(example.as_bytes()).map(Result::unwrap).collect();
        let listed: Vec<_> = common::config::VARIABLES
            .iter()
            .map(|variable| (variable.name.to_owned(), variable.default.to_owned()))
            .collect();
        assert_eq!(read, listed);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_not_shown() {
        for (text, said) in [
            ("A=1\nB='2'\nC=hunter2 hunter2\nD=4", "the variable after B"),
            ("A=1\nhunter2==\nC=3 3", "the variable after A"),
            ("# A=1\nhunter2", "the first variable"),
        ] {
            let reason = check(text).unwrap_err();
            assert!(reason.starts_with(said) && !reason.contains("hunter2"), "{reason}");
        }
    }
}
