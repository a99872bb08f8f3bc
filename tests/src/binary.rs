//! The built programs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

/// Where the program is: what `LOCAL_RUNTIME_BIN` names, or else see [`function`].
pub fn path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| variable("LOCAL_RUNTIME_BIN").map_or_else(|| function("local-runtime"), PathBuf::from))
}

/// Where the binary of a package is: in the folder that `ANALYTICS_TEST_BINARIES` names, or else
/// it is built, once a process, with the cargo that runs the tests and in their profile.
#[must_use]
pub fn function(name: &str) -> PathBuf {
    static PATHS: OnceLock<Mutex<HashMap<String, PathBuf>>> = OnceLock::new();
    if let Some(folder) = variable("ANALYTICS_TEST_BINARIES") {
        return PathBuf::from(folder).join(name);
    }
    let mut paths = PATHS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    paths.entry(name.to_owned()).or_insert_with(|| build(name)).clone()
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").into()
}

/// A variable of the tests' own environment, when it is set and not empty.
#[allow(clippy::disallowed_methods, reason = "the harness has no configuration to read it for")]
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn build(package: &str) -> PathBuf {
    let mut cargo = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    cargo.current_dir(workspace()).stderr(Stdio::inherit());
    cargo.args(["build", "--package", package, "--bin", package]);
    cargo.arg("--message-format=json-render-diagnostics");
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.output().expect("cargo runs");
    assert!(built.status.success(), "{package} does not build");
    String::from_utf8_lossy(&built.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == package)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names the program it built")
}
