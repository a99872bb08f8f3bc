//! Measuring: what is derived from events, and how questions about them are answered.
//!
//! | module | what it is |
//! |---|---|
//! | [`facts`] | what is derived from a request at ingest and stored with its event |
//! | [`question`] | questions and answers: metrics, dimensions, filters, ranges of time |
//! | [`query`] | the query language: from JSON to questions, from answers to JSON and CSV |
//! | [`goals`] | the goals of sites, as they are configured |
//! | [`plausible`] | Plausible's formats, translated to and from the query language |
//! | [`zone`] | time zones, with their database |
//! | [`property`] | properties of events as texts |
//! | [`visits`] | how events become visits |
//! | [`columns`], [`texts`] | what a scan reads of a day |
//! | [`head`] | a day's columns while it is open |
//! | [`segment`], [`closed`] | the same once it is closed |
//! | `layout` | how rows lie in visits, as few numbers |
//! | [`kept`] | numbers that are worked out once and kept |
//! | [`visitor_numbers`] | small numbers of visitors who come again, kept between queries |
//! | [`scan`] | answers questions from the columns of days |
//! | [`themes`] | what `/themes` asks |
//! | [`days`] | where the columns of a day come from: memory, the store, or its events |
//! | [`summary`] | what remains of a day when its events have expired |
//! | `imported` | totals with the days that are known from imported logs only |
//! | [`upkeep`] | what is prepared, compared and deleted at night |
//! | [`service`] | answers queries: days, then scan, within bounds |

pub mod closed;
pub mod columns;
pub mod days;
pub mod facts;
pub mod goals;
pub mod head;
mod imported;
pub mod kept;
mod layout;
pub mod plausible;
pub mod property;
pub mod query;
pub mod question;
mod record;
pub mod scan;
pub mod segment;
pub mod service;
pub mod site_goals;
pub mod summary;
pub mod texts;
pub mod themes;
pub mod upkeep;
pub mod visitor_numbers;
pub mod visits;
pub mod zone;

#[cfg(any(test, feature = "testing"))]
pub(crate) mod naive;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
