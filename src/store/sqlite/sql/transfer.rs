//! The statements for exports and imports.

use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::super::row::{self, millis};
use super::Done;
use crate::flock::BotName;
use crate::store::transfer::{KeptBot, KeptPost};

/// The triggers that check a post's state transitions.
const GUARDS: &str =
    "select name, sql from sqlite_schema where type = 'trigger' and name in ('post_begin', 'post_move')";

/// The number of bots, and of posts.
pub(in super::super) async fn count(db: &mut SqliteConnection, bot: Option<&BotName>) -> Done<(u64, u64)> {
    let select = "select (select count(*) from bot where ?1 is null or name = ?1), \
        (select count(*) from post where ?1 is null or bot = ?1)";
    let (bots, posts): (i64, i64) =
        sqlx::query_as(select).bind(bot.map(BotName::as_str)).fetch_one(db).await?;
    Ok((bots.unsigned_abs(), posts.unsigned_abs()))
}

/// The bots, each with its account.
pub(in super::super) async fn bots(db: &mut SqliteConnection, bot: Option<&BotName>) -> Done<Vec<SqliteRow>> {
    let select = "select bot.*, seed.seed, account.network, account.id, account.server, account.handle \
        from bot left join account on account.bot = bot.name left join seed on seed.bot = bot.name where ?1 is null or bot.name = ?1 order by bot.name";
    sqlx::query(select).bind(bot.map(BotName::as_str)).fetch_all(db).await
}

/// The posts, in the order in which they were written.
pub(in super::super) fn posts<'c>(
    db: &'c mut SqliteConnection,
    bot: Option<&BotName>,
) -> BoxStream<'c, Done<SqliteRow>> {
    let select = "select * from post where ?1 is null or bot = ?1 order by number";
    sqlx::query(select).bind(bot.map(|bot| bot.as_str().to_owned())).fetch(db)
}

/// Begins a savepoint in which posts can be inserted in any state. Returns the statements that recreate the
/// triggers that otherwise forbid it.
pub(in super::super) async fn lift_guards(db: &mut SqliteConnection) -> Done<Vec<String>> {
    sqlx::query("savepoint import").execute(&mut *db).await?;
    let guards: Vec<(String, String)> = sqlx::query_as(GUARDS).fetch_all(&mut *db).await?;
    for (name, _) in &guards {
        sqlx::query(AssertSqlSafe(format!("drop trigger {name}"))).execute(&mut *db).await?;
    }
    Ok(guards.into_iter().map(|(_, sql)| sql).collect())
}

/// Restores the triggers, and releases the savepoint.
pub(in super::super) async fn set_guards(db: &mut SqliteConnection, guards: &[String]) -> Done {
    for guard in guards {
        // The ledger's own statements, as stored in its schema.
        sqlx::query(AssertSqlSafe(guard.clone())).execute(&mut *db).await?;
    }
    sqlx::query("release import").execute(db).await.map(|_| ())
}

/// Rolls back to the savepoint, which also restores the triggers.
pub(in super::super) async fn undo(db: &mut SqliteConnection) -> Done {
    sqlx::query("rollback to import").execute(&mut *db).await?;
    sqlx::query("release import").execute(db).await.map(|_| ())
}

/// The lowest number of a post; 1 if there is none. Posts with lower numbers come first.
pub(in super::super) async fn first_number(db: &mut SqliteConnection) -> Done<i64> {
    sqlx::query_scalar("select coalesce(min(number), 1) from post").fetch_one(db).await
}

/// When the oldest post of a bot was planned.
pub(in super::super) async fn oldest(db: &mut SqliteConnection, bot: &BotName) -> Done<Option<i64>> {
    let select = "select min(planned_at) from post where bot = ?1";
    sqlx::query_scalar(select).bind(bot.as_str()).fetch_one(db).await
}

/// `false` if a bot of that name already exists.
pub(in super::super) async fn insert_bot(db: &mut SqliteConnection, bot: &KeptBot) -> Done<bool> {
    let insert = "insert into bot (name, schedule, considered, missed, paused_at, paused_why, behind_since) \
        values (?, ?, ?, ?, ?, ?, ?) on conflict (name) do nothing";
    let query = sqlx::query(insert)
        .bind(bot.name.as_str())
        .bind(&bot.schedule)
        .bind(millis(bot.last_slot))
        .bind(i64::try_from(bot.missed).unwrap_or(i64::MAX))
        .bind(bot.paused_at.map(millis))
        .bind(bot.paused_at.and(bot.paused_why.as_deref()))
        .bind(bot.behind_since.map(millis));
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}

/// `true` if this advances the bot's last slot.
pub(in super::super) async fn advance_last_slot(
    db: &mut SqliteConnection,
    bot: &BotName,
    newest: DateTime<Utc>,
) -> Done<bool> {
    let update = "update bot set considered = ?2 where name = ?1 and considered < ?2";
    let query = sqlx::query(update).bind(bot.as_str()).bind(millis(newest));
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}

/// `false` if a post with that id already exists. Without a `number`, the post comes last.
pub(in super::super) async fn insert_post(
    db: &mut SqliteConnection,
    post: &KeptPost,
    number: Option<i64>,
) -> Done<bool> {
    let insert = "insert into post (number, id, bot, network, state, slot, due_at, round, line, occurrence, \
        text, record, attempts, errors, doubted, looks, remote_id, url, cause, reason, planned_at, sent_at, \
        tried_at, retry_at, settled_at, moved_at, app, price, read_cost, account, undone_by, head, part, content) values (?, ?, ?, ?, ?, \
        ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (id) do nothing";
    let query = sqlx::query(insert)
        .bind(number)
        .bind(post.id.to_string())
        .bind(post.bot.as_str())
        .bind(post.network.as_str())
        .bind(post.state.as_str())
        .bind(post.slot.map(millis))
        .bind(millis(post.due_at))
        .bind(post.line.map(|line| line.round))
        .bind(post.entry_key().map(|id| id.as_bytes().to_vec()))
        .bind(post.line.map(|line| line.occurrence))
        .bind(&post.text)
        .bind(&post.record)
        .bind(post.attempts)
        .bind(post.errors)
        .bind(post.doubted)
        .bind(post.looks)
        .bind(&post.remote_id)
        .bind(&post.url)
        .bind(&post.cause)
        .bind(&post.reason)
        .bind(millis(post.planned_at))
        .bind(post.sent_at.map(millis))
        .bind(post.tried_at.map(millis))
        .bind(post.retry_at.map(millis))
        .bind(post.settled_at.map(millis))
        .bind(post.moved_at.map(millis))
        .bind(&post.app)
        .bind(post.price)
        .bind(post.read_cost)
        .bind(&post.account)
        .bind(&post.undone_by)
        .bind(post.head.map(|head| head.to_string()))
        .bind(post.part)
        .bind(post.content.as_ref().map(row::json));
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}

/// Updates a post here to the state of the same post there.
pub(in super::super) async fn move_on(db: &mut SqliteConnection, post: &KeptPost) -> Done {
    let update = "update post set state = ?2, attempts = ?3, errors = ?4, doubted = ?5, looks = ?6, \
        remote_id = ?7, url = ?8, cause = ?9, reason = ?10, sent_at = ?11, tried_at = ?12, retry_at = ?13, \
        settled_at = ?14, moved_at = ?15, read_cost = ?16, record = coalesce(record, ?17), \
        account = coalesce(?18, account), undone_by = coalesce(undone_by, ?19) where id = ?1";
    let query = sqlx::query(update)
        .bind(post.id.to_string())
        .bind(post.state.as_str())
        .bind(post.attempts)
        .bind(post.errors)
        .bind(post.doubted)
        .bind(post.looks)
        .bind(&post.remote_id)
        .bind(&post.url)
        .bind(&post.cause)
        .bind(&post.reason)
        .bind(post.sent_at.map(millis))
        .bind(post.tried_at.map(millis))
        .bind(post.retry_at.map(millis))
        .bind(post.settled_at.map(millis))
        .bind(post.moved_at.map(millis))
        .bind(post.read_cost)
        .bind(&post.record)
        .bind(&post.account)
        .bind(&post.undone_by);
    query.execute(db).await.map(|_| ())
}
