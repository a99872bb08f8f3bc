//! The environment variables, for `--help`.

use std::fmt::Write;
use std::sync::LazyLock;

use common::config::VARIABLES;

static HELP: LazyLock<String> = LazyLock::new(|| {
    let mut help = String::from("Environment variables, also read from a file .env in the working folder [default]:\n");
    for variable in VARIABLES {
        // Writing to a string cannot fail.
        let _ = match variable.default {
            "" => writeln!(help, "  {}", variable.name),
            default => writeln!(help, "  {} [{default}]", variable.name),
        };
        let _ = writeln!(help, "          {}", variable.meaning);
    }
    help.push_str("  RUST_LOG [info]\n          what is logged, such as warn or access=warn,info\n\n");
    help.push_str("Exit codes: 0; 1 for a failed run or a difference found; 64 for usage and configuration.");
    help
});

/// All variables with their defaults and meanings, and the exit codes.
pub(super) fn help() -> &'static str {
    &HELP
}
