-- How many events were not stored, by UTC day. outcome is the name of outcome::NotStored.
create table not_stored (
    site    text not null,
    day     integer not null,
    outcome text not null,
    n       integer not null,
    primary key (site, day, outcome)
) without rowid;
create index not_stored_by_day on not_stored (day);
