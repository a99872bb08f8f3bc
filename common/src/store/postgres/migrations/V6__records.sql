-- Small records that an operator made, such as share links: bytes of the core, by kind and id.
create table analytics_records (
    kind  smallint not null,
    id    uuid not null,
    bytes bytea not null,
    primary key (kind, id)
);
