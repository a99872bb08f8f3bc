//! Measuring: what is derived from events, and how questions about them are answered.
//!
//! | module | what it is |
//! |---|---|
//! | [`facts`] | what is derived from a request at ingest and stored with its event |
//! | [`question`] | questions and answers: metrics, dimensions, filters, ranges of time |
//! | [`query`] | the query language: from JSON to questions, from answers to JSON and CSV |
//! | [`plausible`] | Plausible's formats, translated to and from the query language |
//! | [`zone`] | time zones, with their database |

pub mod facts;
pub mod plausible;
pub mod query;
pub mod question;
pub mod zone;
