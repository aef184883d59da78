//! What the rows of the SQLite ledger mean in the words of the domain.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::flock::poem::{LineId, TextId};
use crate::flock::post::{Cause, Post, PostId, State};
use crate::flock::{Account, NetworkKind};
use crate::store::{Want, Wish};

type Read<T> = Result<T, sqlx::Error>;

/// An instant as the ledger keeps it: whole milliseconds.
pub(super) fn millis(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

/// The instant that the ledger kept; one outside of what a calendar can say becomes its nearest end.
pub(super) fn time(millis: i64) -> DateTime<Utc> {
    let end = if millis < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp_millis(millis).unwrap_or(end)
}

pub(super) fn post(row: &SqliteRow) -> Read<Post> {
    let optional_time = |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.map(time));
    Ok(Post {
        id: parsed(row, "id", |text| text.parse().ok())?,
        bot: parsed(row, "bot", |text| text.parse().ok())?,
        network: parsed(row, "network", NetworkKind::from_word)?,
        state: parsed(row, "state", State::from_word)?,
        slot: optional_time("slot")?,
        due_at: time(row.try_get("due_at")?),
        line: used_line(row)?,
        text: row.try_get("text")?,
        attempts: row.try_get("attempts")?,
        errors: row.try_get("errors")?,
        doubted: row.try_get("doubted")?,
        remote_id: row.try_get("remote_id")?,
        url: row.try_get("url")?,
        cause: row.try_get::<Option<&str>, _>("cause")?.and_then(Cause::from_word),
        reason: row.try_get("reason")?,
        planned_at: time(row.try_get("planned_at")?),
        sent_at: optional_time("sent_at")?,
        retry_at: optional_time("retry_at")?,
        settled_at: optional_time("settled_at")?,
    })
}

pub(super) fn posts(rows: &[SqliteRow]) -> Read<Vec<Post>> {
    rows.iter().map(post).collect()
}

fn used_line(row: &SqliteRow) -> Read<Option<(u32, LineId)>> {
    match row.try_get::<Option<u32>, _>("round")? {
        Some(round) => Ok(Some((round, line(row)?))),
        None => Ok(None),
    }
}

pub(super) fn line(row: &SqliteRow) -> Read<LineId> {
    Ok(LineId { text: text_id(row.try_get("line")?)?, occurrence: row.try_get("occurrence")? })
}

pub(super) fn text_id(bytes: &[u8]) -> Read<TextId> {
    TextId::from_bytes(bytes).ok_or_else(|| unreadable("line", "bytes that identify no text"))
}

pub(super) fn account(row: &SqliteRow) -> Read<Option<Account>> {
    let (id, handle) = (row.try_get("account_id")?, row.try_get("account_handle")?);
    let learnt_with = row.try_get("account_learnt_with")?;
    let whole = |((id, handle), learnt_with)| Account { id, handle, learnt_with };
    Ok(Option::zip(Option::zip(id, handle), learnt_with).map(whole))
}

pub(super) fn wish(row: &SqliteRow) -> Read<Wish> {
    Ok(Wish {
        id: parsed(row, "id", |text| text.parse::<PostId>().ok())?,
        // One strange wish must not keep the others from being read.
        what: serde_json::from_str(row.try_get("what")?).unwrap_or(Want::NotUnderstood),
        made_at: time(row.try_get("made_at")?),
    })
}

fn parsed<T>(row: &SqliteRow, column: &'static str, read: impl Fn(&str) -> Option<T>) -> Read<T> {
    let text: &str = row.try_get(column)?;
    read(text).ok_or_else(|| unreadable(column, text))
}

fn unreadable(column: &str, value: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode {
        index: column.to_owned(),
        source: format!("{value:?} means nothing to this flockd").into(),
    }
}
