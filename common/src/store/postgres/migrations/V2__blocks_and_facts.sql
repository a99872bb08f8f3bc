-- Bytes of the core, by UTC day. kind is the number of store::BlockKind.
create table analytics_blocks (
    kind  smallint not null,
    site  text collate "C" not null,
    day   date not null,
    bytes bytea not null,
    primary key (kind, site, day)
);

-- The core compresses them.
alter table analytics_blocks alter column bytes set storage external;

-- What was derived from the request that brought an event; null where nothing is known.
alter table analytics_events add column arrival text, add column client text;
