//! `share`: links that show one site's dashboard.

use clap::{Args, Subcommand};
use common::App;
use common::access::{MOST_SHARES, lifetime};
use common::site::Site;
use uuid::Uuid;

use super::{Failure, say};

/// A new link, or what is to be done with those that there are.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Share {
    #[command(subcommand)]
    action: Option<Action>,
    /// The site that the new link shows [default: default]
    #[arg(long, value_name = "SITE", value_parser = super::import::site)]
    site: Option<Site>,
    /// How long it lasts, such as 12h or 30d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    expires: Option<i64>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the links that have neither expired nor been revoked: id, site, creation and expiry
    List,
    /// Revoke a link; running servers refuse it after ten seconds at the latest
    Revoke {
        /// Its id, as `share list` prints it
        id: Uuid,
    },
}

impl Share {
    pub(super) async fn run(self, app: &App) -> Result<(), Failure> {
        let expiry = |share: &common::access::Share| {
            share.expires_at.map_or_else(|| "never".to_owned(), |expires| expires.to_string())
        };
        match self.action {
            None => {
                let site = self.site.unwrap_or_default();
                common::collect::allowed_site(app, &site).map_err(|refusal| Failure::Usage(refusal.message))?;
                let (token, share) = app.share(&site, self.expires).await?.ok_or_else(|| {
                    Failure::Failed(format!("there may be at most {MOST_SHARES} share links; revoke some"))
                })?;
                let address = super::serve::reachable(app.config.addr);
                say(format_args!("link     http://{address}/{}", share.link(&token)));
                say(format_args!("id       {}\nexpires  {}", share.id, expiry(&share)));
            }
            Some(Action::List) => {
                for share in app.shares().await? {
                    say(format_args!("{}  {}  {}  {}", share.id, share.site, share.created_at, expiry(&share)));
                }
            }
            Some(Action::Revoke { id }) => {
                if !app.revoke_share(id).await? {
                    return Err(Failure::Failed("there is no such share link".to_owned()));
                }
                say("revoked");
            }
        }
        Ok(())
    }
}
