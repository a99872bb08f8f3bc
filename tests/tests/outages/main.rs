//! PostgreSQL and Redis beneath the product, failing in every way they can, and several instances
//! of it on the same two: each test has servers of its own to kill.
//!
//! | promise | module |
//! |---|---|
//! | Redis may die: events go on, answers stay right, it heals by itself | `redis` |
//! | PostgreSQL away is a fast 503, and nothing is lost or counted twice | `postgres` |
//! | whatever dies when, in any order | `kills` |
//! | several instances are one | `instances` |
//! | instances are restarted one after the other, and no client notices | `rolling` |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod instances;
mod kills;
mod postgres;
mod redis;
mod rolling;
mod stores;
