-- The dashboard: who may enter, and who has. Only digests are kept, so that whoever reads the ledger can't enter by it.
create table pass (
    -- SHA-256 of the secret.
    digest blob primary key,
    -- 'key' opens the door once, 'session' keeps it open.
    kind text not null check (kind in ('key', 'session')),
    expires_at integer not null
) strict, without rowid;
