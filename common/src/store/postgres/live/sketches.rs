//! What a sketch must say: asked of Redis itself, which fills one beside the others.
//!
//! A sketch follows from who is in it, not from the order or the way in which they came. So two
//! of the same visitors say the same, to the last one, however wrong both may be about how many
//! there are.

use std::collections::HashSet;

use redis::{Pipeline, Value};
use uuid::Uuid;

use super::link::LONG_PATIENCE;
use super::{Away, Parts};
use crate::site::Site;
use crate::visitor::VisitorId;

/// Visitors in one command, and commands in one go.
const MOST_OF_ONE: usize = 1_000;
const MOST_COMMANDS: usize = 100;
/// After how many seconds a sketch goes that was left behind.
const LIFE: u64 = 60;

impl Parts {
    /// The estimate of a sketch of these visitors.
    pub(super) async fn estimate(&self, site: &Site, visitors: &HashSet<VisitorId>) -> Result<u64, Away> {
        // Beside the site's own keys, and none of them.
        let name = format!("analytics:{{{site}}}:verify:{}", Uuid::new_v4());
        let mut pipeline = Pipeline::new();
        pipeline.cmd("PFADD").arg(&name);
        pipeline.cmd("EXPIRE").arg(&name).arg(LIFE);
        let all: Vec<&[u8; 16]> = visitors.iter().map(VisitorId::as_bytes).collect();
        for visitors in all.chunks(MOST_OF_ONE) {
            pipeline.cmd("PFADD").arg(&name).arg(visitors);
            if pipeline.len() >= MOST_COMMANDS {
                self.link.ask_within(LONG_PATIENCE, "verify", &std::mem::take(&mut pipeline)).await?;
            }
        }
        pipeline.cmd("EXPIRE").arg(&name).arg(LIFE);
        pipeline.cmd("PFCOUNT").arg(&name);
        pipeline.cmd("DEL").arg(&name);
        match self.link.ask_within(LONG_PATIENCE, "verify", &pipeline).await?.as_slice() {
            [.., Value::Int(estimate), Value::Int(1)] => Ok(estimate.unsigned_abs()),
            // It has gone meanwhile: what was read beside it may have, too.
            _ => Err(Away),
        }
    }
}
