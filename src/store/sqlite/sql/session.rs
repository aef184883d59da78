//! The statements for the dashboard's login links and sessions.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::SqliteConnection;

use super::super::row::millis;
use super::Done;
use crate::store::health_state::CLOCK_TOLERANCE;

/// Stores a token of this kind.
pub(in super::super) async fn keep(
    db: &mut SqliteConnection,
    digest: &[u8],
    kind: &str,
    until: DateTime<Utc>,
) -> Done {
    let insert = "insert into pass (digest, kind, expires_at) values (?1, ?2, ?3)";
    sqlx::query(insert).bind(digest).bind(kind).bind(millis(until)).execute(db).await.map(|_| ())
}

/// Whether this token exists and has not expired.
pub(in super::super) async fn is_valid(
    db: &mut SqliteConnection,
    digest: &[u8],
    kind: &str,
    now: DateTime<Utc>,
    lasts: TimeDelta,
) -> Done<bool> {
    // A token that is valid for longer than any token may be was issued while the clock was ahead.
    let select = "select exists (select 1 from pass where digest = ?1 and kind = ?2 and expires_at > ?3 \
        and expires_at <= ?4)";
    let end = now + lasts + CLOCK_TOLERANCE;
    let query = sqlx::query_scalar(select).bind(digest).bind(kind).bind(millis(now)).bind(millis(end));
    query.fetch_one(db).await
}

/// Deletes a token of this kind; returns whether there was one.
pub(in super::super) async fn end(db: &mut SqliteConnection, digest: &[u8], kind: &str) -> Done<bool> {
    let query = sqlx::query("delete from pass where digest = ?1 and kind = ?2").bind(digest).bind(kind);
    query.execute(db).await.map(|done| done.rows_affected() > 0)
}

/// Deletes tokens that have expired by then, or all of them if no time is given.
pub(in super::super) async fn forget(db: &mut SqliteConnection, by: Option<DateTime<Utc>>) -> Done {
    let query = sqlx::query("delete from pass where ?1 is null or expires_at <= ?1").bind(by.map(millis));
    query.execute(db).await.map(|_| ())
}
