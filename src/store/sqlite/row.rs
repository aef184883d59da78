//! Decodes the rows of the SQLite ledger into the domain's types.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::flock::account::{Account, ServerPictures, TextLimits};
use crate::flock::choose::Seed;
use crate::flock::content::{Content, FileDigest};
use crate::flock::media::{MediaKind, ShownPicture, Upload};
use crate::flock::poem::{EntryId, EntryKey};
use crate::flock::post::{Cause, Post, PostId, State, Why};
use crate::flock::{BotName, NetworkKind};
use crate::store::transfer::{KeptAccount, KeptBot, KeptLine, KeptPost};
use crate::store::{
    AccountConflict, Behind, Command, CommandKind, CredentialRow, Pause, ScheduleState, Sealed, Spent,
};

type Read<T> = Result<T, sqlx::Error>;

/// An instant as the ledger stores it: whole milliseconds.
pub(super) fn millis(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

/// The instant that the ledger stored; a value outside of the calendar's range becomes the nearest end of it.
pub(super) fn time(millis: i64) -> DateTime<Utc> {
    let end = if millis < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
    DateTime::from_timestamp_millis(millis).unwrap_or(end)
}

pub(super) fn post(row: &SqliteRow) -> Read<Post> {
    let planned_at = time(row.try_get("planned_at")?);
    let (sent_at, settled_at) = (optional_time(row, "sent_at")?, optional_time(row, "settled_at")?);
    Ok(Post {
        id: parsed(row, "id", |text| text.parse().ok())?,
        bot: bot(row)?,
        network: parsed(row, "network", NetworkKind::from_word)?,
        state: parsed(row, "state", State::from_word)?,
        slot: optional_time(row, "slot")?,
        due_at: time(row.try_get("due_at")?),
        head: optional_id(row, "head")?,
        part: row.try_get("part")?,
        entry: used_line(row)?,
        text: row.try_get("text")?,
        content: content(row)?,
        record: row.try_get("record")?,
        attempts: row.try_get("attempts")?,
        errors: row.try_get("errors")?,
        doubted: row.try_get("doubted")?,
        looks: row.try_get("looks")?,
        remote_id: row.try_get("remote_id")?,
        url: row.try_get("url")?,
        cause: row.try_get::<Option<&str>, _>("cause")?.and_then(Cause::from_word),
        reason: row.try_get("reason")?,
        planned_at,
        sent_at,
        retry_at: optional_time(row, "retry_at")?,
        settled_at,
        // The first flockd did not record this.
        moved_at: optional_time(row, "moved_at")?.or(settled_at).or(sent_at).unwrap_or(planned_at),
    })
}

/// A bot's pause, if it has one.
pub(super) fn pause(row: &SqliteRow) -> Read<Option<Pause>> {
    let why = row.try_get("paused_why")?;
    Ok(optional_time(row, "paused_at")?.map(|since| Pause { since, why }))
}

/// What a bot has to reconcile, if anything.
pub(super) fn reconciliation(row: &SqliteRow) -> Read<Option<Behind>> {
    let cause = row.try_get::<Option<&str>, _>("behind_cause")?.and_then(Cause::from_word);
    let reason: Option<String> = row.try_get("behind_why")?;
    let why = cause.zip(reason).map(|(cause, reason)| Why { cause, reason });
    Ok(optional_time(row, "behind_since")?.map(|since| Behind { since, why }))
}

pub(super) fn schedule_state(row: &SqliteRow) -> Read<ScheduleState> {
    Ok(ScheduleState {
        bot: bot(row)?,
        last_slot: time(row.try_get("considered")?),
        is_paused: row.try_get("rests")?,
        stalled: row.try_get("in_vain")?,
    })
}

pub(super) fn spent(row: &SqliteRow) -> Read<Spent> {
    Ok(Spent {
        posts: row.try_get("posts")?,
        milli_dollars: row.try_get::<i64, _>("milli_dollars")?.unsigned_abs(),
    })
}

pub(super) fn optional_time(row: &SqliteRow, column: &str) -> Read<Option<DateTime<Utc>>> {
    row.try_get::<Option<i64>, _>(column).map(|at| at.map(time))
}

pub(super) fn posts(rows: &[SqliteRow]) -> Read<Vec<Post>> {
    rows.iter().map(post).collect()
}

pub(super) fn used_line(row: &SqliteRow) -> Read<Option<(u32, EntryId)>> {
    match row.try_get::<Option<u32>, _>("round")? {
        Some(round) => Ok(Some((round, line(row)?))),
        None => Ok(None),
    }
}

/// What is posted, as the ledger stores it.
pub(super) fn json(content: &Content) -> String {
    serde_json::to_string(content).unwrap_or_default()
}

/// What is posted, if that is more than the text.
pub(super) fn content(row: &SqliteRow) -> Read<Option<Content>> {
    let Some(json) = row.try_get::<Option<&str>, _>("content")? else { return Ok(None) };
    let content = serde_json::from_str::<Content>(json).ok().filter(|content| !content.parts.is_empty());
    content.map(Some).ok_or_else(|| unreadable("content", json))
}

pub(super) fn upload(row: &SqliteRow) -> Read<Upload> {
    let digest: &[u8] = row.try_get("digest")?;
    Ok(Upload {
        digest: FileDigest::from_bytes(digest)
            .ok_or_else(|| unreadable("digest", "bytes that are no digest"))?,
        remote_id: row.try_get("remote_id")?,
        media_key: row.try_get("media_key")?,
        width: row.try_get("width")?,
        height: row.try_get("height")?,
        uploaded_at: time(row.try_get("uploaded_at")?),
        expires_at: optional_time(row, "expires_at")?,
        ready: row.try_get("ready")?,
        cost: row.try_get("cost")?,
    })
}

/// The place of an upload among its post's pictures, from 0.
pub(super) fn place(row: &SqliteRow) -> Read<u32> {
    row.try_get("place")
}

/// A picture of a feed.
pub(super) fn medium(row: &SqliteRow) -> Read<(MediaKind, Vec<u8>)> {
    Ok((parsed(row, "kind", MediaKind::from_word)?, row.try_get("bytes")?))
}

/// A picture that a post on a feed shows, with the post and the place among its pictures.
pub(super) fn shown_picture(row: &SqliteRow) -> Read<(PostId, u32, ShownPicture)> {
    let post = parsed(row, "post", |id| id.parse().ok())?;
    let digest: &[u8] = row.try_get("digest")?;
    let length: i64 = row.try_get("length")?;
    let picture = ShownPicture {
        digest: FileDigest::from_bytes(digest)
            .ok_or_else(|| unreadable("digest", "bytes that are no digest"))?,
        kind: parsed(row, "kind", MediaKind::from_word)?,
        length: length.unsigned_abs(),
        width: row.try_get("width")?,
        height: row.try_get("height")?,
    };
    Ok((post, place(row)?, picture))
}

fn optional_id(row: &SqliteRow, column: &'static str) -> Read<Option<PostId>> {
    let Some(id) = row.try_get::<Option<&str>, _>(column)? else { return Ok(None) };
    id.parse().map(Some).map_err(|_| unreadable(column, id))
}

pub(super) fn line(row: &SqliteRow) -> Read<EntryId> {
    Ok(EntryId { key: entry_key(row.try_get("line")?)?, occurrence: row.try_get("occurrence")? })
}

pub(super) fn entry_key(bytes: &[u8]) -> Read<EntryKey> {
    EntryKey::from_bytes(bytes).ok_or_else(|| unreadable("line", "bytes that identify no text"))
}

pub(super) fn seed(bytes: &[u8]) -> Read<Seed> {
    Seed::from_bytes(bytes).ok_or_else(|| unreadable("seed", "bytes that are no seed"))
}

pub(super) fn bot(row: &SqliteRow) -> Read<BotName> {
    parsed(row, "bot", |text| text.parse().ok())
}

pub(super) fn account(row: &SqliteRow) -> Read<Account> {
    Ok(Account {
        network: parsed(row, "network", NetworkKind::from_word)?,
        id: row.try_get("id")?,
        server: row.try_get("server")?,
        handle: row.try_get("handle")?,
        name: row.try_get("name")?,
        picture_url: row.try_get("picture_url")?,
        access: row.try_get("access")?,
        credential_fingerprint: row.try_get("learnt_with")?,
        automated: row.try_get("automated")?,
        limits: limits(row)?,
        pictures: pictures(row)?,
    })
}

/// Another bot that has the same account.
pub(super) fn rival(row: &SqliteRow) -> Read<AccountConflict> {
    Ok(AccountConflict { bot: bot(row)?, signed_in: row.try_get("signed_in")? })
}

fn limits(row: &SqliteRow) -> Read<Option<TextLimits>> {
    let (characters, per_url): (Option<u32>, Option<u32>) =
        (row.try_get("max_characters")?, row.try_get("per_url")?);
    Ok(characters.zip(per_url).map(|(characters, per_url)| TextLimits { characters, per_url }))
}

/// Limits that can't be read are as good as none: the server says them again within a day.
fn pictures(row: &SqliteRow) -> Read<Option<ServerPictures>> {
    let text: Option<&str> = row.try_get("pictures")?;
    Ok(text.and_then(|text| serde_json::from_str(text).ok()))
}

/// The name of an app, with what it registered.
pub(super) fn registration(row: &SqliteRow) -> Read<(String, Sealed)> {
    let network = parsed(row, "network", NetworkKind::from_word)?;
    let sealed = Sealed { network, key_mark: row.try_get("key_mark")?, bytes: row.try_get("sealed")? };
    Ok((row.try_get("app")?, sealed))
}

pub(super) fn credential(row: &SqliteRow) -> Read<CredentialRow> {
    Ok(CredentialRow {
        version: row.try_get::<i64, _>("version")?.unsigned_abs(),
        sealed: sealed(row)?,
        signed_in_at: optional_time(row, "signed_in_at")?,
        leased_until: optional_time(row, "claimed_until")?,
    })
}

fn sealed(row: &SqliteRow) -> Read<Option<Sealed>> {
    let Some(bytes) = row.try_get("sealed")? else { return Ok(None) };
    let network = parsed(row, "network", NetworkKind::from_word)?;
    Ok(Some(Sealed { network, key_mark: row.try_get("key_mark")?, bytes }))
}

/// A version as the ledger stores it. It never issued one that is too large to store, so any version that does not
/// exist will do.
pub(super) fn kept_version(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(-1)
}

pub(super) fn command(row: &SqliteRow) -> Read<Command> {
    Ok(Command {
        id: parsed(row, "id", |text| text.parse::<PostId>().ok())?,
        // One malformed command must not keep the others from being read.
        what: serde_json::from_str(row.try_get("what")?).unwrap_or(CommandKind::NotUnderstood),
        made_at: time(row.try_get("made_at")?),
    })
}

/// A bot with everything stored about it, together with its account's row.
pub(super) fn kept_bot(row: &SqliteRow) -> Read<KeptBot> {
    let account = match row.try_get::<Option<String>, _>("id")? {
        Some(id) => {
            let network = parsed(row, "network", NetworkKind::from_word)?;
            let (server, handle) = (row.try_get("server")?, row.try_get("handle")?);
            Some(KeptAccount { network, id, server, handle })
        }
        None => None,
    };
    Ok(KeptBot {
        name: parsed(row, "name", |text| text.parse().ok())?,
        schedule: row.try_get("schedule")?,
        last_slot: time(row.try_get("considered")?),
        missed: row.try_get::<i64, _>("missed")?.unsigned_abs(),
        paused_at: optional_time(row, "paused_at")?,
        paused_why: row.try_get("paused_why")?,
        behind_since: optional_time(row, "behind_since")?,
        seed: row.try_get::<Option<Vec<u8>>, _>("seed")?.as_deref().map(self::seed).transpose()?,
        account,
    })
}

/// A post with everything stored about it.
pub(super) fn kept_post(row: &SqliteRow) -> Read<KeptPost> {
    let content = content(row)?;
    let line = used_line(row)?.map(|(round, line)| {
        let key = content.is_some().then_some(line.key);
        KeptLine { round, occurrence: line.occurrence, key }
    });
    Ok(KeptPost {
        id: parsed(row, "id", |text| text.parse().ok())?,
        bot: bot(row)?,
        network: parsed(row, "network", NetworkKind::from_word)?,
        state: parsed(row, "state", State::from_word)?,
        slot: optional_time(row, "slot")?,
        due_at: time(row.try_get("due_at")?),
        head: optional_id(row, "head")?,
        part: row.try_get("part")?,
        line,
        text: row.try_get("text")?,
        content,
        record: row.try_get("record")?,
        attempts: row.try_get("attempts")?,
        errors: row.try_get("errors")?,
        doubted: row.try_get("doubted")?,
        looks: row.try_get("looks")?,
        remote_id: row.try_get("remote_id")?,
        url: row.try_get("url")?,
        cause: row.try_get("cause")?,
        reason: row.try_get("reason")?,
        planned_at: time(row.try_get("planned_at")?),
        sent_at: optional_time(row, "sent_at")?,
        tried_at: optional_time(row, "tried_at")?,
        retry_at: optional_time(row, "retry_at")?,
        settled_at: optional_time(row, "settled_at")?,
        moved_at: optional_time(row, "moved_at")?,
        app: row.try_get("app")?,
        price: row.try_get::<Option<u32>, _>("price")?.unwrap_or(0),
        read_cost: row.try_get("read_cost")?,
        account: row.try_get("account")?,
        undone_by: row.try_get("undone_by")?,
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
