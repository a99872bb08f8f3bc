-- The store itself. Its id is in every Redis key's mark of how far it was applied, so that a
-- Redis that was filled from another database is told from one that was filled from this.
create table analytics_store (
    one boolean primary key default true check (one),
    id  uuid not null
);
insert into analytics_store (id) values (gen_random_uuid());

-- Facts: kept_since, day_counters_since, long_counters_since (days since 1970-01-01),
-- last_cleaned, cleanup_claimed (ms since then).
create table analytics_meta (
    name  text collate "C" primary key,
    value bigint not null
);

-- Salts of cookieless visitors and the key of pseudonyms; without an expiry they are kept.
create table analytics_secrets (
    name    text collate "C" primary key,
    bytes   bytea not null,
    expires timestamptz
);

-- position: how many events of the site were ever committed, and the lock of all its writers.
-- expired: where it stood when days were last dropped (see expiry.rs).
create table analytics_sites (
    id       integer generated always as identity primary key,
    name     text collate "C" not null unique,
    position bigint not null default 0,
    expired  bigint not null default 0
) with (fillfactor = 20);

-- Partitions analytics_events_YYYYMMDD are made by the engine (partitions.rs).
create table analytics_events (
    position   bigint not null,
    created_at timestamptz not null,
    site       integer not null,
    id         uuid not null,
    visitor    uuid not null,
    event_type text collate "C" not null,
    page_url   text,
    referrer   text,
    data       text
) partition by range (created_at);
create index analytics_events_created_at on analytics_events (site, created_at desc, id desc);
create index analytics_events_event_type on analytics_events (site, event_type, created_at);
create index analytics_events_position on analytics_events (site, position);

-- Which ids a site has: what a table partitioned by day cannot tell across days. By month of
-- the event's day, so that a look has few places to look at: partitions
-- analytics_event_ids_YYYYMM, made by the engine.
create table analytics_event_ids (
    position bigint not null,
    site     integer not null,
    day      date not null,
    id       uuid not null,
    primary key (site, id, day)
) partition by range (day);

-- By day only: weeks and months are sums. dimension is the number of tally::Dimension. Rows
-- are updated by every batch, so pages keep room for their next versions.
create table analytics_counters (
    site      integer not null,
    day       date not null,
    dimension smallint not null,
    value     text collate "C" not null,
    n         bigint not null,
    primary key (site, day, dimension, value)
) with (fillfactor = 70);

-- What was clicked on a day. name is a digest of page and element, which together may be
-- longer than an index takes.
create table analytics_click_targets (
    site    integer not null,
    day     date not null,
    name    uuid not null,
    page    text collate "C" not null,
    element text collate "C" not null,
    primary key (site, day, name)
);

create table analytics_clicks (
    site   integer not null,
    hour   integer not null,
    target uuid not null,
    x      smallint not null,
    y      smallint not null,
    n      bigint not null,
    primary key (site, hour, target, x, y)
) with (fillfactor = 80);

-- Distinct visitors of periods that have lost events: what Redis counted (a HyperLogLog
-- string) before they were dropped, and its estimate. bucket is PeriodKey::bucket.
create table analytics_sketches (
    site     integer not null,
    bucket   bigint not null,
    sketch   bytea not null,
    estimate bigint not null,
    primary key (site, bucket)
);
