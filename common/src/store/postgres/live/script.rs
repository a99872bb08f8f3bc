//! The Lua scripts: each changes all that it changes, or is as if it had not run.

use redis::{Cmd, Script};

/// The scripts, loaded whenever a connection is made.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) apply: Script,
    pub(super) begin: Script,
    pub(super) fill: Script,
    pub(super) charge: Script,
    pub(super) claim: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            apply: Script::new(include_str!("lua/apply.lua")),
            begin: Script::new(include_str!("lua/begin.lua")),
            fill: Script::new(include_str!("lua/fill.lua")),
            charge: Script::new(include_str!("lua/charge.lua")),
            claim: Script::new(include_str!("lua/claim.lua")),
        }
    }

    /// All of them.
    pub(super) fn each(&self) -> [&Script; 5] {
        [&self.apply, &self.begin, &self.fill, &self.charge, &self.claim]
    }
}

/// A call of a script by its hash.
pub(super) fn call(script: &Script, keys: &[String]) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(script.get_hash()).arg(keys.len()).arg(keys);
    command
}
