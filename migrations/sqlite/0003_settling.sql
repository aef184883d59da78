-- Settling what is unknown, what posts cost, bots that are paused, and ledgers that were put back.

-- How often the network was asked about the post since it became unknown.
alter table post add column looks integer not null default 0;
-- The app under which it is sent, and what that costs, in thousandths of a US dollar; what looking for it has
-- cost is beside that. Null and zero in rows that are older than this.
alter table post add column app text;
alter table post add column price integer;
alter table post add column read_cost integer not null default 0;
-- When the request was made last: what is paid for is paid for then.
alter table post add column tried_at integer;

-- Since when nothing is posted on schedule, and why if that was not a person's wish.
alter table bot add column paused_at integer;
alter table bot add column paused_why text;
-- The ledger was put back from a copy that was made then: the bot's account may have posts that are not here. And
-- why the account could not be read so far.
alter table bot add column behind_since integer;
alter table bot add column behind_cause text;
alter table bot add column behind_why text;

-- Whether an id of the network's is one of ours is asked for each post that a look shows.
create index post_remote on post (network, remote_id) where remote_id is not null;
-- What an app has spent is read from the index alone.
create index post_spent on post (app, tried_at, state, price, read_cost)
    where app is not null and tried_at is not null;

drop trigger post_begin;
-- What is found on an account after a ledger was put back has been posted.
create trigger post_begin before insert on post
when new.state not in ('planned', 'sending', 'released')
    and not (new.state = 'posted' and new.slot is null and new.remote_id is not null)
begin
    select raise(abort, 'illegal beginning');
end;

drop trigger post_move;
-- The picture of states in src/flock/post.rs, once more, for whoever gets past the program. A look that settles
-- nothing leaves a post unknown.
create trigger post_move before update of state on post
when (old.state || '>' || new.state) not in (
    'planned>sending', 'planned>released', 'planned>planned',
    'sending>posted', 'sending>refused', 'sending>planned', 'sending>unknown', 'sending>released',
    'unknown>posted', 'unknown>planned', 'unknown>released', 'unknown>unknown',
    'posted>deleted'
)
begin
    select raise(abort, 'illegal move');
end;

drop trigger post_fixed;
-- What a post is does not change once it is planned.
create trigger post_fixed
before update of number, id, network, slot, due_at, round, line, occurrence, text, planned_at, app, price on post
begin
    select raise(abort, 'a post is fixed when planned');
end;
