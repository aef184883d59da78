//! The statements about bots: their schedules, their pauses, and their reconciliation after a restore.

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::super::row::millis;
use super::Done;
use crate::flock::BotName;
use crate::flock::post::Why;
use crate::store::BotEntry;
use crate::store::health_state::CLOCK_TOLERANCE;

pub(in super::super) async fn upsert(db: &mut SqliteConnection, bot: &BotEntry, now: DateTime<Utc>) -> Done {
    let insert = "insert into bot (name, schedule, considered) values (?1, ?2, ?3) \
        on conflict (name) do update set schedule = excluded.schedule, \
        considered = max(considered, excluded.considered) where schedule <> excluded.schedule";
    let query = sqlx::query(insert).bind(bot.name.as_str()).bind(&bot.schedule).bind(millis(now));
    query.execute(db).await.map(|_| ())
}

/// Renames a bot, and its posts with it. `false` if no bot has the old name, or the new one has posts of its own.
pub(in super::super) async fn rename(db: &mut SqliteConnection, was: &BotName, name: &BotName) -> Done<bool> {
    // A bot that was only registered has nothing to lose.
    let delete = "delete from bot where name = ?2 and exists (select 1 from bot where name = ?1) \
        and not exists (select 1 from post where bot = ?2)";
    sqlx::query(delete).bind(was.as_str()).bind(name.as_str()).execute(&mut *db).await?;
    let update = "update bot set name = ?2 where name = ?1 \
        and not exists (select 1 from bot where name = ?2)";
    let query = sqlx::query(update).bind(was.as_str()).bind(name.as_str());
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}

pub(in super::super) async fn has(db: &mut SqliteConnection, name: &BotName) -> Done<bool> {
    let query = sqlx::query_scalar("select exists (select 1 from bot where name = ?1)").bind(name.as_str());
    query.fetch_one(db).await
}

pub(in super::super) async fn read(db: &mut SqliteConnection, name: &BotName) -> Done<Option<SqliteRow>> {
    sqlx::query("select * from bot where name = ?1").bind(name.as_str()).fetch_optional(db).await
}

pub(in super::super) async fn advance_last_slot(
    db: &mut SqliteConnection,
    bot: &BotName,
    newest: DateTime<Utc>,
    missed: u32,
) -> Done<bool> {
    let update = "update bot set considered = max(considered, ?2), missed = missed + ?3 where name = ?1";
    let query = sqlx::query(update).bind(bot.as_str()).bind(millis(newest)).bind(missed);
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}

/// `false` if there is no such bot. A bot that is already paused keeps the start of its pause, and its reason
/// unless a new one is given.
pub(in super::super) async fn pause(
    db: &mut SqliteConnection,
    bot: &BotName,
    why: Option<&str>,
    now: DateTime<Utc>,
) -> Done<bool> {
    let update = "update bot set paused_at = coalesce(paused_at, ?3), paused_why = coalesce(?2, paused_why) \
        where name = ?1";
    let query = sqlx::query(update).bind(bot.as_str()).bind(why).bind(millis(now));
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}

/// `false` if there is no such bot.
pub(in super::super) async fn resume(
    db: &mut SqliteConnection,
    bot: &BotName,
    now: DateTime<Utc>,
) -> Done<bool> {
    // Slots that passed during a pause are over; those of a bot that was not paused are not. Only a bot that
    // is paused because its account can't be read may continue without reconciliation. A last slot that is
    // ahead of the clock would silence the bot until then, so it is reset.
    let update = "update bot set considered = case when considered > ?3 then ?2 \
        when paused_at is null then considered else max(considered, ?2) end, \
        resets = resets + (considered > ?3), \
        behind_since = iif(paused_why is null, behind_since, null), paused_at = null, paused_why = null, \
        behind_cause = iif(paused_why is null, behind_cause, null), \
        behind_why = iif(paused_why is null, behind_why, null) where name = ?1";
    let query = sqlx::query(update).bind(bot.as_str()).bind(millis(now)).bind(millis(now + CLOCK_TOLERANCE));
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}

/// Marks this bot, or every bot, as needing reconciliation since `since`; its slots up to `now` are over. The
/// clock of the machine that made the backup may have been ahead, so `since` is capped at `now`: otherwise the
/// posts made before it would be missed.
pub(in super::super) async fn require_reconciliation(
    db: &mut SqliteConnection,
    bot: Option<&BotName>,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Done {
    let update = "update bot set considered = max(considered, ?2), \
        behind_since = min(coalesce(behind_since, ?1), ?1), behind_cause = null, behind_why = null \
        where ?3 is null or name = ?3";
    let since = millis(since.min(now));
    let query = sqlx::query(update).bind(since).bind(millis(now)).bind(bot.map(BotName::as_str));
    query.execute(db).await.map(|_| ())
}

/// `false` if there is no such bot.
pub(in super::super) async fn finish_reconciliation(db: &mut SqliteConnection, bot: &BotName) -> Done<bool> {
    let update = "update bot set behind_since = null, behind_cause = null, behind_why = null where name = ?1";
    let query = sqlx::query(update).bind(bot.as_str());
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}

/// `false` if there is no such bot.
pub(in super::super) async fn note_unreconciled(
    db: &mut SqliteConnection,
    bot: &BotName,
    why: &Why,
) -> Done<bool> {
    let update = "update bot set behind_cause = ?2, behind_why = ?3 where name = ?1";
    let query = sqlx::query(update).bind(bot.as_str()).bind(why.cause.as_str()).bind(&why.reason);
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}
