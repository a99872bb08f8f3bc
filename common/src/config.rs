//! Configuration: environment variables only, read here and nowhere else.
//!
//! All mistakes are reported together, each naming its variable, so that one start is enough
//! to learn of all of them.

mod dynamodb;
mod origin;
mod platform;
mod reader;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

pub use self::dynamodb::DynamoDbUrl;
pub use self::platform::{Keys, Platform};
use self::reader::Reader;
use crate::measure::goals::GoalList;
use crate::measure::zone::Zone;
use crate::site::Site;

/// A variable, its default and what it means, as `.env.example` and `--help` show it.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What counts when it is not set; empty for nothing.
    pub default: &'static str,
    /// What it means and what it may be, in one line.
    pub meaning: &'static str,
}

const fn variable(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default, meaning }
}

/// All variables.
pub const VARIABLES: [Variable; 28] = [
    variable("ANALYTICS_ADDR", "127.0.0.1:8080", "address and port that the local runtime listens on"),
    variable(
        "ANALYTICS_STORE",
        "sqlite:data/analytics.db",
        "where events are: sqlite:PATH, postgres://… or dynamodb:TABLE[?region=REGION&secrets=TABLE&endpoint=URL]",
    ),
    variable("ANALYTICS_REDIS", "", "redis://… or rediss://…[?sslrootcert=FILE], beside a PostgreSQL store"),
    variable(
        "ANALYTICS_IDENTITY",
        "cookieless",
        "visitors without an id: cookieless tells them apart for a day, explicit turns them away",
    ),
    variable(
        "ANALYTICS_TRUSTED_PROXIES",
        "",
        "networks (CIDR, comma-separated) of reverse proxies, which say who the client is",
    ),
    variable(
        "ANALYTICS_CLIENT_ADDRESS_HEADER",
        "X-Forwarded-For",
        "header in which trusted proxies name the client: X-Forwarded-For, Forwarded, X-Real-IP or CF-Connecting-IP",
    ),
    variable(
        "ANALYTICS_ALLOWED_ORIGINS",
        "",
        "origins (https://example.com, comma-separated) that browsers may send from and follow the live feed from, with credentials; empty: any, without credentials. If set, list the dashboard's own too, unless it is an address or localhost",
    ),
    variable(
        "ANALYTICS_IGNORE",
        "",
        "networks (CIDR, comma-separated) whose events are filtered, such as your own and 127.0.0.0/8",
    ),
    variable(
        "ANALYTICS_GEOIP",
        "",
        "file in MaxMind's format (.mmdb) that tells the country of addresses; none: time zones tell it",
    ),
    variable("ANALYTICS_SITES", "", "sites (comma-separated) that are measured; none: any, at most 1000"),
    variable("ANALYTICS_RETENTION_DAYS", "90", "days that events are kept, 1 to 365"),
    variable(
        "ANALYTICS_SUMMARY_MONTHS",
        "25",
        "months that daily summaries are kept, which hold no visitor, 0 (none) to 120",
    ),
    variable("ANALYTICS_CLEANUP_AT", "02:00", "time of the daily cleanup, HH:MM in UTC"),
    variable("ANALYTICS_RATE_LIMIT", "100", "events a minute that one address may send, at least 1"),
    variable("ANALYTICS_READ_LIMIT", "600", "questions a minute that one address may ask, at least 1"),
    variable("ANALYTICS_WS_MAX", "50", "live connections at the same time, 0 to 100000"),
    variable("ANALYTICS_WS_MAX_PER_ADDRESS", "10", "live connections of one address at the same time, at least 1"),
    variable(
        "ANALYTICS_ACTIVE_WINDOW_SECONDS",
        "300",
        "how long after an event a visitor counts as current, 10 to 3600",
    ),
    variable("ANALYTICS_TIMEZONE", "UTC", "time zone of queries that name none, such as Europe/Paris"),
    variable(
        "ANALYTICS_GOALS",
        "",
        "goals of queries: a JSON list such as [{\"name\":\"Sign-up\",\"event\":\"signup\"}], or a file that has one",
    ),
    variable(
        "ANALYTICS_QUERY_MEMORY",
        "64",
        "memory for the columns that queries read, in MiB, 1 to 65536: half for yesterday and today, a quarter for earlier days, a quarter for a query at work; a day that takes more than half is refused",
    ),
    variable(
        "ANALYTICS_ADMIN_TOKEN",
        "",
        "token of at least 16 characters for POST /cleanup (Authorization: Bearer …); none: admin calls are off",
    ),
    variable("ANALYTICS_HONOR_OPT_OUT", "true", "whether DNT: 1 and Sec-GPC: 1 are honoured, true or false"),
    variable(
        "ANALYTICS_COLLECT_PATH",
        "/mcv/notes",
        "second path of events, for trackers, which no block list knows: 2 to 100 of a-z, A-Z, 0-9, /, '.', '_' and '-'",
    ),
    variable("ANALYTICS_SCRIPT_NAME", "mcv.js", "a name of your own for /mcv.js, the tracker, such as hello.js"),
    variable("ANALYTICS_SHUTDOWN_SECONDS", "10", "how long requests in flight may take after SIGTERM, 1 to 300"),
    variable("ANALYTICS_LOG", "text", "log lines as text or json; Lambda functions always write json"),
    variable(
        "ANALYTICS_EMF",
        "true",
        "whether Lambda functions write metrics as CloudWatch embedded metric format lines, true or false",
    ),
];

/// Where events are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A database file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(String),
    /// A DynamoDB table, its endpoint and region if they are not the platform's.
    DynamoDb(DynamoDbUrl),
}

/// Without a password, as it may stand in a log.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&reader::without_password(url)),
            Self::DynamoDb(table) => write!(f, "dynamodb:{table}"),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What happens to visitors who bring no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityMode {
    /// They are told apart for a day by a salted hash.
    Cookieless,
    /// They are turned away with `MISSING_VISITOR`.
    Explicit,
}

/// Where trusted proxies name the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressHeader {
    /// `X-Forwarded-For`: a list to which each proxy appends the address that it saw.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): the same with names, `for` among them.
    Forwarded,
    /// `X-Real-IP`: one address, which the proxy replaces.
    XRealIp,
    /// `CF-Connecting-IP`: the same, as Cloudflare calls it.
    CfConnectingIp,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// A token that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken(String);

impl AdminToken {
    /// Whether `given` is the token; takes the same time whatever it is.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

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
    /// The token of admin calls; without one they are off.
    pub admin_token: Option<AdminToken>,
    /// Whether `DNT` and `Sec-GPC` are honoured.
    pub honor_opt_out: bool,
    /// Where trackers send events, besides the API's own paths.
    pub collect_path: String,
    /// The name of the tracker script at the root, besides `script.js` and `mcv.js`.
    pub script_name: String,
    /// Seconds that requests in flight may take when the process is told to stop.
    pub shutdown_seconds: u64,
    /// How log lines are written.
    pub log: LogFormat,
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
            allowed_origins: reader.origins(),
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
            cleanup_at: reader.parse("ANALYTICS_CLEANUP_AT", "a time such as 02:00", reader::time_of_day),
            rate_limit: reader.number("ANALYTICS_RATE_LIMIT", 1..=u32::MAX),
            read_limit: reader.number("ANALYTICS_READ_LIMIT", 1..=u32::MAX),
            ws_max: reader.number("ANALYTICS_WS_MAX", 0..=100_000),
            ws_max_per_address: reader.number("ANALYTICS_WS_MAX_PER_ADDRESS", 1..=100_000),
            timezone: reader.parse("ANALYTICS_TIMEZONE", "a time zone such as Europe/Paris", reader::time_zone),
            goals: reader.goals(),
            query_memory: reader.number("ANALYTICS_QUERY_MEMORY", 1..=65_536_u64) << 20,
            active_window: 1_000 * reader.number("ANALYTICS_ACTIVE_WINDOW_SECONDS", 10..=3_600_i64),
            admin_token: reader.optional("ANALYTICS_ADMIN_TOKEN", "at least 16 characters", |text| {
                (text.len() >= 16).then(|| AdminToken(text.to_owned()))
            }),
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
            shutdown_seconds: reader.number("ANALYTICS_SHUTDOWN_SECONDS", 1..=300),
            log: reader.parse("ANALYTICS_LOG", "text or json", |text| match text {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            }),
            emf: reader.parse("ANALYTICS_EMF", "true or false", |text| text.parse().ok()),
        };
        if matches!(config.store, StoreUrl::Postgres(_)) && config.redis.is_none() {
            reader.mistake("ANALYTICS_REDIS is missing: a PostgreSQL store needs redis://… beside it".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_vars(vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn defaults_are_valid_and_say_what_they_are() {
        let config = config(&[]).unwrap();
        assert_eq!(config.addr.to_string(), "127.0.0.1:8080");
        assert_eq!(config.store.to_string(), "sqlite:data/analytics.db");
        assert_eq!((config.retention_days, config.cleanup_at), (90, (2, 0)));
        assert_eq!((config.rate_limit, config.ws_max, config.active_window), (100, 50, 300_000));
        assert_eq!((config.sites, config.admin_token), (None, None));
        assert!(config.honor_opt_out);
    }

    #[test]
    fn goals_come_from_the_variable_or_from_a_file() {
        let list = r#"[{"name":"Sign-up","event":"signup"}]"#;
        let inline = config(&[("ANALYTICS_GOALS", list)]).unwrap().goals;
        assert_eq!(inline.of(&Site::default()).count(), 1);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), list).unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(config(&[("ANALYTICS_GOALS", path)]).unwrap().goals, inline);
        std::fs::write(file.path(), r#"[{"name":"a"},{"name":"b","event":"c","x":1}]"#).unwrap();
        let told = config(&[("ANALYTICS_GOALS", path)]).unwrap_err().to_string();
        for part in
            ["ANALYTICS_GOALS is not a list of goals: [0] a goal must have exactly one of", "; [1] \"x\" is not known"]
        {
            assert!(told.contains(part), "{told}");
        }
        let told = config(&[("ANALYTICS_GOALS", "/no/such/file")]).unwrap_err().to_string();
        assert!(told.contains("the file /no/such/file cannot be read"), "{told}");
    }

    #[test]
    fn all_mistakes_are_reported_together() {
        let message = config(&[
            ("ANALYTICS_ADDR", "here"),
            ("ANALYTICS_STORE", "mysql://x"),
            ("ANALYTICS_RETENTION_DAYS", "0"),
            ("ANALYTICS_CLEANUP_AT", "25:00"),
            ("ANALYTICS_TRUSTED_PROXIES", "10.0.0.0/8,nobody"),
            ("ANALYTICS_CLIENT_ADDRESS_HEADER", "X-Client-Name"),
            ("ANALYTICS_ALLOWED_ORIGINS", "example.com"),
            ("ANALYTICS_TIMEZONE", "Mars"),
            ("ANALYTICS_ADMIN_TOKEN", "short"),
            ("ANALYTICS_LOG", "xml"),
            ("ANALYTICS_COLLECT_PATH", "/api/v1/analytics/event"),
            ("ANALYTICS_SCRIPT_NAME", "a/b.js"),
            ("ANALYTICS_RETENTON_DAYS", "30"),
            ("ANALYTICS_TEST_ANYTHING", "x"),
            ("PATH", "x"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "ADDR",
            "STORE",
            "RETENTION_DAYS",
            "CLEANUP_AT",
            "TRUSTED_PROXIES",
            "CLIENT_ADDRESS_HEADER",
            "ALLOWED_ORIGINS",
            "TIMEZONE",
            "ADMIN_TOKEN",
            "LOG",
            "COLLECT_PATH",
            "SCRIPT_NAME",
        ] {
            assert!(message.contains(&format!("ANALYTICS_{name} ")), "{name}: {message}");
        }
        assert!(message.contains("ANALYTICS_RETENTON_DAYS is not known; did you mean ANALYTICS_RETENTION_DAYS?"));
        assert!(message.starts_with("the configuration has 13 mistake(s)"), "{message}");
    }

    #[test]
    fn paths_and_names_that_can_be_served() {
        let collect_path = |path| config(&[("ANALYTICS_COLLECT_PATH", path)]).map(|config| config.collect_path).ok();
        for path in ["/m", "/mcv/notes", "/api/v1/notes", "/healthy", "/a.b/C_d-e"] {
            assert_eq!(collect_path(path).as_deref(), Some(path));
        }
        let long = format!("/{}", "a".repeat(100));
        for path in [
            "/",
            "m",
            "/m/",
            "//m",
            "/a/../b",
            "/./a",
            "/a?b",
            "/a#b",
            "/{a}",
            "/a b",
            "/é",
            "/a%20b",
            "https://a.b/c",
            "/health",
            "/health/x",
            "/metrics",
            "/ws/x",
            "/dashboard",
            "/assets/x",
            "/openapi.json",
            "/script.js",
            "/api/v1/analytics",
            "/api/v1/analytics/x",
            &long,
        ] {
            assert_eq!(collect_path(path), None, "{path}");
        }
        let script_name = |name| config(&[("ANALYTICS_SCRIPT_NAME", name)]).map(|config| config.script_name).ok();
        for name in ["hello.js", "script.js", "a-b_c.min.js"] {
            assert_eq!(script_name(name).as_deref(), Some(name));
        }
        for name in [".js", "hello", "/hello.js", "a/b.js", "..js", "a b.js", "{a}.js", "é.js", "hello.css"] {
            assert_eq!(script_name(name), None, "{name}");
        }
        let same = config(&[("ANALYTICS_COLLECT_PATH", "/a.js"), ("ANALYTICS_SCRIPT_NAME", "a.js")]);
        assert!(same.unwrap_err().to_string().contains("ANALYTICS_SCRIPT_NAME"));
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_named() {
        let message = config(&[("ANALYTICS_ALLOWED_ORIGINS", "https://a.example, https://*.b.example")]).unwrap_err();
        let message = message.to_string();
        assert!(message.contains(r#"ANALYTICS_ALLOWED_ORIGINS has "https://*.b.example", which has a wildcard"#));
        assert!(!message.contains("a.example"), "{message}");
    }

    #[test]
    fn no_secret_is_echoed() {
        for (name, value) in [
            ("ANALYTICS_ADMIN_TOKEN", "hunter2"),
            ("ANALYTICS_REDIS", "http://:hunter2@x"),
            ("ANALYTICS_STORE", "mysql://joe:hunter2@h/d"),
            ("ANALYTICS_STORE", "postgre://joe:p@hunter2@h/d"),
            ("ANALYTICS_STORE", "joe:hunter2@h/d"),
            ("ANALYTICS_STORE", "host=h user=joe password=hunter2"),
            ("ANALYTICS_STORE", "postgress://h/d?user=joe&password=hunter2"),
        ] {
            let message = config(&[(name, value)]).unwrap_err().to_string();
            assert!(message.contains(name) && !message.contains("hunter2"), "{message}");
        }
        let store = StoreUrl::Postgres("postgres://joe:hunter2@h:1/d?password=hunter2".to_owned());
        assert_eq!(store.to_string(), "postgres://…@h:1/d?…");
    }

    #[test]
    fn a_mistake_repeats_the_value() {
        for (name, value) in [
            ("ANALYTICS_ADDR", "here"),
            ("ANALYTICS_STORE", "sqlite://a.db"),
            ("ANALYTICS_STORE", "sqlite3:a.db"),
            ("ANALYTICS_RETENTION_DAYS", "90d"),
            ("ANALYTICS_SITES", "a,B C"),
        ] {
            let message = config(&[(name, value)]).unwrap_err().to_string();
            assert!(message.contains(&format!("{value:?}")), "{message}");
            assert!(message.starts_with("the configuration has 1 mistake(s)"), "{message}");
        }
        let message = config(&[("ANALYTICS_REDIS", "http://:pw@host/1")]).unwrap_err().to_string();
        assert!(message.contains("http://…@host/1"), "{message}");
    }

    #[test]
    fn values_are_read() {
        let config = config(&[
            ("ANALYTICS_STORE", "sqlite:/tmp/a b.db"),
            ("ANALYTICS_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("ANALYTICS_CLIENT_ADDRESS_HEADER", "cf-connecting-ip"),
            ("ANALYTICS_SITES", "a,b.c"),
            ("ANALYTICS_ALLOWED_ORIGINS", "https://Example.com:443/,http://localhost:3000"),
            ("ANALYTICS_IGNORE", "127.0.0.0/8, 2001:db8::1"),
            ("ANALYTICS_REDIS", ""),
        ])
        .unwrap();
        assert_eq!(config.store, StoreUrl::Sqlite("/tmp/a b.db".into()));
        assert_eq!((config.trusted_proxies.len(), config.ignored.len()), (2, 2));
        assert_eq!(config.client_address_header, AddressHeader::CfConnectingIp);
        assert_eq!(config.sites.unwrap().len(), 2);
        assert_eq!(config.allowed_origins, ["https://example.com", "http://localhost:3000"]);
    }

    /// `.env.example` lists every variable with its default and meaning, and nothing else.
    #[test]
    fn the_example_is_complete() {
        let expected: String = VARIABLES
            .iter()
            .map(|variable| format!("# {}\n# {}={}\n\n", variable.meaning, variable.name, variable.default))
            .collect();
        let example = include_str!("../../.env.example");
        assert!(
            example.ends_with(expected.trim_end_matches('\n').to_owned().as_str())
                || example.trim_end().ends_with(expected.trim_end()),
            "expected:\n{expected}"
        );
    }
}
