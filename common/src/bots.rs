//! Tells bots from people by their user agent.

use std::sync::LazyLock;

use isbot::Bots;

static BOTS: LazyLock<Bots> = LazyLock::new(Bots::default);

/// Whether a user agent is a known bot's, by the list of the `isbot` crate.
#[must_use]
pub fn is_bot(user_agent: &str) -> bool {
    BOTS.is_bot(user_agent)
}
