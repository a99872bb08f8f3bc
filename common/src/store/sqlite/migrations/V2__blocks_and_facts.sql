-- Bytes of the core, by UTC day. kind is the number of store::BlockKind.
create table blocks (
    kind  integer not null,
    site  text not null,
    day   integer not null,
    bytes blob not null,
    unique (kind, site, day)
);

-- What was derived from the request that brought an event: numbers of strings, null where
-- nothing is known.
alter table events add column arrival integer;
alter table events add column client integer;
