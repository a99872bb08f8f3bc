-- Exact totals of each day, week and month, and the visitors from which their distinct visitors
-- follow, in place of counters by value, click cells and archived sketches. Releases before this
-- one cannot store events from here on (see README.md).

-- Writers lock rows of this table first, so none adds to what is being converted.
lock table analytics_sites in exclusive mode;

-- bucket is PeriodKey::bucket. Rows are updated by every batch, so pages keep room for their next
-- versions.
create table analytics_totals (
    site            integer not null,
    bucket          bigint not null,
    events          bigint not null,
    page_views      bigint not null,
    letters         bigint not null,
    motivation      bigint not null,
    anti_motivation bigint not null,
    visitors        bigint not null,
    primary key (site, bucket)
) with (fillfactor = 50);

-- Who came in a month (its first day) and on which of its days, one bit each: one row tells whether
-- a visitor is new to a day, a week and a month.
alter table analytics_visitors rename to analytics_dropped_visitors;
alter index analytics_visitors_pkey rename to analytics_dropped_visitors_pkey;
create table analytics_visitors (
    site    integer not null,
    month   date not null,
    visitor uuid not null,
    days    integer not null,
    primary key (site, month, visitor)
) with (fillfactor = 80);

create temporary table visits on commit drop as
    select site, (created_at at time zone 'UTC')::date as day, visitor from analytics_events
    union
    select site, day, visitor from analytics_dropped_visitors;

insert into analytics_visitors (site, month, visitor, days)
    select site, date_trunc('month', day)::date, visitor, bit_or(1 << (extract(day from day)::integer - 1))
    from visits group by 1, 2, 3;

-- Where visitors of dropped days are no longer known, analytics_uniques has their number.
insert into analytics_totals
    with figures as (
        select c.site, p.kind, p.first,
            coalesce(sum(n) filter (where dimension = 0), 0) as events,
            coalesce(sum(n) filter (where dimension = 1 and value = 'page_view'), 0) as page_views,
            coalesce(sum(n) filter (where dimension = 1 and value = 'letter_generate'), 0) as letters,
            coalesce(sum(n) filter (where dimension = 3 and value = 'motivation'), 0) as motivation,
            coalesce(sum(n) filter (where dimension = 3 and value = 'anti_motivation'), 0) as anti_motivation,
            0 as visitors
        from analytics_counters c
        cross join lateral (values
            (0, c.day), (1, date_trunc('week', c.day)::date), (2, date_trunc('month', c.day)::date)
        ) p (kind, first)
        group by 1, 2, 3
        union all
        select v.site, p.kind, p.first, 0, 0, 0, 0, 0, count(distinct visitor)
        from visits v
        cross join lateral (values
            (0, v.day), (1, date_trunc('week', v.day)::date), (2, date_trunc('month', v.day)::date)
        ) p (kind, first)
        group by 1, 2, 3
        union all
        select site, (bucket & 3)::integer, date '1970-01-01' + (bucket >> 2)::integer, 0, 0, 0, 0, 0, n
        from analytics_uniques
    )
    select site, (first - date '1970-01-01')::bigint * 4 + kind,
        sum(events), sum(page_views), sum(letters), sum(motivation), sum(anti_motivation), max(visitors)
    from figures
    where first >= date '1970-01-01' + coalesce((
        select value from analytics_meta
        where name = case kind when 0 then 'day_counters_since' else 'long_counters_since' end
    ), 0)::integer
    group by 1, 2;

drop table analytics_counters, analytics_click_targets, analytics_clicks, analytics_sketches,
    analytics_uniques, analytics_dropped_visitors;
delete from analytics_meta where name in ('day_counters_since', 'long_counters_since', 'visitors_since');
