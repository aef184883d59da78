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
