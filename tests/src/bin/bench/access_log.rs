//! A Combined log of days long ago: the only way to events older than the wire allows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;

use crate::dice::Dice;
use crate::events;
use crate::request;

const DAY: u64 = 86_400;
/// A day older than this would fall out of the default retention while the bench runs.
const AGE_DAYS: u64 = 89;

/// A tenth of the pages has nine tenths of the views.
const PAGES: u64 = 2_000;
/// So many in a hundred views have a referrer, of one of so many sites.
const REFERRED: u64 = 50;
const REFERRERS: u64 = 60;

/// Writes `lines` page views, evenly over so many days, the first of which began 89 days ago.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(path: &Path, lines: u64, days: u64) -> Result<()> {
    let start = jiff::Timestamp::now().as_second() - (AGE_DAYS * DAY) as i64;
    let mut dice = Dice::new(3);
    let mut file = BufWriter::new(File::create(path)?);
    for line in 0..lines {
        let second = start + (line * days * DAY / lines) as i64;
        let time = jiff::Timestamp::from_second(second)?.strftime("%d/%b/%Y:%H:%M:%S +0000");
        // Ten lines a visitor, seconds apart from each other: no two lines are the same.
        let visitor = request::visit(line);
        let address = format!("10.{}.{}.{}", visitor >> 16 & 255, visitor >> 8 & 255, visitor & 255);
        let agent = events::user_agent(visitor % events::AGENTS);
        let page = if dice.chance(90) { dice.below(PAGES / 10) } else { dice.below(PAGES) };
        let referrer = match dice.chance(REFERRED) {
            true => format!("https://source{}.example/", dice.below(REFERRERS)),
            false => "-".to_owned(),
        };
        writeln!(
            file,
            "{address} - - [{time}] \"GET /blog/a-page-about-something-{page} HTTP/1.1\" 200 5120 \"{referrer}\" \"{agent}\""
        )?;
    }
    file.flush()?;
    Ok(())
}
