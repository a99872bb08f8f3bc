//! POST /events: what a relay or an importer gets through.

use std::sync::Arc;

use anyhow::Result;

use crate::ceiling;
use crate::context::{BASE, Context};
use crate::duel::{self, Rounds};
use crate::events::Shape;
use crate::load::Expect;
use crate::report::Figure;
use crate::request::Ring;

const CONNECTIONS: usize = 8;
const BATCH: usize = 100;

/// Adds the row of the batches, and of the ceiling.
///
/// # Errors
/// When a process fails.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let server = context.server(&context.home("batch")?, &[]).await?;
    let shape = Shape { visitor: true, ..Shape::default() };
    let product = Arc::new(Ring::batches(&format!("{BASE}/events"), shape, BATCH));
    let nothing = Arc::new(Ring::batches(ceiling::PATH, shape, BATCH));
    let stored = Expect { status: 200, part: Some(format!("\"stored\":{BATCH}")) };
    let (mut top, mut rounds) = (Rounds::default(), Rounds::default());
    for round in 1..=context.options.rounds() {
        context.say(&format!("POST /events, round {round}"));
        let plan = context.plan(&context.ceiling, CONNECTIONS, &nothing, Expect::status(202));
        let above = duel::run(&mut context.report, "ceiling", plan).await?;
        top.add(&above, None);
        let plan = context.plan(&server, CONNECTIONS, &product, stored.clone());
        let found = duel::run(&mut context.report, "POST /events", plan).await?;
        rounds.add(&found, Some(&above));
    }
    let work = BATCH as f64;
    context.report.add(top.row("ceiling POST, events by 100", CONNECTIONS, work));
    let row = rounds.row("POST /events, events by 100", CONNECTIONS, work);
    context.report.add(row.at_least(Figure::Rate, 100_000.0));
    server.stop().await
}
