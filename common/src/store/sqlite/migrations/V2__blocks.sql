-- Bytes of the core, by UTC day. kind is the number of store::BlockKind.
create table blocks (
    kind  integer not null,
    site  text not null,
    day   integer not null,
    bytes blob not null,
    unique (kind, site, day)
);
