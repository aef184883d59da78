//! The statements about skips: slots that a person gave up ahead of time. A skip is a row without a text. It
//! says nothing about its bot's health, and a person may undo it.

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::super::row::millis;
use super::Done;
use crate::flock::BotName;
use crate::flock::post::PostId;

/// The condition for a skip.
macro_rules! is_skip {
    () => {
        "(state = 'released' and cause is 'person' and text is null and slot is not null)"
    };
}
pub(super) use is_skip;

/// The reason recorded for a skip that was undone.
const UNDONE: &str = "skipped by hand, and undone";

/// The skipped slots after an instant. A slot that also has a post, for example from before the clock was set
/// back, is not among them.
pub(in super::super) async fn after(
    db: &mut SqliteConnection,
    bot: &BotName,
    after: DateTime<Utc>,
) -> Done<Vec<i64>> {
    let select = concat!(
        "select slot from post where bot = ?1 and slot > ?2 and undone_by is null and ",
        is_skip!(),
        " order by slot"
    );
    sqlx::query_scalar(select).bind(bot.as_str()).bind(millis(after)).fetch_all(db).await
}

/// The skip that this command has undone.
pub(in super::super) async fn undone_by(db: &mut SqliteConnection, by: PostId) -> Done<Option<SqliteRow>> {
    let select = "select * from post where undone_by = ?1";
    sqlx::query(select).bind(by.to_string()).fetch_optional(db).await
}

/// Undoes the skip of a slot, if the slot is skipped.
pub(in super::super) async fn undo(
    db: &mut SqliteConnection,
    bot: &BotName,
    slot: DateTime<Utc>,
    by: PostId,
    now: DateTime<Utc>,
) -> Done<Option<SqliteRow>> {
    let update = concat!(
        "update post set undone_by = ?3, moved_at = ?4, reason = ?5 \
         where bot = ?1 and slot = ?2 and undone_by is null and ",
        is_skip!(),
        " returning *"
    );
    let query = sqlx::query(update).bind(bot.as_str()).bind(millis(slot)).bind(by.to_string());
    query.bind(millis(now)).bind(UNDONE).fetch_optional(db).await
}
