//! When the allocator gives freed memory back to the system.

/// What mimalloc reads: after how many milliseconds.
#[cfg(unix)]
const VARIABLE: &str = "MIMALLOC_PURGE_DELAY";

/// Has freed memory given back after a millisecond, unless the environment says otherwise. By default it takes a
/// second, in which queries free and take so much that the process holds about twice what they may take.
///
/// The allocator reads the environment before any code of a program runs, and can otherwise be told only by
/// unsafe code. So the program replaces itself by the same with the variable set, under the same process id. Where
/// that is not possible, it goes on as it is.
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "the variable is the allocator's, and configures nothing else")]
pub fn give_back_soon() {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    let mut arguments = std::env::args_os();
    if std::env::var_os(VARIABLE).is_none()
        && let Ok(program) = std::env::current_exe()
        && let Some(name) = arguments.next()
    {
        // It returns only if it fails.
        let _ = Command::new(program).arg0(name).args(arguments).env(VARIABLE, "1").exec();
    }
}

/// The same; the default stays.
#[cfg(not(unix))]
pub fn give_back_soon() {}
