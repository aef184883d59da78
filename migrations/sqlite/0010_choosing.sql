-- The order in which a bot's lines come is fixed beforehand, and a person may pass a line over.

-- With the round, the seed decides the order. A bot may get one before the daemon has entered it, by a preview.
create table seed (
    bot text primary key,
    seed blob not null check (length(seed) = 16)
) strict, without rowid;

create trigger seed_fixed before update of seed on seed
begin
    select raise(abort, 'a seed is drawn once');
end;

insert into seed (bot, seed) select name, randomblob(16) from bot;

create trigger bot_seed after insert on bot
begin
    insert into seed (bot, seed) values (new.name, randomblob(16)) on conflict do nothing;
end;

create trigger bot_renamed after update of name on bot when new.name <> old.name
begin
    update or replace seed set bot = new.name where bot = old.name;
end;

drop trigger post_begin;
-- What is found on an account after a ledger was put back has been posted. A line that a person passed over is used up
-- without ever having been sent.
create trigger post_begin before insert on post
when new.state not in ('planned', 'sending', 'released')
    and not (new.state = 'posted' and new.slot is null and new.remote_id is not null)
    and not (new.state = 'refused' and new.cause is 'person' and new.slot is null and new.line is not null
        and new.attempts = 0)
begin
    select raise(abort, 'illegal beginning');
end;

drop trigger post_move;
-- The diagram of states in src/flock/post.rs, as the ledger's own rule. A look that settles nothing leaves a post unknown, and
-- a person may take back that a line is passed over.
create trigger post_move before update of state on post
when (old.state || '>' || new.state) not in (
    'planned>sending', 'planned>released', 'planned>planned',
    'sending>posted', 'sending>refused', 'sending>planned', 'sending>unknown', 'sending>released',
    'unknown>posted', 'unknown>planned', 'unknown>released', 'unknown>unknown',
    'posted>deleted'
) and not (old.state = 'refused' and new.state = 'released' and old.cause is 'person' and old.attempts = 0)
begin
    select raise(abort, 'illegal move');
end;

-- The command that undoes a pass is recorded, as for a skip: executed once more after a crash, it undoes nothing else.
drop trigger post_undo;
create trigger post_undo before update of undone_by on post
when new.undone_by is not old.undone_by and (old.undone_by is not null or old.cause is not 'person' or not (
    -- A skip: a row that a person released and that never had a text. It frees its slot.
    (old.state = 'released' and old.text is null and old.slot is not null)
    -- A line that was passed over: it is released, and free again.
    or (old.state = 'refused' and new.state = 'released' and old.slot is null and old.attempts = 0)))
begin
    select raise(abort, 'only a skip or a pass can be undone, and only once');
end;

drop trigger post_begin_undone;
create trigger post_begin_undone before insert on post
when new.undone_by is not null and (new.state <> 'released' or new.cause is not 'person' or not (
    (new.text is null and new.slot is not null) or (new.slot is null and new.attempts = 0)))
begin
    select raise(abort, 'only a skip or a pass can be undone');
end;
