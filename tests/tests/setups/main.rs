//! PostgreSQL and Redis as `docs/postgres.md` and `compose.yaml` say to set them up: what is
//! written there is read from there, and done.
//!
//! | what is written | module |
//! |---|---|
//! | the servers in `compose.yaml` | `compose` |
//! | roles, grants, the user of Redis | `grants` |
//! | poolers of connections | `pooler` |
//! | encrypted connections, and a certification authority of one's own | `tls` |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod compose;
mod document;
mod grants;
mod pooler;
mod tls;
