//! A Combined log of days long ago: the only way to events older than the wire allows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;

use crate::dice::Dice;
use crate::events;

const DAY: u64 = 86_400;
/// A day older than this would fall out of the default retention while the bench runs.
const AGE_DAYS: u64 = 89;

/// Page views of a visitor, who does not come again.
pub(crate) const VIEWS: u64 = 4;
/// Visitors who are there at the same time.
const PRESENT: u64 = 8;
/// A tenth of the pages has nine tenths of the views.
const PAGES: u64 = 2_000;
/// Half of the visitors come from one of so many sites.
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
        let visitor = line / (PRESENT * VIEWS) * PRESENT + line % PRESENT;
        let is_first = (line / PRESENT).is_multiple_of(VIEWS);
        let address = format!("10.{}.{}.{}", visitor >> 16 & 255, visitor >> 8 & 255, visitor & 255);
        let agent = events::user_agent(visitor % events::AGENTS);
        let page = if dice.chance(90) { dice.below(PAGES / 10) } else { dice.below(PAGES) };
        let referrer = match is_first && dice.chance(50) {
            true => format!("https://source{}.example/", dice.below(REFERRERS)),
            false => "-".to_owned(),
        };
        // No two lines are the same.
        let bytes = line % 100_000;
        writeln!(
            file,
            "{address} - - [{time}] \"GET /blog/a-page-about-something-{page} HTTP/1.1\" 200 {bytes} \"{referrer}\" \"{agent}\""
        )?;
    }
    file.flush()?;
    Ok(())
}
