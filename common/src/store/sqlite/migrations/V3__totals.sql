-- What is counted of a day, an ISO week or a month. bucket is PeriodKey::bucket.
create table totals (
    site            integer not null,
    bucket          integer not null,
    events          integer not null,
    page_views      integer not null,
    letters         integer not null,
    motivation      integer not null,
    anti_motivation integer not null,
    visitors        integer not null,
    primary key (site, bucket)
) without rowid;
insert into totals
    select site, bucket,
           sum(case when dimension = 0 then n else 0 end),
           sum(case when dimension = 1 and value = 'page_view' then n else 0 end),
           sum(case when dimension = 1 and value = 'letter_generate' then n else 0 end),
           sum(case when dimension = 3 and value = 'motivation' then n else 0 end),
           sum(case when dimension = 3 and value = 'anti_motivation' then n else 0 end),
           sum(case when dimension = 4 then n else 0 end)
    from counters group by site, bucket;

-- Themes, clicks and the like are counted from columns (see measure in the core).
drop table counters;
drop table clicks;
drop table click_targets;
