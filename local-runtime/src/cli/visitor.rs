//! `visitor`: what is stored of one visitor.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use common::App;
use common::site::Site;
use common::visitor::VisitorId;

use super::{Failure, say};
use crate::event_line;

/// Who asks, as the log has it.
const BY: &str = "command line";

/// What is to be done with a visitor's data.
#[derive(Debug, Args)]
pub(super) struct Visitor {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write the visitor's events as lines of JSON, oldest first
    Export(Named),
    /// Erase the visitor's events and whatever was made of them, and print what was erased as JSON
    ///
    /// If it breaks off, run it again: that does the rest.
    Erase(Named),
}

#[derive(Debug, Args)]
struct Named {
    /// The site [default: default]
    #[arg(long, value_name = "SITE", value_parser = super::import::site)]
    site: Option<Site>,
    /// The id that the site sent with the visitor's events
    #[arg(value_name = "VISITOR_ID", value_parser = visitor)]
    visitor: VisitorId,
}

fn visitor(text: &str) -> Result<VisitorId, &'static str> {
    VisitorId::parse(text).ok_or("a visitor's id is a UUID")
}

impl Visitor {
    pub(super) async fn run(self, app: &App) -> Result<(), Failure> {
        match self.action {
            Action::Export(Named { site, visitor }) => {
                let site = site.unwrap_or_default();
                let mut after = None;
                loop {
                    let page = app.export_visitor(&site, visitor, after, BY).await?;
                    let mut stdout = io::stdout().lock();
                    for event in &page.events {
                        let line = event_line::write(event).map_err(|error| Failure::Failed(error.to_string()))?;
                        let written = stdout.write_all(&line);
                        written.map_err(|error| Failure::Failed(format!("cannot write: {error}")))?;
                    }
                    after = page.next;
                    if after.is_none() {
                        return Ok(());
                    }
                }
            }
            Action::Erase(Named { site, visitor }) => {
                let erased = app.erase_visitor(&site.unwrap_or_default(), visitor, BY).await?;
                say(serde_json::to_string(&erased).map_err(|error| Failure::Failed(error.to_string()))?);
                Ok(())
            }
        }
    }
}
