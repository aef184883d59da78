-- Pictures and threads: what is posted may be more than a text.

-- The first post of the thread that a post continues; null if it is itself the first, or alone. And which part it is.
alter table post add column head text references post (id);
alter table post add column part integer not null default 0;
-- What is posted, as JSON, if that is more than the text: its first part by this post, the others by those that continue it.
alter table post add column content text;

-- A part of a thread is posted once. A failed attempt leaves its place free for another.
create unique index post_part on post (head, part) where head is not null and state not in ('released', 'refused');

-- Every attempt at the parts of a thread.
create index post_head on post (head, part) where head is not null;
-- Whether an app's last reply was denied.
create index post_replies on post (app) where head is not null;

-- What was uploaded for a post and is not yet used, in the order of its pictures. An upload that nothing refers to is not
-- visible anywhere, so it may be made again.
create table upload (
    post text not null references post (id),
    place integer not null,
    -- SHA-256 of the picture's file.
    digest blob not null check (length(digest) = 32),
    -- What the network calls it, and what the posts that the network shows call it.
    remote_id text not null,
    media_key text,
    width integer not null,
    height integer not null,
    uploaded_at integer not null,
    expires_at integer,
    -- Whether the network has processed it.
    ready integer not null,
    -- What all uploads for this place have cost, in thousandths of a US dollar, and the app that they were made with.
    cost integer not null default 0,
    app text,
    primary key (post, place)
) strict, without rowid;

create index upload_remote on upload (remote_id);
create index upload_spent on upload (app, uploaded_at, cost) where app is not null and cost > 0;

-- What a server that chooses its limits itself says of pictures, as JSON.
alter table account add column pictures text;

-- Pictures that the daemon serves, so that readers see what was posted, whatever becomes of the poem's folder; and those that
-- a person gave for a post by hand.
create table medium (
    digest blob primary key check (length(digest) = 32),
    kind text not null,
    kept_at integer not null,
    -- Last, so that reading the rest of a row does not read it.
    bytes blob not null
) strict, without rowid;

-- Only the first post of a thread has a slot and an entry.
create trigger post_begin_part before insert on post
when (new.head is null) <> (new.part = 0) or (new.head is not null and (new.slot is not null or new.line is not null
    or new.text is null or (select head from post where id = new.head) is not null))
begin
    select raise(abort, 'a part continues the first post of its thread');
end;

drop trigger post_move;
-- The diagram of states in src/flock/post.rs, as the ledger's own rule. A look that settles nothing leaves a post unknown, a
-- picture may be rejected before anything is sent, and a person may take back that a line is passed over.
create trigger post_move before update of state on post
when (old.state || '>' || new.state) not in (
    'planned>sending', 'planned>released', 'planned>planned', 'planned>refused',
    'sending>posted', 'sending>refused', 'sending>planned', 'sending>unknown', 'sending>released',
    'unknown>posted', 'unknown>planned', 'unknown>released', 'unknown>unknown',
    'posted>deleted'
) and not (old.state = 'refused' and new.state = 'released' and old.cause is 'person' and old.attempts = 0)
begin
    select raise(abort, 'illegal move');
end;

drop trigger post_fixed;
-- What a post is does not change once it is planned.
create trigger post_fixed
before update of number, id, network, slot, due_at, round, line, occurrence, text, planned_at, app, price, head, part,
    content on post
begin
    select raise(abort, 'a post is fixed when planned');
end;
