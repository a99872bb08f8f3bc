-- Small records that an operator made, such as share links: bytes of the core, by kind and id.
create table records (
    kind  integer not null,
    id    blob not null,
    bytes blob not null,
    primary key (kind, id)
) without rowid;
