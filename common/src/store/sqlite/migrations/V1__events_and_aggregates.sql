-- Facts about the store itself: kept_since (day), last_cleaned (ms), last_position.
create table meta (
    name  text primary key,
    value integer not null
) without rowid;

-- Salts of cookieless visitors and the key of pseudonyms. Expires in ms; null is never.
create table secrets (
    name    text primary key,
    bytes   blob not null,
    expires integer
) without rowid;

create table sites (
    id   integer primary key,
    name text not null unique
);

-- Addresses of a day's events, so that an event holds two small numbers. By day, because a
-- day's addresses go when its events go, and nobody has to count references.
create table strings (
    id    integer primary key,
    day   integer not null,
    value text not null,
    unique (day, value)
);

-- The position is the order of commits, which is the order of the live feed. A built-in event
-- type is its number, a custom one its name. No event_data is null.
create table events (
    position   integer primary key,
    site       integer not null,
    id         blob not null,
    visitor    blob not null,
    event_type not null,
    created_at integer not null,
    page_url   integer,
    referrer   integer,
    data       text
);
create unique index events_id on events (site, id);
create index events_created_at on events (site, created_at);

-- bucket is PeriodKey::bucket, dimension is the number of tally::Dimension.
create table counters (
    site      integer not null,
    bucket    integer not null,
    dimension integer not null,
    value     text not null,
    n         integer not null,
    primary key (site, bucket, dimension, value)
) without rowid;

-- Who came in a month (its first day) and on which of its days, one bit each: one small row
-- tells whether a visitor is new to a day, a week and a month.
create table visitors (
    site    integer not null,
    month   integer not null,
    visitor blob not null,
    days    integer not null,
    primary key (site, month, visitor)
) without rowid;

-- The latest event of the visitors of the last hour.
create table presence (
    site      integer not null,
    visitor   blob not null,
    last_seen integer not null,
    primary key (site, visitor)
) without rowid;
create index presence_last_seen on presence (site, last_seen);

create table click_targets (
    id      integer primary key,
    site    integer not null,
    day     integer not null,
    page    text not null,
    element text not null,
    unique (site, day, page, element)
);

create table clicks (
    site   integer not null,
    hour   integer not null,
    target integer not null,
    x      integer not null,
    y      integer not null,
    n      integer not null,
    primary key (site, hour, target, x, y)
) without rowid;
