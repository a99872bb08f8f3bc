//! Fuzzing: `make fuzz ARGS='event 60'`. One program for all targets, chosen by `FUZZ_TARGET`, so that
//! everything is compiled and linked once. What the targets check is in `common::fuzzing` and
//! `local_runtime::fuzzing`; ordinary tests there run the corpus.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| match std::env::var("FUZZ_TARGET").as_deref() {
    Ok("event") => common::fuzzing::event,
    Ok("url") => common::fuzzing::url,
    Ok("query") => common::fuzzing::query,
    Ok("segment") => common::fuzzing::segment,
    Ok("log_line") => local_runtime::fuzzing::log_line,
    Ok("message") => local_runtime::fuzzing::message,
    Ok("cursor") => local_runtime::fuzzing::cursor,
    _ => panic!("FUZZ_TARGET must be event, url, query, segment, log_line, message or cursor"),
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
