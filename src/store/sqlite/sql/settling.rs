//! The statements for settling posts, for budgets, and for restored ledgers.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::super::row::{self, millis};
use super::Done;
use crate::flock::post::{Cause, Post};
use crate::flock::{BotName, NetworkKind};
use crate::store::Find;

/// The reason recorded for posts that were found only on the account.
const FOUND: &str = "found on the account, where the ledger did not know of it";

/// Moves every post left in `sending` to `unknown`.
pub(in super::super) async fn doubt_all(
    db: &mut SqliteConnection,
    reason: &str,
    now: DateTime<Utc>,
) -> Done<Vec<SqliteRow>> {
    let update = "update post set state = 'unknown', doubted = 1, looks = 0, retry_at = null, cause = ?1, \
        reason = ?2, settled_at = ?3, moved_at = ?3 where state = 'sending' returning *";
    let query = sqlx::query(update).bind(Cause::Interrupted.as_str()).bind(reason).bind(millis(now));
    query.fetch_all(db).await
}

/// When the backup was made, if this ledger was restored from one and no sender has handled that yet.
pub(in super::super) async fn copied_at(db: &mut SqliteConnection) -> Done<Option<i64>> {
    let select = "select cast(value as integer) from meta where key = 'copied_at'";
    sqlx::query_scalar(select).fetch_optional(db).await
}

/// "ok", or the first damage found.
pub(in super::super) async fn integrity(db: &mut SqliteConnection) -> Done<String> {
    sqlx::query_scalar("pragma integrity_check(1)").fetch_one(db).await
}

/// Marks a copy, so that it is recognized when it is restored.
pub(in super::super) async fn mark_copy(db: &mut SqliteConnection, now: DateTime<Utc>) -> Done {
    let insert = "insert into meta (key, value) values ('copied_at', ?1) \
        on conflict (key) do update set value = min(cast(value as integer), excluded.value)";
    sqlx::query(insert).bind(millis(now)).execute(db).await.map(|_| ())
}

pub(in super::super) async fn unmark_copy(db: &mut SqliteConnection) -> Done {
    sqlx::query("delete from meta where key = 'copied_at'").execute(db).await.map(|_| ())
}

/// Moves every post that was still to be sent to `sending`: it may have been sent since the copy was made.
pub(in super::super) async fn send_all(db: &mut SqliteConnection) -> Done {
    let update = "update post set state = 'sending', sent_at = coalesce(sent_at, planned_at), \
        tried_at = coalesce(tried_at, planned_at) \
        where state = 'planned'";
    sqlx::query(update).execute(db).await.map(|_| ())
}

/// Inserts a post that was found on the account; `None` if its entry is already used, or its part of a thread is there. Without a `number`, it
/// comes last.
pub(in super::super) async fn insert_find(
    db: &mut SqliteConnection,
    bot: &BotName,
    find: &Find,
    number: Option<i64>,
) -> Done<Option<SqliteRow>> {
    let insert = "insert into post (id, bot, network, state, due_at, round, line, occurrence, text, attempts, \
        planned_at, sent_at, tried_at, settled_at, moved_at, remote_id, url, reason, app, price, number, head, part, \
        content, account) values (?1, ?2, ?3, 'posted', ?4, ?5, ?6, ?7, ?8, 1, ?4, ?4, ?4, ?4, ?4, ?9, ?10, ?11, ?12, \
        ?13, ?14, ?15, ?16, ?17, (select key from account where bot = ?2 and network = ?3)) \
        on conflict do nothing returning *";
    sqlx::query(insert)
        .bind(find.id.to_string())
        .bind(bot.as_str())
        .bind(find.network.as_str())
        .bind(millis(find.at))
        .bind(find.entry.map(|(round, _)| round))
        .bind(find.entry.as_ref().map(|(_, entry)| entry.key.as_bytes()))
        .bind(find.entry.map(|(_, entry)| entry.occurrence))
        .bind(&find.text)
        .bind(&find.remote_id)
        .bind(&find.url)
        .bind(FOUND)
        .bind(&find.app)
        .bind(find.price)
        .bind(number)
        .bind(find.continues.map(|(head, _)| head.to_string()))
        .bind(find.continues.map_or(0, |(_, part)| part))
        .bind(find.content.as_ref().map(row::json))
        .fetch_optional(db)
        .await
}

/// The subset of these ids, a JSON array, that belong to posts.
pub(in super::super) async fn known_ids(
    db: &mut SqliteConnection,
    network: NetworkKind,
    ids: &str,
) -> Done<Vec<String>> {
    let select = "select remote_id from post where network = ?1 and remote_id in \
        (select value from json_each(?2))";
    sqlx::query_scalar(select).bind(network.as_str()).bind(ids).fetch_all(db).await
}

/// Whether the bot, or its account under another name, sent another post with this text.
pub(in super::super) async fn text_sent_before(db: &mut SqliteConnection, post: &Post) -> Done<bool> {
    let select = "select exists (select 1 from post where bot = ?1 and id <> ?2 and sent_at is not null \
        and (text = ?3 or line = ?4)) \
        or exists (select 1 from post where account = (select key from account where bot = ?1) and bot <> ?1 \
        and line is not null and sent_at is not null and (text = ?3 or line = ?4))";
    let query = sqlx::query_scalar(select).bind(post.bot.as_str()).bind(post.id.to_string());
    let line = post.entry.map(|(_, line)| line.key.as_bytes().to_vec());
    query.bind(&post.text).bind(line).fetch_one(db).await
}

/// The number of posts and the money spent. A post that was not accepted costs nothing; a probe always costs.
pub(in super::super) async fn spent(
    db: &mut SqliteConnection,
    app: &str,
    since: DateTime<Utc>,
) -> Done<SqliteRow> {
    let select = "select count(*) filter (where state in ('sending', 'unknown', 'posted', 'deleted')) as posts, \
        coalesce(sum(price) filter (where state in ('sending', 'unknown', 'posted', 'deleted')), 0) \
        + coalesce(sum(read_cost), 0) + (select coalesce(sum(cost), 0) from upload \
        where app = ?1 and cost > 0 and uploaded_at >= ?2 and uploaded_at < ?3) as milli_dollars \
        from post where app = ?1 and tried_at >= ?2 and tried_at < ?3";
    // A budget covers a month at most. Anything later was dated while the clock was ahead.
    let end = since + TimeDelta::days(40);
    sqlx::query(select).bind(app).bind(millis(since)).bind(millis(end)).fetch_one(db).await
}
