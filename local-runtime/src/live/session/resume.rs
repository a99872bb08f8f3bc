//! What was missed while a client was away. The order and the promises are in [`crate::live`].

use common::collect::error_text;
use common::store::Position;
use uuid::Uuid;

use super::{End, PAGE, Session};
use crate::live::{MOST_MISSED, message};

impl Session {
    /// Sends what was committed after the event with this id and before this connection's own
    /// first event.
    pub(super) async fn resume(&mut self, after: Uuid) -> Result<(), End> {
        let hub = std::sync::Arc::clone(&self.hub);
        let start = match hub.app.store.position(&self.subscription.channel.site, after).await {
            Ok(Some(position)) => position,
            Ok(None) => return self.send(vec![message::gap()]).await,
            Err(error) => {
                tracing::error!(error = error_text(&error), "the place of an event could not be read");
                return self.send(vec![message::error("missed events cannot be had now; try again later")]).await;
            }
        };
        self.seen = self.seen.max(Some(start));
        let began = self.began.unwrap_or(Position(u64::MAX));
        let mut last = start;
        let mut left = MOST_MISSED;
        while last < began {
            let Some(mut page) = self.read_after(last).await else {
                return self.send(vec![message::error("missed events cannot be had now; try again later")]).await;
            };
            let read = page.len();
            page.retain(|committed| committed.position < began);
            let at_the_end = read < PAGE || page.len() < read;
            let too_many = page.len() > left;
            page.truncate(left);
            left -= page.len();
            if let Some(committed) = page.last() {
                last = committed.position;
                self.seen = self.seen.max(Some(last));
                self.send_events(&page).await?;
            }
            if too_many {
                hub.app.metrics.websocket_gaps_total.inc();
                return self.send(vec![message::gap()]).await;
            }
            if at_the_end {
                break;
            }
        }
        self.began = Some(began.min(Position(start.0 + 1)));
        Ok(())
    }
}
