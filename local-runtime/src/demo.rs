//! A stream of made-up visitors, sent to a running server as a browser would send it, so that
//! there is something to look at.
//!
//! `visits` makes visitors up, `send` sends one event, `history` stores days that are over; here the pace is kept. Rate limits
//! are respected: an event that comes back with 429 waits for as long as `Retry-After` says, and is
//! then sent again.

mod dice;
mod history;
mod send;
mod visits;

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use common::App;
use common::outcome::Refusal;
use common::site::Site;
use common::store::StoreError;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use self::send::{Sent, Server};
use self::visits::Crowd;

/// What is sent, where, how fast and for how long.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Events a second, 0.1 to 1000
    #[arg(long, default_value_t = 5.0, value_name = "N", value_parser = parse_rate)]
    rate: f64,
    /// How long, such as 90s, 10m or 2h; Ctrl-C ends it sooner
    #[arg(long = "for", default_value = "10m", value_name = "DURATION", value_parser = parse_duration)]
    duration: Duration,
    /// Stores this many days of visitors at once, 1 to 90, today included, in the store at
    /// ANALYTICS_STORE, and sends nothing
    #[arg(long, value_name = "DAYS", conflicts_with_all = ["rate", "duration", "url"],
        value_parser = clap::value_parser!(u32).range(1..=90))]
    days: Option<u32>,
    /// The server, http://HOST:PORT; none: the one at ANALYTICS_ADDR
    #[arg(long)]
    url: Option<Server>,
    /// The site that is visited
    #[arg(long, default_value = "default", value_parser = parse_site)]
    site: Site,
}

/// Why a demonstration ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// No server answers.
    #[error("no server answers at {server}: {reason}; `local-runtime serve` starts one")]
    NoServer {
        /// Where.
        server: String,
        /// What the system said.
        reason: String,
    },
    /// The site is none of those that are measured.
    #[error(transparent)]
    Site(#[from] Refusal),
    /// One more site than a store takes.
    #[error("the site is new, and there may be at most {} sites", Site::MOST)]
    TooManySites,
    /// The store cannot take events.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The server does not want the events.
    #[error("the server at {server} answered {status}: {message}")]
    Refused {
        /// Where.
        server: String,
        /// The status.
        status: u16,
        /// What it said.
        message: String,
    },
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events that the server took.
    pub events: u64,
    /// Visitors that were made up.
    pub visitors: u64,
    /// How often the server asked to wait.
    pub waits: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events of {} visitors", self.events, self.visitors)?;
        if self.waits > 0 {
            write!(
                f,
                "; the server asked to wait {} times, as it does when a rate limit is used up \
                 (ANALYTICS_RATE_LIMIT raises it)",
                self.waits
            )?;
        }
        Ok(())
    }
}

impl Demo {
    /// Whether days are stored, for which the store has to be open, instead of events sent.
    #[must_use]
    pub const fn is_history(&self) -> bool {
        self.days.is_some()
    }

    /// Stores the days that are asked for.
    ///
    /// # Errors
    /// When the site is not measured, or the store fails.
    pub async fn store(self, app: &App) -> Result<Summary, DemoError> {
        history::store(app, &self.site, self.days.unwrap_or_default()).await
    }

    /// Sends events until the time is over or Ctrl-C. Without `--url` the server is the one
    /// that listens on `address`.
    ///
    /// # Errors
    /// When there is no server, it goes away, or it refuses an event.
    pub async fn run(self, address: SocketAddr) -> Result<Summary, DemoError> {
        let server = self.url.clone().unwrap_or_else(|| Server::at(address));
        let status = ProgressBar::new_spinner();
        let style =
            ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        status.set_style(style);
        let mut summary = Summary::default();
        let ended = tokio::select! {
            ended = self.stream(&server, &status, &mut summary) => ended,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        status.finish_and_clear();
        ended.map(|()| summary)
    }

    async fn stream(&self, server: &Server, status: &ProgressBar, summary: &mut Summary) -> Result<(), DemoError> {
        let end = Instant::now() + self.duration;
        let mut crowd = Crowd::new(self.site.clone());
        let mut ticks = interval(Duration::from_secs_f64(1.0 / self.rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = sleep_until(end) => return Ok(()),
            }
            let next = crowd.next_event();
            loop {
                let (wait, why) = match server.send(&next).await? {
                    Sent::Taken => break,
                    Sent::Limited(wait) => (wait, "its rate limit is used up (ANALYTICS_RATE_LIMIT raises it)"),
                    Sent::Unavailable(wait) => (wait, "its store is away"),
                };
                if summary.waits == 0 {
                    let told = format!("the server asks to wait {} s: {why}", wait.as_secs());
                    status.suspend(|| writeln!(io::stderr(), "{told}")).unwrap_or_default();
                }
                summary.waits += 1;
                if Instant::now() + wait > end {
                    return Ok(());
                }
                sleep(wait).await;
            }
            summary.events += 1;
            summary.visitors = crowd.visitors();
            status.set_message(format!(
                "{} events of {} visitors sent to {server}, {} visits under way, {} waits; Ctrl-C ends",
                summary.events,
                summary.visitors,
                crowd.present(),
                summary.waits
            ));
            status.tick();
        }
    }
}

fn parse_rate(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|rate| (0.1..=1_000.0).contains(rate)).ok_or("a number from 0.1 to 1000")
}

fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    let whole = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
    let whole = whole.filter(|seconds| (1..=604_800).contains(seconds));
    whole.map(Duration::from_secs).ok_or("a time such as 90s, 10m or 2h, at most a week")
}

fn parse_site(text: &str) -> Result<Site, String> {
    Site::parse(text).ok_or_else(|| format!("a site is {}", Site::RULE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_rates() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7_200)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "m", "0s", "-5s", "1d", "1.5h", "200h", "99999999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_rate("0.5"), Ok(0.5));
        for bad in ["0", "1001", "NaN", "inf", "x"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }
}
