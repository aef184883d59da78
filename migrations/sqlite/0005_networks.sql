-- Mastodon and Bluesky: posts that are more than a text, apps that register themselves, and what a server allows.

-- All that is sent, on a network where that is more than the text. Every attempt sends the same.
alter table post add column record text;

create trigger post_record before update of record on post
when old.record is not null and old.record is not new.record
begin
    select raise(abort, 'what is sent is fixed before the first attempt');
end;

-- Whether the account says that it is a bot, and how long a text may be where the server chooses that itself; null where
-- nobody has said.
alter table account add column automated integer;
alter table account add column max_characters integer;
alter table account add column per_url integer;

-- What a server made of an app that registered itself there, sealed like the tokens.
create table registration (
    app text primary key,
    network text not null,
    -- A digest of the key that seals it.
    key_mark text not null,
    sealed blob not null
) strict, without rowid;
