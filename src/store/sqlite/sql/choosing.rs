//! The statements about the order of lines, and about lines that a person passed over. A row for a
//! passed-over line was never sent. It says nothing about its bot's health, and a person may undo it.

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::super::row::millis;
use super::Done;
use crate::flock::BotName;
use crate::flock::choose::Seed;
use crate::flock::poem::EntryId;
use crate::flock::post::PostId;

/// The condition for a line that was passed over, whether or not that was undone.
macro_rules! is_pass {
    () => {
        "(state in ('refused', 'released') and cause is 'person' and slot is null and attempts = 0)"
    };
}
pub(super) use is_pass;

/// The reason recorded when a line is no longer passed over.
const UNDONE: &str = "passed over by hand, and undone";

pub(in super::super) async fn seed(db: &mut SqliteConnection, bot: &BotName) -> Done<Option<Vec<u8>>> {
    sqlx::query_scalar("select seed from seed where bot = ?1").bind(bot.as_str()).fetch_optional(db).await
}

/// Draws a bot's seed, unless it has one.
pub(in super::super) async fn draw_seed(db: &mut SqliteConnection, bot: &BotName) -> Done {
    let insert = "insert into seed (bot, seed) values (?1, randomblob(16)) on conflict do nothing";
    sqlx::query(insert).bind(bot.as_str()).execute(db).await.map(|_| ())
}

/// Gives a bot the seed that it has in another ledger, unless it has already posted from this one.
pub(in super::super) async fn import_seed(db: &mut SqliteConnection, bot: &BotName, seed: Seed) -> Done {
    let has_posts = "select exists (select 1 from post where bot = ?1)";
    if sqlx::query_scalar(has_posts).bind(bot.as_str()).fetch_one(&mut *db).await? {
        return Ok(());
    }
    sqlx::query("delete from seed where bot = ?1").bind(bot.as_str()).execute(&mut *db).await?;
    let insert = "insert into seed (bot, seed) values (?1, ?2)";
    sqlx::query(insert).bind(bot.as_str()).bind(seed.as_bytes()).execute(db).await.map(|_| ())
}

/// The texts that a bot used before a round.
pub(in super::super) async fn used_before(
    db: &mut SqliteConnection,
    bot: &BotName,
    round: u32,
) -> Done<Vec<Vec<u8>>> {
    let select = "select distinct line from post where bot = ?1 and round < ?2 \
        and line is not null and state <> 'released'";
    sqlx::query_scalar(select).bind(bot.as_str()).bind(round).fetch_all(db).await
}

/// The lines that are passed over in this round or a later one, newest first.
pub(in super::super) async fn passed_over(
    db: &mut SqliteConnection,
    bot: &BotName,
    round: u32,
) -> Done<Vec<SqliteRow>> {
    // The index of used lines answers this.
    let select = concat!(
        "select round, line, occurrence from post where bot = ?1 and round >= ?2 and line is not null \
         and state <> 'released' and ",
        is_pass!(),
        " order by number desc"
    );
    sqlx::query(select).bind(bot.as_str()).bind(round).fetch_all(db).await
}

/// Frees a line that is passed over in a round.
pub(in super::super) async fn undo_pass(
    db: &mut SqliteConnection,
    bot: &BotName,
    (round, line): (u32, EntryId),
    by: PostId,
    now: DateTime<Utc>,
) -> Done<Option<SqliteRow>> {
    let update = concat!(
        "update post set state = 'released', undone_by = ?5, reason = ?6, moved_at = ?7, settled_at = ?7 \
         where bot = ?1 and round = ?2 and line = ?3 and occurrence = ?4 and line is not null \
         and state <> 'released' and ",
        is_pass!(),
        " returning *"
    );
    let query = sqlx::query(update).bind(bot.as_str()).bind(round).bind(line.key.as_bytes());
    let query = query.bind(line.occurrence).bind(by.to_string()).bind(UNDONE).bind(millis(now));
    query.fetch_optional(db).await
}
