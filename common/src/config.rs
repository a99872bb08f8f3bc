//! Configuration: environment variables only, read here and nowhere else.
//!
//! All mistakes are reported together, each naming its variable, so that one start is enough
//! to learn of all of them.

mod dynamodb;
mod jwt;
mod origin;
mod platform;
mod reader;
mod sqlite;
#[cfg(test)]
mod tests;
mod values;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

pub use self::dynamodb::DynamoDbUrl;
pub use self::jwt::{JwtConfig, JwtKeys};
pub use self::platform::{Keys, Platform};
use self::reader::Reader;
pub use self::values::{AddressHeader, IdentityMode, LogFormat, StoreUrl};
pub use self::variables::{VARIABLES, Variable};
use crate::access::{Plans, ReadAuth, Tokens};
use crate::measure::goals::GoalList;
use crate::measure::zone::Zone;
use crate::site::Site;

/// The smallest bound of the store's size, so that a mistyped unit is a mistake.
const LEAST_MAX_STORE: u64 = 64 << 20;

/// A valid configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the local runtime listens.
    pub addr: SocketAddr,
    /// Where events are kept.
    pub store: StoreUrl,
    /// The Redis beside a PostgreSQL store.
    pub redis: Option<String>,
    /// What happens to visitors who bring no id.
    pub identity: IdentityMode,
    /// Networks of reverse proxies, which say who the client is.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say it.
    pub client_address_header: AddressHeader,
    /// Which origins browsers may send from, with credentials; none: any, without.
    pub allowed_origins: Vec<String>,
    /// Origins whose pages may show the dashboard in a frame.
    pub frame_ancestors: Vec<String>,
    /// Networks whose events are filtered.
    pub ignored: Vec<IpNet>,
    /// The file of a database that tells where addresses are.
    pub geoip: Option<PathBuf>,
    /// Which sites are measured; `None` for any.
    pub sites: Option<BTreeSet<Site>>,
    /// Days that events are kept.
    pub retention_days: u32,
    /// Months that daily summaries are kept.
    pub summary_months: u32,
    /// The bytes that the store may have; `None` for any.
    pub max_store: Option<u64>,
    /// Hour and minute of the daily cleanup, UTC.
    pub cleanup_at: (u8, u8),
    /// Events a minute and address.
    pub rate_limit: u32,
    /// Questions a minute and address.
    pub read_limit: u32,
    /// Live connections.
    pub ws_max: usize,
    /// Live connections an address.
    pub ws_max_per_address: usize,
    /// Milliseconds after an event that a visitor counts as current.
    pub active_window: i64,
    /// The time zone of queries that name none.
    pub timezone: Zone,
    /// What sites want their visitors to do.
    pub goals: GoalList,
    /// Memory for the columns that queries read, in bytes.
    pub query_memory: u64,
    /// Whether reads need a token.
    pub read_auth: ReadAuth,
    /// The tokens that are accepted; without one that has the scope, admin calls are off.
    pub tokens: Tokens,
    /// How JSON web tokens are checked; without it none is accepted.
    pub jwt: Option<JwtConfig>,
    /// What the plans of JSON web tokens have.
    pub plans: Plans,
    /// Whether `DNT` and `Sec-GPC` are honoured.
    pub honor_opt_out: bool,
    /// Where trackers send events, besides the API's own paths.
    pub collect_path: String,
    /// The name of the tracker script at the root, besides `script.js` and `mcv.js`.
    pub script_name: String,
    /// How many seconds the process goes on serving after SIGTERM or SIGINT.
    pub shutdown_delay: u64,
    /// Seconds that requests in flight may take when the process is asked to stop.
    pub shutdown_seconds: u64,
    /// How log lines are written.
    pub log: LogFormat,
    /// Where traces are sent, by OTLP over HTTP; the exporter reads this variable itself, and those beside it.
    pub otlp_endpoint: Option<String>,
    /// Whether Lambda functions write their metrics to the log.
    pub emf: bool,
}

/// All mistakes of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration has {} mistake(s):", self.0.len())?;
        self.0.iter().try_for_each(|mistake| writeln!(f, "  {mistake}"))?;
        f.write_str("all variables are listed in .env.example")
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the process's environment: the one place that does.
    ///
    /// # Errors
    /// All mistakes together.
    #[allow(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_vars(
            std::env::vars_os()
                .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())),
        )
    }

    /// Reads these variables. An empty value is as good as none. Names that begin with
    /// `ANALYTICS_` and are not known are mistakes, but for `ANALYTICS_TEST_…`.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(vars.into_iter().collect::<BTreeMap<_, _>>());
        let config = Self {
            addr: reader
                .parse("ANALYTICS_ADDR", "an address and port, such as 127.0.0.1:8080", |text| text.parse().ok()),
            store: reader.store(),
            redis: reader.optional("ANALYTICS_REDIS", "redis://… or rediss://…", |text| {
                (text.starts_with("redis://") || text.starts_with("rediss://")).then(|| text.to_owned())
            }),
            identity: reader.parse("ANALYTICS_IDENTITY", "cookieless or explicit", |text| match text {
                "cookieless" => Some(IdentityMode::Cookieless),
                "explicit" => Some(IdentityMode::Explicit),
                _ => None,
            }),
            trusted_proxies: reader.list(
                "ANALYTICS_TRUSTED_PROXIES",
                "networks such as 10.0.0.0/8 or addresses, separated by commas",
                reader::network,
            ),
            client_address_header: reader.parse(
                "ANALYTICS_CLIENT_ADDRESS_HEADER",
                "X-Forwarded-For, Forwarded, X-Real-IP or CF-Connecting-IP",
                reader::address_header,
            ),
            allowed_origins: reader.origins("ANALYTICS_ALLOWED_ORIGINS"),
            frame_ancestors: reader.origins("ANALYTICS_FRAME_ANCESTORS"),
            ignored: reader.list(
                "ANALYTICS_IGNORE",
                "networks such as 10.0.0.0/8 or addresses, separated by commas",
                reader::network,
            ),
            geoip: reader.optional("ANALYTICS_GEOIP", "the path of a file", |text| Some(text.into())),
            sites: Some(
                reader
                    .list(
                        "ANALYTICS_SITES",
                        "sites separated by commas, each 1 to 63 of a-z, 0-9, '.' and '-'",
                        Site::parse,
                    )
                    .into_iter()
                    .collect::<BTreeSet<_>>(),
            )
            .filter(|sites| !sites.is_empty()),
            retention_days: reader.number("ANALYTICS_RETENTION_DAYS", 1..=365),
            summary_months: reader.number("ANALYTICS_SUMMARY_MONTHS", 0..=120),
            max_store: reader.optional(
                "ANALYTICS_MAX_STORE",
                "a number of bytes, at least 67108864 (64 MiB)",
                |text| text.parse().ok().filter(|bytes| *bytes >= LEAST_MAX_STORE),
            ),
            cleanup_at: reader.parse("ANALYTICS_CLEANUP_AT", "a time such as 02:00", reader::time_of_day),
            rate_limit: reader.number("ANALYTICS_RATE_LIMIT", 1..=u32::MAX),
            read_limit: reader.number("ANALYTICS_READ_LIMIT", 1..=u32::MAX),
            ws_max: reader.number("ANALYTICS_WS_MAX", 0..=100_000),
            ws_max_per_address: reader.number("ANALYTICS_WS_MAX_PER_ADDRESS", 1..=100_000),
            timezone: reader.parse("ANALYTICS_TIMEZONE", "a time zone such as Europe/Paris", reader::time_zone),
            goals: reader.goals(),
            query_memory: reader.number("ANALYTICS_QUERY_MEMORY", 1..=65_536_u64) << 20,
            active_window: 1_000 * reader.number("ANALYTICS_ACTIVE_WINDOW_SECONDS", 10..=3_600_i64),
            read_auth: reader.parse("ANALYTICS_READ_AUTH", "open or token", |text| match text {
                "open" => Some(ReadAuth::Open),
                "token" => Some(ReadAuth::Token),
                _ => None,
            }),
            tokens: reader.tokens(),
            jwt: reader.jwt(),
            plans: reader.parse("ANALYTICS_PLANS", Plans::RULE, Plans::parse),
            honor_opt_out: reader.parse("ANALYTICS_HONOR_OPT_OUT", "true or false", |text| text.parse().ok()),
            collect_path: reader.parse(
                "ANALYTICS_COLLECT_PATH",
                "a path such as /mcv/notes: 2 to 100 of a-z, A-Z, 0-9, /, '.', '_' and '-', none that is in use",
                reader::collect_path,
            ),
            script_name: reader.parse(
                "ANALYTICS_SCRIPT_NAME",
                "a name such as hello.js: at most 64 of a-z, A-Z, 0-9, '.', '_' and '-', ending in .js",
                reader::script_name,
            ),
            shutdown_delay: reader.number("ANALYTICS_SHUTDOWN_DELAY", 0..=300),
            shutdown_seconds: reader.number("ANALYTICS_SHUTDOWN_SECONDS", 1..=300),
            log: reader.parse("ANALYTICS_LOG", "text or json", |text| match text {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            }),
            otlp_endpoint: reader.optional(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "http://… or https://…, without /v1/traces",
                |text| (text.starts_with("http://") || text.starts_with("https://")).then(|| text.to_owned()),
            ),
            emf: reader.parse("ANALYTICS_EMF", "true or false", |text| text.parse().ok()),
        };
        if matches!(config.store, StoreUrl::Postgres(_)) && config.redis.is_none() {
            reader.mistake("ANALYTICS_REDIS is missing: a PostgreSQL store needs redis://… beside it".to_owned());
        }
        if matches!(config.store, StoreUrl::DynamoDb(_)) && config.max_store.is_some() {
            reader.mistake(
                "ANALYTICS_MAX_STORE has no effect on a DynamoDB table, whose size is known hours later: \
                 set an alarm on its TableSizeBytes, and a budget"
                    .to_owned(),
            );
        }
        if config.collect_path.strip_prefix('/') == Some(&config.script_name) {
            reader.mistake("ANALYTICS_SCRIPT_NAME must not be the name of ANALYTICS_COLLECT_PATH".to_owned());
        }
        match reader.finish() {
            mistakes if mistakes.is_empty() => Ok(config),
            mistakes => Err(ConfigError(mistakes)),
        }
    }
}
