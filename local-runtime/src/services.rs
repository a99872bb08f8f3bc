//! What the routes share besides the [`App`].

use std::sync::Arc;

use common::App;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits::Limits;
use crate::live::{Hub, Timing};
use crate::page_views::PageViews;
use crate::store_health::StoreHealth;
use crate::timer;
use crate::turns::Turns;

/// Made once, before the first request.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) app: App,
    pub(crate) hub: Arc<Hub>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) turns: Arc<Turns>,
    pub(crate) page_views: PageViews,
    pub(crate) store_health: StoreHealth,
    /// Cancelled when the process begins to stop.
    pub(crate) stop: CancellationToken,
    background: TaskTracker,
}

impl Services {
    /// Starts everything that runs beside the requests.
    pub(crate) fn start(app: App, timing: Timing) -> Self {
        let stop = CancellationToken::new();
        let (hub, newcomers) = Hub::new(&app, timing, stop.clone());
        let limits = Arc::new(Limits::new(&app));
        let background = TaskTracker::new();
        background.spawn(Arc::clone(&hub).run(app.store.subscribe(), newcomers));
        background.spawn(Arc::clone(&limits).forget(stop.clone()));
        background.spawn(timer::keep_time(app.clone(), stop.clone()));
        background.spawn(timer::count_not_stored(app.clone(), stop.clone()));
        Self {
            page_views: PageViews::new(app.clone()),
            store_health: StoreHealth::new(&app),
            app,
            hub,
            limits,
            turns: Arc::default(),
            stop,
            background,
        }
    }

    /// Waits until clients of the live feed are sent away, page views are stored and background
    /// work has stopped, all of which `stop` makes happen.
    pub(crate) async fn drain(&self) {
        self.hub.drain().await;
        self.page_views.drain().await;
        self.background.close();
        self.background.wait().await;
    }
}
