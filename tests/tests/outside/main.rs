//! The product from outside: one module a promise.
//!
//! | promise | modules |
//! |---|---|
//! | events are taken, and answered as the contract says | `outcomes`, `batches`, `collect_path`, `bounds`, `identity`, `sites` |
//! | clients of Plausible work | `clients` |
//! | the description of the API holds | `description` |
//! | failures have one shape | `failures`, `parameters` |
//! | questions are answered right | `figures`, `recount`, `periods`, `timeline`, `heatmap`, `realtime` |
//! | nothing is lost or counted twice | `crash`, `shutdown` |
//! | reads are closed where they are to be | `access` |
//! | no person can be identified, and what is stored of one can be erased | `privacy`, `addresses`, `visitor` |
//! | the feed is live and complete | `live`, `resume`, `crowd`, `slow` |
//! | hostile input has bounds | `limits`, `labels`, `hostile` |
//! | operators can see and steer | `metrics`, `traces`, `cli`, `import`, `export`, `backup`, `retention` |
//! | browsers are served | `pages`, `static_site`, `cors` |
//! | functions run in the cloud as they do here | `functions`, `lambda_fronts`, `lambda_cleanup`, `lambda_metrics`, `lambda_pages`, `template`, `prices` |

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod access;
mod addresses;
mod backup;
mod batches;
mod bounds;
mod cli;
mod clients;
mod collect_path;
mod cors;
mod crash;
mod crowd;
mod description;
mod export;
mod failures;
mod figures;
mod functions;
mod heatmap;
mod hostile;
mod identity;
mod import;
mod labels;
mod lambda_cleanup;
mod lambda_fronts;
mod lambda_metrics;
mod lambda_pages;
mod limits;
mod live;
mod metrics;
mod outcomes;
mod pages;
mod parameters;
mod periods;
mod prices;
mod privacy;
mod realtime;
mod recount;
mod resume;
mod retention;
mod shutdown;
mod sites;
mod slow;
mod static_site;
mod template;
mod timeline;
mod traces;
mod visitor;
