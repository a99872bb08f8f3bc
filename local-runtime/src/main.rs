//! The whole product in one process; see [`local_runtime`] and `--help`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    local_runtime::allocator::give_back_soon();
    local_runtime::cli::main()
}
