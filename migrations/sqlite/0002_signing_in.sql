-- Signing in: who each bot is on its network, and the tokens that open its account, sealed.

-- Neither table here refers to `bot`: a bot may be signed in before the daemon has entered it. A renamed bot
-- takes its rows along.
create table account (
    bot text primary key,
    network text not null,
    -- The network's own id of the account, and what it says of it.
    id text not null,
    handle text not null,
    name text,
    picture_url text,
    -- What the tokens allow, in the network's words.
    access text,
    -- A digest of the tokens with which this was learnt.
    learnt_with text not null
) strict, without rowid;

-- X was the one network with accounts so far.
insert into account (bot, network, id, handle, learnt_with)
select name, 'x', account_id, account_handle, account_learnt_with from bot
where account_id is not null and account_handle is not null and account_learnt_with is not null;

-- `bot` without them, made anew: SQLite can't drop a last column that has a comment with a comma before it.
-- Posts are without their bot meanwhile, which is looked at again before the end.
pragma defer_foreign_keys = on;
create table bot_meanwhile as select name, schedule, considered, missed from bot;
drop table bot;

create table bot (
    name text primary key,
    -- The schedule and zone that were seen last; another text begins anew.
    schedule text not null,
    -- The newest slot dealt with, or when the bot's slots began. Never goes back.
    considered integer not null,
    -- Slots that passed without a post because nobody was there in time.
    missed integer not null default 0
) strict, without rowid;

insert into bot (name, schedule, considered, missed)
select name, schedule, considered, missed from bot_meanwhile;
drop table bot_meanwhile;

create trigger bot_considered before update of considered on bot
when new.considered < old.considered
begin
    select raise(abort, 'considered never goes back');
end;

create table credential (
    bot text primary key,
    -- Grows with every change and never ends, not even by signing out: whoever has read a version can tell
    -- whether it is still the one.
    version integer not null,
    -- All the rest is null while the bot is signed out: for which network the tokens are, a digest of the key
    -- that seals them, and the sealed tokens.
    network text,
    key_mark text,
    sealed blob,
    signed_in_at integer,
    -- Until when somebody has the tokens to himself, to renew them. A claim ends by itself.
    claimed_until integer,
    check ((sealed is null) = (network is null) and (sealed is null) = (key_mark is null)
        and (sealed is null) = (signed_in_at is null)),
    check (sealed is not null or claimed_until is null)
) strict, without rowid;

create trigger credential_version before update of sealed on credential
when new.version <= old.version
begin
    select raise(abort, 'the version of a credential grows with every change');
end;

-- When the last thing that happened to the post was written down; null in rows that are older than this.
alter table post add column moved_at integer;
