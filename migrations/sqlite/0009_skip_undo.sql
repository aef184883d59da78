-- A person may undo a skip: the row stays and says so, and its slot is free again.

-- The command that undid it; null while the skip holds.
alter table post add column undone_by text;

drop index post_slot;
-- A slot fires at most once, whatever became of it.
create unique index post_slot on post (bot, slot) where slot is not null and undone_by is null;
-- A command that is executed once more after a crash undoes nothing else.
create unique index post_undone on post (undone_by) where undone_by is not null;

-- Only a skip frees its slot: a row that a person released and that never had a text.
create trigger post_undo before update of undone_by on post
when new.undone_by is not old.undone_by and (old.undone_by is not null
    or old.state <> 'released' or old.cause is not 'person' or old.text is not null or old.slot is null)
begin
    select raise(abort, 'only a skip can be undone, and only once');
end;

create trigger post_begin_undone before insert on post
when new.undone_by is not null and (new.state <> 'released' or new.cause is not 'person' or new.text is not null
    or new.slot is null)
begin
    select raise(abort, 'only a skip can be undone');
end;
