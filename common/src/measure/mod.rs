//! Measuring: what is derived from events, and how questions about them are answered.
//!
//! | module | what it is |
//! |---|---|
//! | [`facts`] | what is derived from a request at ingest and stored with its event |

pub mod facts;
