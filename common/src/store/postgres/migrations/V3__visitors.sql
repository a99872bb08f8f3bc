-- Distinct visitors of days whose events were dropped, so that the weeks and months of these days
-- can still be counted. They go when all of those are over (see expiry.rs).
create table analytics_visitors (
    site    integer not null,
    day     date not null,
    visitor uuid not null,
    primary key (site, day, visitor)
);

-- How many distinct visitors a period had whose visitors are gone. bucket is PeriodKey::bucket.
create table analytics_uniques (
    site   integer not null,
    bucket bigint not null,
    n      bigint not null,
    primary key (site, bucket)
);

-- What earlier releases archived takes the place of visitors that they dropped. Nothing uses
-- analytics_sketches any more.
insert into analytics_uniques (site, bucket, n) select site, bucket, estimate from analytics_sketches;
insert into analytics_meta (name, value)
    select 'visitors_since', value from analytics_meta where name = 'kept_since'
    on conflict do nothing;
