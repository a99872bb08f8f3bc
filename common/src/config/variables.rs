//! Which variables there are.

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
pub const VARIABLES: [Variable; 39] = [
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
        "ANALYTICS_FRAME_ANCESTORS",
        "",
        "origins (https://example.com, comma-separated) whose pages may show the dashboard in a frame; none: no page",
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
    variable(
        "ANALYTICS_MAX_STORE",
        "",
        "bytes that the SQLite file or the PostgreSQL database may have before events are refused with 503, at least 67108864 (64 MiB); none: no limit",
    ),
    variable("ANALYTICS_CLEANUP_AT", "02:00", "time of the daily cleanup, HH:MM in UTC"),
    variable("ANALYTICS_RATE_LIMIT", "100", "events a minute that one address may send, at least 1"),
    variable(
        "ANALYTICS_READ_LIMIT",
        "600",
        "questions a minute that one address may ask, at least 1; those that scan events count 2 to 5",
    ),
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
        "ANALYTICS_READ_AUTH",
        "open",
        "open: whatever reaches the service may read figures; token: reads need a token (docs/access.md)",
    ),
    variable(
        "ANALYTICS_TOKENS",
        "",
        "tokens that are accepted: a JSON list as the sub-command token prints it, or a file that has one",
    ),
    variable(
        "ANALYTICS_ADMIN_TOKEN",
        "",
        "one more token, of at least 16 characters, that may do everything, POST /cleanup included; none at all: admin calls are off",
    ),
    variable(
        "ANALYTICS_JWT_KEYS",
        "",
        "keys of JSON web tokens (RS256, ES256, EdDSA): an https:// address of a key set (JWKS), a file with one, or one as JSON",
    ),
    variable("ANALYTICS_JWT_SECRET", "", "secret of JSON web tokens (HS256) in place of keys, at least 32 characters"),
    variable("ANALYTICS_JWT_ISSUER", "", "what iss of JSON web tokens must be"),
    variable("ANALYTICS_JWT_AUDIENCE", "", "what aud of JSON web tokens must be, or have"),
    variable(
        "ANALYTICS_PLANS",
        "free=realtime,stats,themes,letters,timeline,heatmap;plus=*",
        "what the plans of JSON web tokens have (docs/access.md)",
    ),
    variable("ANALYTICS_HONOR_OPT_OUT", "true", "whether DNT: 1 and Sec-GPC: 1 are honoured, true or false"),
    variable(
        "ANALYTICS_COLLECT_PATH",
        "/mcv/notes",
        "second path of events, for trackers, which no block list knows: 2 to 100 of a-z, A-Z, 0-9, /, '.', '_' and '-'",
    ),
    variable("ANALYTICS_SCRIPT_NAME", "mcv.js", "a name of your own for /mcv.js, the tracker, such as hello.js"),
    variable(
        "ANALYTICS_SHUTDOWN_DELAY",
        "0",
        "seconds after SIGTERM in which it is not ready and still serves, so that load balancers notice, 0 to 300",
    ),
    variable("ANALYTICS_SHUTDOWN_SECONDS", "10", "how long requests in flight may take after SIGTERM, 1 to 300"),
    variable("ANALYTICS_LOG", "text", "log lines as text or json; Lambda functions always write json"),
    variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "OpenTelemetry receiver that traces are sent to (OTLP, http/protobuf), such as http://127.0.0.1:4318; none: no traces",
    ),
    variable(
        "ANALYTICS_EMF",
        "true",
        "whether Lambda functions write metrics as CloudWatch embedded metric format lines, true or false",
    ),
];
