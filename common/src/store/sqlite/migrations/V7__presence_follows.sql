-- Up to which position `presence` has the events: it follows them, see presence.rs.
insert into meta (name, value) values (
    'present_until',
    max(
        coalesce((select max(position) from events), 0),
        coalesce((select value from meta where name = 'last_position'), 0)
    )
);
