//! Units of work on a SQLite ledger: each function here is one call of the store, and everything it does becomes
//! durable together or not at all. The statements are in `sql`.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

use super::error::WriteError;
use super::{credential, row, sql};
use crate::flock::BotName;
use crate::flock::choose::{self, Seed};
use crate::flock::poem::{EntryId, EntryKey};
use crate::flock::post::{Move, Post, PostId};
use crate::store::health_state::{CLOCK_TOLERANCE, ails, mended_by_sign_in};
use crate::store::{Beginning, BotEntry, BotRecord, Draft, Find, NotRenamed, StoreError};

/// The text recorded for posts that the last sender left in `sending`.
const INTERRUPTED: &str = "flockd ended while this post was being sent";
/// The same for posts of a ledger that was restored from a copy.
const PUT_BACK: &str = "the ledger comes from a copy, and this post may have been sent since that was made";

pub(super) async fn upsert_bots(
    db: &mut SqliteConnection,
    bots: Vec<BotEntry>,
    now: DateTime<Utc>,
) -> Result<Vec<NotRenamed>, WriteError> {
    let not_renamed = rename(db, &bots).await?;
    for entry in &bots {
        sql::bot::upsert(db, entry, now).await?;
    }
    Ok(not_renamed)
}

/// Does every possible rename before any new name gets a row: a name that one bot gives up is free for another, in
/// whatever order they come.
async fn rename(db: &mut SqliteConnection, bots: &[BotEntry]) -> Result<Vec<NotRenamed>, WriteError> {
    let asked = |entry: &BotEntry| entry.was.clone().map(|was| NotRenamed { bot: entry.name.clone(), was });
    let names: HashSet<&BotName> = bots.iter().map(|entry| &entry.name).collect();
    let mut waiting: Vec<NotRenamed> = bots.iter().filter_map(asked).collect();
    loop {
        let before = waiting.len();
        let given_up: HashSet<BotName> = waiting.iter().map(|rename| rename.was.clone()).collect();
        let mut in_the_way = Vec::new();
        for rename in waiting {
            let waits = given_up.contains(&rename.bot);
            if waits || !rename_one(db, &rename, names.contains(&rename.was)).await? {
                in_the_way.push(rename);
            }
        }
        if in_the_way.len() == before || in_the_way.is_empty() {
            return still_there(db, in_the_way).await;
        }
        waiting = in_the_way;
    }
}

/// Renames a bot, with everything stored under its old name, if the old name exists and the new name is free. `false`
/// if both names have a history. `reused` says that another bot has the old name from now on.
async fn rename_one(db: &mut SqliteConnection, asked: &NotRenamed, reused: bool) -> Result<bool, WriteError> {
    let NotRenamed { bot, was } = asked;
    if sql::bot::rename(db, was, bot).await? {
        credential::carry(db, was, bot, reused).await?;
        return Ok(true);
    }
    if sql::bot::has(db, was).await? {
        return Ok(false);
    }
    // The bot may have been signed in before it ever had a row. If the new name has a history, the rename happened
    // long ago, and what is under the old name belongs to another bot.
    if !sql::bot::has(db, bot).await? {
        credential::carry(db, was, bot, reused).await?;
    }
    Ok(true)
}

/// The renames that could not be done although there is something to rename.
async fn still_there(
    db: &mut SqliteConnection,
    in_the_way: Vec<NotRenamed>,
) -> Result<Vec<NotRenamed>, WriteError> {
    let mut not_renamed = Vec::new();
    for rename in in_the_way {
        if sql::bot::has(db, &rename.was).await? {
            not_renamed.push(rename);
        }
    }
    Ok(not_renamed)
}

pub(super) fn known(bot: &BotName, found: bool) -> Result<(), WriteError> {
    if found { Ok(()) } else { Err(stranger(bot)) }
}

fn stranger(bot: &BotName) -> WriteError {
    WriteError::Rule(StoreError::NotFound(format!("bot {bot}")))
}

pub(super) async fn take_over(
    db: &mut SqliteConnection,
    now: DateTime<Utc>,
) -> Result<Vec<Post>, WriteError> {
    sql::forget_answered(db, now).await?;
    sql::monitoring::refuse(db, None).await?;
    let reason = match sql::settling::copied_at(db).await? {
        None => INTERRUPTED,
        Some(copied_at) => {
            sql::settling::send_all(db).await?;
            sql::bot::require_reconciliation(db, None, row::time(copied_at), now).await?;
            sql::settling::unmark_copy(db).await?;
            PUT_BACK
        }
    };
    let rows = sql::settling::doubt_all(db, reason, now).await?;
    Ok(row::posts(&rows)?)
}

/// Records what was found on a bot's account, and ends the bot's reconciliation.
pub(super) async fn finish_reconciliation(
    db: &mut SqliteConnection,
    bot: BotName,
    found: Vec<Find>,
) -> Result<Vec<Post>, WriteError> {
    let written = note(db, &bot, &found).await?;
    // Last: if this fails, the bot must still need reconciliation as before.
    known(&bot, sql::bot::finish_reconciliation(db, &bot).await?)?;
    Ok(written)
}

/// Records what a bot's account has. A post older than everything that the ledger has of the bot is put before all of
/// that.
pub(super) async fn note(
    db: &mut SqliteConnection,
    bot: &BotName,
    found: &[Find],
) -> Result<Vec<Post>, WriteError> {
    let oldest = sql::transfer::oldest(db, bot).await?.map(row::time);
    let mut before_all = sql::transfer::first_number(db).await?.saturating_sub_unsigned(found.len() as u64);
    let mut written = Vec::new();
    for find in found {
        let place = oldest.filter(|oldest| find.at < *oldest).map(|_| before_all);
        before_all += 1;
        let row = sql::settling::insert_find(db, bot, find, place).await?;
        written.extend(row.as_ref().map(row::post).transpose()?);
    }
    Ok(written)
}

/// Records an alert, and deletes alerts that will not be asked for again.
pub(super) async fn remember_alert(
    db: &mut SqliteConnection,
    receiver: &'static str,
    about: String,
    cause: String,
    day: NaiveDate,
) -> Result<(), WriteError> {
    sql::monitoring::forget_alerts(db, day - TimeDelta::days(7)).await?;
    sql::monitoring::insert_alert(db, receiver, &about, &cause, day).await?;
    Ok(())
}

pub(super) async fn open_post(db: &mut SqliteConnection, draft: Draft) -> Result<Post, WriteError> {
    // The only foreign key of a post is its bot.
    let row = sql::insert_post(db, &draft).await.map_err(|error| match error.as_database_error() {
        Some(database) if database.is_foreign_key_violation() => stranger(&draft.bot),
        _ => error.into(),
    })?;
    if let Some(slot) = draft.slot
        && !matches!(draft.begins, Beginning::Skipped(_))
    {
        sql::bot::advance_last_slot(db, &draft.bot, slot, draft.missed).await?;
    }
    Ok(row::post(&row)?)
}

pub(super) async fn advance(
    db: &mut SqliteConnection,
    id: PostId,
    step: Move,
    now: DateTime<Utc>,
) -> Result<Post, WriteError> {
    if let Some(row) = sql::move_post(db, id, &step, now).await? {
        return Ok(row::post(&row)?);
    }
    Err(WriteError::Rule(match sql::post(db, id).await? {
        None => StoreError::NotFound(format!("post {id}")),
        Some(row) => StoreError::IllegalMove { id, from: row::post(&row)?.state, to: step.to() },
    }))
}

/// Moves a post, and opens the one that continues its thread.
pub(super) async fn advance_and_open(
    db: &mut SqliteConnection,
    (id, step): (PostId, Move),
    now: DateTime<Utc>,
    next: Draft,
) -> Result<(Post, Post), WriteError> {
    let done = advance(db, id, step, now).await?;
    Ok((done, open_post(db, next).await?))
}

pub(super) async fn undo_skip(
    db: &mut SqliteConnection,
    bot: BotName,
    slot: Option<DateTime<Utc>>,
    by: PostId,
    now: DateTime<Utc>,
) -> Result<Option<Post>, WriteError> {
    let undone = match (sql::skip::undone_by(db, by).await?, slot) {
        (None, Some(slot)) => sql::skip::undo(db, &bot, slot, by, now).await?,
        (undone, _) => undone,
    };
    Ok(undone.as_ref().map(row::post).transpose()?)
}

pub(super) async fn draw_seed(db: &mut SqliteConnection, bot: BotName) -> Result<Seed, WriteError> {
    sql::choosing::draw_seed(db, &bot).await?;
    Ok(read_seed(db, &bot).await?)
}

async fn read_seed(db: &mut SqliteConnection, bot: &BotName) -> Result<Seed, sqlx::Error> {
    // Every bot has a seed from the moment it is entered.
    let seed = sql::choosing::seed(db, bot).await?.ok_or(sqlx::Error::RowNotFound)?;
    row::seed(&seed)
}

pub(super) async fn undo_pass(
    db: &mut SqliteConnection,
    bot: BotName,
    line: Option<(u32, EntryId)>,
    by: PostId,
    now: DateTime<Utc>,
) -> Result<Option<Post>, WriteError> {
    let undone = match (sql::skip::undone_by(db, by).await?, line) {
        (None, Some(line)) => sql::choosing::undo_pass(db, &bot, line, by, now).await?,
        (undone, _) => undone,
    };
    Ok(undone.as_ref().map(row::post).transpose()?)
}

pub(super) async fn record(
    db: &mut SqliteConnection,
    name: &BotName,
    now: DateTime<Utc>,
) -> Result<Option<BotRecord>, sqlx::Error> {
    // One transaction, so that everything read is consistent.
    let mut db = db.begin().await?;
    let Some(bot) = sql::bot::read(&mut db, name).await? else { return Ok(None) };
    let optional = |row: Option<SqliteRow>| row.as_ref().map(row::post).transpose();
    let last_posted = optional(sql::last_posted(&mut db, name).await?)?;
    let duplicates = sql::duplicates_since(&mut db, name, last_posted.as_ref().map(|post| post.id)).await?;
    let mut avoid = duplicates.iter().map(|id| row::entry_key(id)).collect::<Result<HashSet<_>, _>>()?;
    if let Some(post) = &last_posted {
        let (entry, text) = (post.entry.map(|(_, entry)| entry), post.text.as_deref().unwrap_or_default());
        avoid.extend(choose::said(entry, text, post.content.as_ref()));
    }
    if last_posted.is_none() {
        avoid.extend(sql::identity::last_elsewhere(&mut db, name).await?.map(|text| EntryKey::of(&text)));
    }
    let open = optional(sql::open_post(&mut db, name).await?)?;
    let last = optional(sql::last_post(&mut db, name).await?)?;
    // A sign-in dated by a clock that was ahead must not count as later than every failure since.
    let credible = |at: DateTime<Utc>| if at > now + CLOCK_TOLERANCE { DateTime::UNIX_EPOCH } else { at };
    let signed_in_at = credential::credential(&mut db, name).await?.signed_in_at.map(credible);
    let last_slot = row::time(bot.try_get("considered")?);
    let skipped = sql::skip::after(&mut db, name, last_slot).await?.into_iter().map(row::time).collect();
    let is_ailing = open.as_ref().or(last.as_ref()).is_some_and(|post| ails(post, signed_in_at));
    let ailing_since = if is_ailing { ailing_since(&mut db, name, signed_in_at).await? } else { None };
    Ok(Some(BotRecord {
        schedule: bot.try_get("schedule")?,
        last_slot,
        skipped,
        missed: bot.try_get::<i64, _>("missed")?.unsigned_abs(),
        account: credential::account(&mut db, name).await?,
        signed_in_at,
        ailing_since,
        round: sql::round(&mut db, name).await?.unwrap_or(1).max(1),
        open,
        last,
        last_posted,
        avoid,
        seed: read_seed(&mut db, name).await?,
        sent_last_hour: sql::count_sent_last_hour(&mut db, name, now).await?,
        paused: row::pause(&bot)?,
        reconciliation: row::reconciliation(&bot)?,
    }))
}

/// When the first post of the current run of failures was planned: of the newest posts, those that failed in a row for
/// a reason that suspends the bot. A post planned before the bot signed in counts from when it failed again.
async fn ailing_since(
    db: &mut SqliteConnection,
    name: &BotName,
    signed_in_at: Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let run = sql::newest_run(db, name, |post| ails(post, signed_in_at)).await?;
    Ok(run.last().map(|first| match signed_in_at {
        Some(at) if first.planned_at <= at && mended_by_sign_in(first) => first.moved_at,
        _ => first.planned_at,
    }))
}
