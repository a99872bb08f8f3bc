//! What else the machine was doing: figures taken beside a compiler are about the compiler.

use anyhow::{Context as _, Result};

/// Above this share the report warns.
pub(crate) const BUSY: f64 = 0.1;

/// The processors' time, in ticks since they started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// Spent on anything, idleness included.
    all: u64,
    /// Spent on programs.
    programs: u64,
    /// Spent on this program and on those of its children that have ended.
    own: u64,
}

impl Machine {
    /// Reads the clocks; none where there is no `/proc`.
    ///
    /// # Errors
    /// When Linux has changed its mind about `/proc`.
    pub(crate) fn now() -> Result<Option<Self>> {
        let (Ok(stat), Ok(own)) = (std::fs::read_to_string("/proc/stat"), std::fs::read_to_string("/proc/self/stat"))
        else {
            return Ok(None);
        };
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are within user.
        let all = numbers(stat.lines().next().unwrap_or_default(), 1, 8)?;
        // Behind the name, which may hold anything: state, then 10 others, then user and system
        // time of the process and of its ended children.
        let own = own.rsplit_once(')').map_or("", |(_, rest)| rest);
        Ok(Some(Self {
            all: all.iter().sum(),
            programs: all.iter().take(3).sum(),
            own: numbers(own, 11, 4)?.iter().sum(),
        }))
    }

    /// The share of all processors that others used from `self` to `later`, from 0 to 1.
    pub(crate) fn others(self, later: Self) -> f64 {
        let others = (later.programs - self.programs).saturating_sub(later.own - self.own);
        others as f64 / (later.all - self.all).max(1) as f64
    }
}

fn numbers(line: &str, skip: usize, take: usize) -> Result<Vec<u64>> {
    let fields = line.split_whitespace().skip(skip).take(take).map(str::parse);
    fields.collect::<Result<_, _>>().with_context(|| format!("not processor times: {line}"))
}
