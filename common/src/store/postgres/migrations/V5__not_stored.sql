-- How many events were not stored, by UTC day. outcome is the name of outcome::NotStored.
create table analytics_not_stored (
    site    text not null,
    day     date not null,
    outcome text not null,
    n       bigint not null,
    primary key (site, day, outcome)
);
create index analytics_not_stored_by_day on analytics_not_stored (day);
