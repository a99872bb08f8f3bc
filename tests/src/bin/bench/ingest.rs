//! POST /event: durable answers a second beside answers that mean nothing.

use std::sync::Arc;

use anyhow::Result;

use crate::ceiling;
use crate::context::{BASE, Context};
use crate::duel::{self, Rounds};
use crate::events::Shape;
use crate::load::Expect;
use crate::report::Figure;
use crate::request::Ring;

struct Case {
    what: &'static str,
    connections: usize,
    shape: Shape,
    /// The goal for the ratio, where the specification sets one.
    goal: Option<f64>,
}

const NAMED: Shape = Shape { visitor: true, event_id: false, timestamp: false };

const CASES: [Case; 5] = [
    Case { what: "POST /event", connections: 8, shape: NAMED, goal: None },
    Case { what: "POST /event", connections: 64, shape: NAMED, goal: Some(0.25) },
    Case { what: "POST /event", connections: 256, shape: NAMED, goal: Some(0.5) },
    Case {
        what: "POST /event with event_id",
        connections: 64,
        shape: Shape { event_id: true, ..NAMED },
        goal: Some(0.25),
    },
    Case {
        what: "POST /event cookieless",
        connections: 64,
        shape: Shape { visitor: false, ..NAMED },
        goal: Some(0.25),
    },
];

/// Adds the rows of all cases, and of the ceiling.
///
/// # Errors
/// When a process fails.
pub(crate) async fn measure(context: &mut Context) -> Result<()> {
    let server = context.server(&context.home("ingest")?, &[]).await?;
    let path = format!("{BASE}/event");
    let mut cases: Vec<_> = CASES
        .iter()
        .map(|case| {
            let product = Arc::new(Ring::events(&path, case.shape));
            let nothing = Arc::new(Ring::events(ceiling::PATH, case.shape));
            (case, product, nothing, Rounds::default(), Rounds::default())
        })
        .collect();
    for round in 1..=context.options.rounds() {
        for (case, product, nothing, top, rounds) in &mut cases {
            context.say(&format!("{}, {} connections, round {round}", case.what, case.connections));
            let plan = context.plan(&context.ceiling, case.connections, nothing, Expect::status(202));
            let above = duel::run(&mut context.report, "ceiling", plan).await?;
            top.add(&above, None);
            let plan = context.plan(&server, case.connections, product, Expect::status(201));
            let found = duel::run(&mut context.report, case.what, plan).await?;
            rounds.add(&found, Some(&above));
        }
    }
    for (case, _, _, top, rounds) in cases {
        context.report.add(top.row("ceiling POST", case.connections, 1.0));
        let row = rounds.row(case.what, case.connections, 1.0);
        context.report.add(match case.goal {
            Some(goal) => row.at_least(Figure::Ratio, goal).at_most(Figure::P99, 25.0),
            None => row,
        });
    }
    server.stop().await
}
