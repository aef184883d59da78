-- The ledger as flockd 0.1 knows it. Times are milliseconds since 1970 in UTC.
-- A released migration is never edited: what changes later is a new file.

-- What the ledger says of itself: 'written_by' is the version of flockd that was the last to hold it.
create table meta (
    key text primary key,
    value text not null
) strict, without rowid;

create table bot (
    name text primary key,
    -- The schedule and zone that were seen last; another text begins anew.
    schedule text not null,
    -- The newest slot dealt with, or when the bot's slots began. Never goes back.
    considered integer not null,
    -- Slots that passed without a post because nobody was there in time.
    missed integer not null default 0,
    -- Who the bot is on its network, and a digest of the credentials with which that was learnt.
    account_id text,
    account_handle text,
    account_learnt_with text
) strict, without rowid;

create trigger bot_considered before update of considered on bot
when new.considered < old.considered
begin
    select raise(abort, 'considered never goes back');
end;

create table post (
    -- The order of writing. An id tells when its post was thought of: by a wish some time before, or by a
    -- clock that was set back since.
    number integer primary key,
    id text not null unique,
    bot text not null references bot (name) on update cascade,
    network text not null,
    state text not null
        check (state in ('planned', 'sending', 'posted', 'refused', 'unknown', 'released', 'deleted')),
    slot integer,
    due_at integer not null,
    round integer,
    line blob,
    occurrence integer,
    text text,
    attempts integer not null default 0,
    errors integer not null default 0,
    doubted integer not null default 0,
    remote_id text,
    url text,
    cause text,
    reason text,
    planned_at integer not null,
    sent_at integer,
    retry_at integer,
    settled_at integer,
    check ((line is null) = (round is null) and (line is null) = (occurrence is null)),
    check (text is not null or state = 'released')
) strict;

-- A slot fires at most once, whatever became of it.
create unique index post_slot on post (bot, slot) where slot is not null;
-- A line is used once in a round; a released one is free again.
create unique index post_line on post (bot, round, line, occurrence)
    where line is not null and state <> 'released';
-- A bot has at most one open post.
create unique index post_open on post (bot) where state in ('planned', 'sending', 'unknown');
-- An index ends in `number` by itself.
create index post_by_bot on post (bot);
create index post_by_state on post (state);
-- Without it each look at a bot would go through all that the whole flock ever released.
create index post_duplicate on post (bot, round, line) where state = 'released' and cause = 'duplicate';
create index post_sent on post (bot, sent_at) where sent_at is not null;

create trigger post_begin before insert on post
when new.state not in ('planned', 'sending', 'released')
begin
    select raise(abort, 'illegal beginning');
end;

-- The picture of states in src/flock/post.rs, once more, for whoever gets past the program.
create trigger post_move before update of state on post
when (old.state || '>' || new.state) not in (
    'planned>sending', 'planned>released', 'planned>planned',
    'sending>posted', 'sending>refused', 'sending>planned', 'sending>unknown', 'sending>released',
    'unknown>posted', 'unknown>planned', 'unknown>released',
    'posted>deleted'
)
begin
    select raise(abort, 'illegal move');
end;

-- What a post is does not change once it is planned.
create trigger post_fixed
before update of number, id, network, slot, due_at, round, line, occurrence, text, planned_at on post
begin
    select raise(abort, 'a post is fixed when planned');
end;

create trigger post_kept before delete on post
begin
    select raise(abort, 'the ledger forgets nothing');
end;

-- What commands ask of whoever sends, and the answers.
create table wish (
    id text primary key,
    what text not null,
    made_at integer not null,
    -- Taken up: it can't be withdrawn any more.
    taken integer not null default 0,
    answer text
) strict, without rowid;

create index wish_open on wish (made_at) where answer is null;
