//! The statements about accounts and credentials. The caller checks the preconditions of each in the same
//! transaction.

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::Done;
use crate::flock::BotName;
use crate::store::Sealed;
use crate::store::sqlite::row::millis;

pub(in crate::store::sqlite) async fn account(
    db: &mut SqliteConnection,
    bot: &BotName,
) -> Done<Option<SqliteRow>> {
    sqlx::query("select * from account where bot = ?1").bind(bot.as_str()).fetch_optional(db).await
}

pub(in crate::store::sqlite) async fn credential(
    db: &mut SqliteConnection,
    bot: &BotName,
) -> Done<Option<SqliteRow>> {
    sqlx::query("select * from credential where bot = ?1").bind(bot.as_str()).fetch_optional(db).await
}

/// Every bot that is signed in.
pub(in crate::store::sqlite) async fn credentials(db: &mut SqliteConnection) -> Done<Vec<SqliteRow>> {
    sqlx::query("select * from credential where sealed is not null order by bot").fetch_all(db).await
}

/// Whether another bot's tokens are sealed with another key.
pub(in crate::store::sqlite) async fn has_other_key(
    db: &mut SqliteConnection,
    key_mark: &str,
    not: &BotName,
) -> Done<bool> {
    let select = "select exists (select 1 from credential \
        where sealed is not null and key_mark <> ?1 and bot <> ?2)";
    sqlx::query_scalar(select).bind(key_mark).bind(not.as_str()).fetch_one(db).await
}

/// Stores tokens as the next version, which ends any lease on them.
pub(in crate::store::sqlite) async fn keep(
    db: &mut SqliteConnection,
    bot: &BotName,
    sealed: &Sealed,
    signed_in_at: DateTime<Utc>,
) -> Done {
    let upsert = "insert into credential (bot, version, network, key_mark, sealed, signed_in_at) \
        values (?1, 1, ?2, ?3, ?4, ?5) on conflict (bot) do update set version = version + 1, \
        network = excluded.network, key_mark = excluded.key_mark, sealed = excluded.sealed, \
        signed_in_at = excluded.signed_in_at, claimed_until = null";
    let query = sqlx::query(upsert).bind(bot.as_str()).bind(sealed.network.as_str());
    let query = query.bind(&sealed.key_mark).bind(&sealed.bytes).bind(millis(signed_in_at));
    query.execute(db).await.map(|_| ())
}

/// Signs a bot out; its account is deleted with the tokens.
pub(in crate::store::sqlite) async fn forget(db: &mut SqliteConnection, bot: &BotName) -> Done {
    let update = "update credential set version = version + 1, network = null, key_mark = null, \
        sealed = null, signed_in_at = null, claimed_until = null where bot = ?1";
    sqlx::query(update).bind(bot.as_str()).execute(&mut *db).await?;
    sqlx::query("delete from account where bot = ?1").bind(bot.as_str()).execute(db).await.map(|_| ())
}

/// Leases the tokens. A lease that runs past `credible` was taken while the clock was ahead.
pub(in crate::store::sqlite) async fn lease(
    db: &mut SqliteConnection,
    bot: &BotName,
    version: i64,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    credible: DateTime<Utc>,
) -> Done<bool> {
    let update = "update credential set claimed_until = ?3 \
        where bot = ?1 and version = ?2 and sealed is not null \
        and (claimed_until is null or claimed_until <= ?4 or claimed_until > ?5)";
    let query = sqlx::query(update).bind(bot.as_str()).bind(version).bind(millis(until));
    let done = query.bind(millis(now)).bind(millis(credible)).execute(db).await;
    done.map(|done| done.rows_affected() > 0)
}

pub(in crate::store::sqlite) async fn release(
    db: &mut SqliteConnection,
    bot: &BotName,
    version: i64,
) -> Done {
    let update = "update credential set claimed_until = null where bot = ?1 and version = ?2";
    sqlx::query(update).bind(bot.as_str()).bind(version).execute(db).await.map(|_| ())
}

/// The registration of every app.
pub(in crate::store::sqlite) async fn registrations(db: &mut SqliteConnection) -> Done<Vec<SqliteRow>> {
    sqlx::query("select * from registration order by app").fetch_all(db).await
}

pub(in crate::store::sqlite) async fn keep_registration(
    db: &mut SqliteConnection,
    app: &str,
    sealed: &Sealed,
) -> Done {
    let replace =
        "insert or replace into registration (app, network, key_mark, sealed) values (?1, ?2, ?3, ?4)";
    let query = sqlx::query(replace).bind(app).bind(sealed.network.as_str());
    query.bind(&sealed.key_mark).bind(&sealed.bytes).execute(db).await.map(|_| ())
}

/// Moves what is stored under one name to another. If the other name already has a version, the new version
/// is higher.
pub(in crate::store::sqlite) async fn carry(
    db: &mut SqliteConnection,
    was: &BotName,
    name: &BotName,
) -> Done {
    let credential = "insert into credential \
        select ?2, version, network, key_mark, sealed, signed_in_at, claimed_until \
        from credential where bot = ?1 \
        on conflict (bot) do update set version = max(version, excluded.version) + 1, \
        network = excluded.network, key_mark = excluded.key_mark, sealed = excluded.sealed, \
        signed_in_at = excluded.signed_in_at, claimed_until = excluded.claimed_until";
    let account = "insert or replace into account (bot, network, id, handle, name, picture_url, access, \
        learnt_with, automated, max_characters, per_url, pictures, server, key, came, came_in_round) \
        select ?2, network, id, handle, name, picture_url, access, learnt_with, automated, max_characters, per_url, \
        pictures, server, key, came, came_in_round from account where bot = ?1";
    for statement in [credential, account] {
        sqlx::query(statement).bind(was.as_str()).bind(name.as_str()).execute(&mut *db).await?;
    }
    drop_rows(db, was).await
}

/// Deletes everything stored under a name that no bot has any longer.
pub(in crate::store::sqlite) async fn drop_rows(db: &mut SqliteConnection, name: &BotName) -> Done {
    for delete in ["delete from credential where bot = ?1", "delete from account where bot = ?1"] {
        sqlx::query(delete).bind(name.as_str()).execute(&mut *db).await?;
    }
    Ok(())
}
