-- Texts are numbered anew each day, so that most events hold small numbers, and found by a keyed hash of
-- four bytes instead of a second copy of each text. Texts that are there keep their numbers, and have no hash.
create table texts (
    day    integer not null,
    number integer not null,
    hash   integer,
    value  text not null,
    primary key (day, number)
) without rowid;
insert into texts (day, number, value) select day, id, value from strings order by day, id;
drop table strings;
create index texts_hash on texts (day, hash);

-- From this version on, `events.visitor` is an id, or the position of an event of the same site and UTC day that
-- has the visitor's id. Rows that are there have ids.

-- The key of these hashes: without it, a sender cannot choose texts that have the same one.
insert into meta (name, value) values ('text_key', random());
