//! PostgreSQL and Redis as `docs/postgres.md` and `compose.yaml` say to set them up: what is
//! written there is read from there, and done.
//!
//! | what is written | module |
//! |---|---|
//! | roles, grants, the user of Redis | `grants` |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod document;
mod grants;
