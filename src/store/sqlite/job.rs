//! What is done to a SQLite ledger in one piece: each function here is one call of the store, and whatever it
//! does becomes durable together or not at all. The statements stand in `sql`.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

use super::trouble::Trouble;
use super::{row, sql};
use crate::flock::BotName;
use crate::flock::poem::TextId;
use crate::flock::post::{Move, Post, PostId};
use crate::store::{Draft, Entry, NotRenamed, Standing, StoreError};

/// The text recorded for posts that the last holder left in `sending`.
const INTERRUPTED: &str = "flockd ended while this post was being sent";

pub(super) async fn enter(
    db: &mut SqliteConnection,
    bots: Vec<Entry>,
    now: DateTime<Utc>,
) -> Result<Vec<NotRenamed>, Trouble> {
    let not_renamed = rename(db, &bots).await?;
    for entry in &bots {
        sql::enter_bot(db, entry, now).await?;
    }
    Ok(not_renamed)
}

/// Renames what can be renamed, before any new name is entered: a name that one bot gives up is free for
/// another, in whatever order they come.
async fn rename(db: &mut SqliteConnection, bots: &[Entry]) -> Result<Vec<NotRenamed>, Trouble> {
    let asked = |entry: &Entry| entry.was.clone().map(|was| NotRenamed { bot: entry.name.clone(), was });
    let mut waiting: Vec<NotRenamed> = bots.iter().filter_map(asked).collect();
    loop {
        let mut in_the_way = Vec::new();
        let before = waiting.len();
        for rename in waiting {
            if !sql::rename_bot(db, &rename.was, &rename.bot).await? && sql::has_bot(db, &rename.was).await? {
                in_the_way.push(rename);
            }
        }
        if in_the_way.len() == before || in_the_way.is_empty() {
            return Ok(in_the_way);
        }
        waiting = in_the_way;
    }
}

pub(super) fn known(bot: &BotName, found: bool) -> Result<(), Trouble> {
    if found { Ok(()) } else { Err(stranger(bot)) }
}

fn stranger(bot: &BotName) -> Trouble {
    Trouble::Rule(StoreError::NotFound(format!("bot {bot}")))
}

pub(super) async fn take_over(db: &mut SqliteConnection, now: DateTime<Utc>) -> Result<Vec<Post>, Trouble> {
    sql::forget_answered(db, now).await?;
    let rows = sql::doubt_all(db, INTERRUPTED, now).await?;
    Ok(row::posts(&rows)?)
}

pub(super) async fn open_post(db: &mut SqliteConnection, draft: Draft) -> Result<Post, Trouble> {
    // The one foreign key of a post is its bot.
    let row = sql::insert_post(db, &draft).await.map_err(|error| match error.as_database_error() {
        Some(database) if database.is_foreign_key_violation() => stranger(&draft.bot),
        _ => error.into(),
    })?;
    if let Some(slot) = draft.slot {
        sql::consider(db, &draft.bot, slot, draft.missed).await?;
    }
    Ok(row::post(&row)?)
}

pub(super) async fn advance(
    db: &mut SqliteConnection,
    id: PostId,
    step: Move,
    now: DateTime<Utc>,
) -> Result<Post, Trouble> {
    if let Some(row) = sql::move_post(db, id, &step, now).await? {
        return Ok(row::post(&row)?);
    }
    Err(Trouble::Rule(match sql::post(db, id).await? {
        None => StoreError::NotFound(format!("post {id}")),
        Some(row) => StoreError::IllegalMove { id, from: row::post(&row)?.state, to: step.to() },
    }))
}

pub(super) async fn standing(
    db: &mut SqliteConnection,
    name: &BotName,
    now: DateTime<Utc>,
) -> Result<Option<Standing>, sqlx::Error> {
    // One transaction: what is read together was true together.
    let mut db = db.begin().await?;
    let Some(bot) = sql::bot(&mut db, name).await? else { return Ok(None) };
    let optional = |row: Option<SqliteRow>| row.as_ref().map(row::post).transpose();
    let last_posted = optional(sql::last_posted(&mut db, name).await?)?;
    let duplicates = sql::duplicates_since(&mut db, name, last_posted.as_ref().map(|post| post.id)).await?;
    let mut avoid = duplicates.iter().map(|id| row::text_id(id)).collect::<Result<HashSet<_>, _>>()?;
    avoid.extend(last_posted.iter().flat_map(|post| &post.text).map(|text| TextId::of(text)));
    Ok(Some(Standing {
        considered: row::time(bot.try_get("considered")?),
        missed: bot.try_get::<i64, _>("missed")?.unsigned_abs(),
        account: row::account(&bot)?,
        round: sql::round(&mut db, name).await?.unwrap_or(1),
        open: optional(sql::open_post(&mut db, name).await?)?,
        last: optional(sql::last_post(&mut db, name).await?)?,
        last_posted,
        avoid,
        sent_last_hour: sql::sent_since(&mut db, name, now - TimeDelta::hours(1)).await?,
    }))
}
