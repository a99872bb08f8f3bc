//! What a process holds: opened once, shared by all its handlers.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Once};

use crate::access::Access;
use crate::config::Config;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "dynamodb"))]
use crate::config::StoreUrl;
use crate::event::Event;
use crate::geoip::{GeoIp, GeoIpError};
use crate::http::answers::Answers;
use crate::identity::Identity;
use crate::measure::facts::Place;
use crate::measure::service::Service;
use crate::metrics::Metrics;
use crate::not_stored::Gathered;
use crate::site::Site;
use crate::source::Source;
use crate::space::Space;
use crate::store::{Appended, Store, StoreError};
use crate::telemetry::SPANS;
use crate::time::Timestamp;

/// The state of every handler; cloning it is cheap, as layers do for every request.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What an [`App`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// How it was configured.
    pub config: Config,
    /// Where events are.
    pub store: Arc<dyn Store>,
    /// What the operator sees.
    pub metrics: Arc<Metrics>,
    /// Who visitors are.
    pub identity: Identity,
    /// Who may read.
    pub access: Access,
    /// What answers queries.
    pub measure: Service,
    /// What was not stored and is not in the store's counters yet.
    pub not_stored: Gathered,
    /// Answers that are still right.
    pub answers: Answers,
    /// How large the store is, and may become.
    pub space: Space,
    /// Time and randomness.
    pub source: Arc<dyn Source>,
    /// Whether an untrusted proxy was reported.
    pub(crate) untrusted_proxy: Once,
    /// Where addresses are, if a database is configured.
    geoip: Option<GeoIp>,
}

impl Parts {
    /// Appends events as [`Append::append`](crate::store::Append::append) does. Events of sites that the
    /// configuration lists, and of the site `default`, are stored however many other sites there are.
    ///
    /// # Errors
    /// When the store cannot, or has reached its limit; appending the same events again is safe.
    #[tracing::instrument(target = SPANS, level = "debug", skip_all, fields(events = events.len()))]
    pub async fn append(&self, events: &[Event], now: Timestamp) -> Result<Vec<Appended>, StoreError> {
        self.space.check(&*self.store, now).await?;
        let mut appended = self.store.append(events.to_vec(), now).await?;
        let refused = |(at, answer): (usize, &Appended)| {
            (*answer == Appended::TooManySites && self.always_fits(&events[at].site)).then_some(at)
        };
        let refused: Vec<usize> = appended.iter().enumerate().filter_map(refused).collect();
        if !refused.is_empty() {
            let again: Vec<Event> = refused.iter().map(|at| events[*at].clone()).collect();
            self.store.admit_sites(&again.iter().map(|event| event.site.clone()).collect()).await?;
            for (at, answer) in refused.into_iter().zip(self.store.append(again, now).await?) {
                appended[at] = answer;
            }
        }
        Ok(appended)
    }

    /// Whether a site has a place however many others there are: it is listed, or the one called `default`.
    pub(crate) fn always_fits(&self, site: &Site) -> bool {
        *site == Site::default() || self.config.sites.as_ref().is_some_and(|sites| sites.contains(site))
    }

    /// Where an address is, as far as the configured database knows.
    #[must_use]
    pub fn place(&self, address: Option<IpAddr>) -> Option<Place> {
        Some(self.geoip.as_ref()?.place(address?))
    }
}

/// How a process lives, which engines may want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Until it is stopped.
    Process,
    /// Until it has done the one thing that it was started for, on a store that is there.
    Command,
    /// Until it has filled a store, which is created if need be.
    Import,
    /// Frozen between requests, as functions are: no work may go on in the background.
    Function,
}

/// Why a process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be opened.
    #[error("cannot open the store {url}")]
    Store {
        /// `ANALYTICS_STORE`, without a password.
        url: String,
        /// What the engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This binary was built without the engine.
    #[error("this binary was built without the engine of {0}; build it with its cargo feature")]
    NotBuilt(String),
    /// The database of places cannot be opened.
    #[error("cannot open ANALYTICS_GEOIP: {0}")]
    GeoIp(#[from] GeoIpError),
    /// The keys of JSON web tokens cannot be used.
    #[error("cannot use ANALYTICS_JWT_KEYS: {0}")]
    Jwt(String),
    /// A metric is registered twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl App {
    /// Opens the configured store and whatever else a process needs that runs until it is
    /// stopped.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub async fn open(config: Config, source: Arc<dyn Source>) -> Result<Self, OpenError> {
        Self::open_for(Life::Process, config, source).await
    }

    /// The same for a process that lives like this.
    ///
    /// # Errors
    /// When the store cannot be opened.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres", feature = "dynamodb")),
        allow(unused, unreachable_code, reason = "a program without an engine opens no store")
    )]
    pub async fn open_for(life: Life, config: Config, source: Arc<dyn Source>) -> Result<Self, OpenError> {
        let metrics = Arc::new(Metrics::new()?);
        let access = Access::new(&config).map_err(OpenError::Jwt)?;
        let geoip = config.geoip.as_deref().map(GeoIp::open).transpose()?;
        let store: Arc<dyn Store> = match &config.store {
            #[cfg(feature = "sqlite")]
            StoreUrl::Sqlite(path) => {
                use crate::store::sqlite::Sqlite;
                let store = match life {
                    Life::Command => Sqlite::open_existing(path, Arc::clone(&metrics)).await,
                    _ => Sqlite::open(path, Arc::clone(&metrics)).await,
                };
                Arc::new(store.map_err(|error| Self::cannot_open(&config.store, error))?)
            }
            #[cfg(feature = "postgres")]
            StoreUrl::Postgres(url) => {
                use crate::store::postgres::{Options, Postgres};
                let options = match life {
                    Life::Process => Options::PROCESS,
                    Life::Command => Options::COMMAND,
                    Life::Import => Options::IMPORT,
                    Life::Function => Options::FUNCTION,
                };
                metrics.show_redis()?;
                // That there is one, the configuration has seen to.
                let redis = config.redis.as_deref().unwrap_or_default();
                let store = Postgres::open(url, redis, options, Arc::clone(&metrics)).await;
                Arc::new(store.map_err(|error| Self::cannot_open(&config.store, error))?)
            }
            #[cfg(feature = "dynamodb")]
            StoreUrl::DynamoDb(url) => {
                use crate::store::dynamodb::DynamoDb;
                let (days, metrics) = (config.retention_days, Arc::clone(&metrics));
                let opened = match life {
                    Life::Command => DynamoDb::open_existing(url, days, metrics).await,
                    _ => DynamoDb::open(url, days, metrics).await,
                };
                Arc::new(opened.map_err(|error| Self::cannot_open(&config.store, error))?)
            }
            #[allow(unreachable_patterns, reason = "a binary may have all engines")]
            other => return Err(OpenError::NotBuilt(other.to_string())),
        };
        Ok(Self::assemble(config, store, metrics, source, geoip, access))
    }

    fn assemble(
        config: Config,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        source: Arc<dyn Source>,
        geoip: Option<GeoIp>,
        access: Access,
    ) -> Self {
        let measure = Service::new(&config);
        // Only a second app on the same metrics, which tests have, finds it shown.
        let _ = metrics.show(measure.capped_days().clone());
        Self(Arc::new(Parts {
            identity: Identity::new(Arc::clone(&store), Arc::clone(&source)),
            access,
            measure,
            not_stored: Gathered::default(),
            answers: Answers::new(),
            space: Space::new(config.max_store),
            config,
            store,
            metrics,
            source,
            untrusted_proxy: Once::new(),
            geoip,
        }))
    }

    /// The time, once a request: everything that the request asks is asked for this instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.source.now()
    }

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "dynamodb"))]
    fn cannot_open(url: &StoreUrl, error: StoreError) -> OpenError {
        OpenError::Store { url: url.to_string(), source: error.into() }
    }
}
