//! The whole product in one process; see [`local_runtime`] and `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    local_runtime::cli::main()
}
