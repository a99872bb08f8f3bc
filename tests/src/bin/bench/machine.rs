//! What else the machine is doing: figures taken beside a compiler are about the compiler.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Above this share the report warns.
pub(crate) const BUSY: f64 = 0.1;

/// The share of all processors that others keep busy now, from 0 to 1; asked before this program
/// has begun to work. 0 where there is no `/proc`.
///
/// # Errors
/// When Linux has changed its mind about `/proc/stat`.
pub(crate) async fn busy() -> Result<f64> {
    let Some(before) = ticks()? else { return Ok(0.0) };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = ticks()?.unwrap_or(before);
    let all = after.all.saturating_sub(before.all).max(1);
    Ok(1.0 - after.idle.saturating_sub(before.idle) as f64 / all as f64)
}

#[derive(Clone, Copy)]
struct Ticks {
    all: u64,
    idle: u64,
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal; guests are in user.
fn ticks() -> Result<Option<Ticks>> {
    let Ok(text) = std::fs::read_to_string("/proc/stat") else { return Ok(None) };
    let line = text.lines().next().context("/proc/stat is empty")?;
    let fields = line.split_whitespace().skip(1).take(8).map(str::parse);
    let fields = fields.collect::<Result<Vec<u64>, _>>().with_context(|| line.to_owned())?;
    let idle = fields.iter().skip(3).take(2).sum();
    Ok(Some(Ticks { all: fields.iter().sum(), idle }))
}
