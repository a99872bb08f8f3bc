//! What every engine must do, as named tests: one list of cases, each in a fresh store.
//!
//! An engine's test file says how a fresh store is made and expands the list:
//!
//! ```text
//! common::store_conformance!(fresh_store);
//! ```
//!
//! where `fresh_store()` is an async function that answers a fixture, or `None` to skip the case,
//! when what the engine needs is not there; then it says so.
//!
//! The list is part of the macro, and is also what the modules' cases are exported by: a case
//! that is not in the list is dead code, which does not compile.

#![deny(dead_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests: a panic is a finding")]
#![allow(missing_docs, reason = "the names of the cases say what they check")]

mod append;
mod blocks;
mod columns;
mod feed;
mod keeping;
mod outcomes;
mod property;
mod queries;
mod questions;
mod records;
pub mod recount;
mod rules;
pub mod samples;
mod summaries;
mod visitors;

use async_trait::async_trait;

use super::Store;

/// A fresh store, and what only its engine knows how to do to it.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// The store.
    fn store(&self) -> &dyn Store;
    /// The same store as another process has it open.
    async fn another(&self) -> Box<dyn Store>;
    /// Closes the store and opens it again, as a restart does.
    async fn reopen(&mut self);
    /// Changes, deletes and invents some counters behind the store's back.
    async fn corrupt(&self);
    /// Disturbs what the store depends on, in one of the ways that must not matter: whatever
    /// was appended stays right, though an append meanwhile may be refused. An engine that
    /// depends on nothing has nothing to do.
    async fn disturb(&self, _way: u8) {}
}

/// The cases of the list, by module.
pub mod cases {
    crate::store_conformance!(@list exports);
    pub use super::property::{Failure, aggregates_equal_a_recount, recount};
}

/// Expands to one test a case, for stores made by the given async function.
#[macro_export]
macro_rules! store_conformance {
    ($fresh:ident) => {
        $crate::store_conformance!(@list tests $fresh);

        mod property {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn aggregates_equal_a_recount() {
                $crate::store::conformance::cases::aggregates_equal_a_recount(super::$fresh).await;
            }
        }
    };
    (@list $what:ident $($fresh:ident)?) => {
        $crate::store_conformance!(@$what $($fresh)?;
            append: stored_events_come_back_whole, an_id_is_stored_once, ids_are_compared_within_a_site,
                the_same_event_from_many_at_once_is_stored_once, everything_survives_a_restart,
                sites_are_bounded, an_empty_batch_is_fine, the_size_grows_with_what_is_stored,
                a_closed_store_is_unavailable, versions_change_with_what_is_stored;
            questions: unknown_sites_are_empty, periods_are_those_of_the_event, weeks_across_new_year,
                uniques_are_exact_across_weeks_and_months, days_without_events_are_zeros, letters_by_type, the_active_window_slides,
                late_events_do_not_make_visitors_current, timelines_are_sorted, timelines_page_without_gaps,
                sites_do_not_mix;
            columns: themes_are_ranked, themes_span_days, expired_days_are_not_counted, clicks_are_grouped_by_place,
                clicks_name_the_most_clicked_element, heatmaps_are_cut_by_hour;
            feed: commits_are_heard_in_order, duplicates_are_not_heard, positions_grow,
                a_feed_is_resumed_without_gap_or_repeat, reads_while_events_are_committed_have_no_holes;
            blocks: blocks_come_back_by_day, a_block_is_replaced_whole, blocks_of_old_days_are_deleted;
            outcomes: what_was_not_stored_adds_up, counters_of_old_days_are_deleted;
            records: records_are_kept_until_they_are_deleted;
            queries: closed_days_are_answered_from_segments, open_days_are_answered_as_events_arrive,
                facts_and_properties_are_dimensions, queries_are_answered_while_events_arrive,
                goals_of_a_site_are_kept;
            rules: cases_have_the_answers_that_follow_from_the_rules;
            summaries: expired_days_are_answered_from_summaries, what_summaries_do_not_know_is_said,
                derived_data_is_compared_and_repaired;
            visitors: what_is_stored_of_a_visitor_is_found, an_erasure_leaves_nothing, an_erasure_is_completed,
                visitors_who_come_again_are_new, erased_ids_are_stored_again, what_has_expired_stays_counted,
                the_feed_has_a_gap, many_events_are_erased;
            keeping: the_first_secret_wins, secrets_expire, old_days_go, cleanup_is_idempotent,
                positions_are_not_given_again, long_counters_outlive_events, visitors_outlive_their_events, cleanups_are_remembered,
                a_cleanup_is_claimed_once_a_day, runs_of_a_wrong_clock_do_not_count, waiting_runs_are_remembered,
                the_days_of_events_are_known, sites_without_events_give_up_their_places, events_after_a_run_of_a_wrong_clock_are_seen,
                counts_are_verified, counts_are_rebuilt, kept_periods_are_verified_after_cleanup;
        );
    };
    (@exports; $($module:ident: $($case:ident),+;)+) => {
        $(pub mod $module {
            pub use super::super::$module::{$($case),+};
        })+
    };
    (@tests $fresh:ident; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(fixture) = super::$fresh().await {
                    $crate::store::conformance::cases::$module::$case(fixture).await;
                }
            })+
        })+
    };
}
