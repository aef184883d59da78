//! A slot that a person wants passed over, and one that a person wants back. A skip is written down as given up ahead of its time;
//! when that comes, the slot is taken. An undone skip leaves its slot free.

use chrono::{DateTime, Utc};

use super::attempt::{self, Occasion};
use super::commands::refused;
use super::{BotRun, BoundBot, due};
use crate::flock::message::Message;
use crate::flock::post::{Cause, PostId, Why};
use crate::store::{BotRecord, CommandResult, StoreError};

/// Passes over the next slot of a bot that is not passed over yet, though its delay may run already.
pub(super) async fn skip(run: &BotRun<'_>, id: PostId) -> Result<CommandResult, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let (bot, now) = (&bound.bot, engine.clock.now());
    if let Some(post) = engine.store.post(id).await? {
        // Whoever granted it ended between writing and answering.
        return Ok(skipped(bound, record, post.slot, now));
    }
    let Some(slot) = ahead(bound, record, now).next() else {
        return Ok(refused(format!("{} has no slot ahead that could be skipped", bot.name)));
    };
    let due_at = due::with_delay(bot, slot);
    let occasion = Occasion { id, slot: Some(slot), due_at, missed: 0, text: None };
    let why = Why::new(Cause::Person, "skipped by hand");
    match attempt::open_skipped(run, &occasion, why).await {
        Ok(post) => {
            let post = engine.announced(post);
            let record = engine.bot_record(bound, now).await?;
            Ok(skipped(bound, &record, post.slot, now))
        }
        // The bot was quicker.
        Err(StoreError::SlotTaken) => {
            Ok(refused("that slot has just been dealt with: ask again for the next"))
        }
        Err(error) => Err(error),
    }
}

/// Undoes the skip of a slot, or of the last slot that is skipped, as long as its time has not come.
pub(super) async fn undo(
    run: &BotRun<'_>,
    id: PostId,
    slot: Option<DateTime<Utc>>,
) -> Result<CommandResult, StoreError> {
    let BotRun { engine, bound, record } = *run;
    let (bot, now) = (&bound.bot, engine.clock.now());
    let skipped = record.skipped_of(&bot.schedule, record.last_slot).into_iter();
    let mut ahead = skipped.filter(|skipped| due::with_delay(bot, *skipped) > now);
    let wanted = ahead.rfind(|skipped| slot.is_none_or(|slot| slot == *skipped));
    let Some(post) = engine.store.undo_skip(&bot.name, wanted, id, now).await? else {
        let bot = &bot.name;
        return Ok(refused(match slot {
            None => Message::from(format!("{bot} skips no slot that is still ahead")),
            Some(slot) => {
                Message::from(format!("{bot} does not skip ")).at(slot).text(", or its time has come")
            }
        }));
    };
    let record = engine.bot_record(bound, now).await?;
    let message =
        Message::from(format!("{} no longer skips ", bot.name)).at(post.slot.unwrap_or(post.due_at));
    Ok(CommandResult::new(true, message.then(next(bound, &record, now)), None))
}

/// The slots that are still to come and not skipped.
fn ahead(bound: &BoundBot, record: &BotRecord, now: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    let bot = &bound.bot;
    let not_due = move |slot: &DateTime<Utc>| due::with_delay(bot, *slot) > now;
    record.expected(&bot.schedule, record.last_slot).filter(not_due)
}

fn skipped(
    bound: &BoundBot,
    record: &BotRecord,
    slot: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> CommandResult {
    let name = &bound.bot.name;
    let skips = Message::from(format!("{name} skips "));
    let skips = match slot {
        Some(slot) => skips.at(slot),
        None => skips.text("its next slot"),
    };
    let message = skips.then(next(bound, record, now));
    CommandResult::new(true, message.remedy(format!("; `flockd skip {name} --undo` undoes that"), ""), None)
}

/// What comes next, in the words of a sentence that goes on.
fn next(bound: &BoundBot, record: &BotRecord, now: DateTime<Utc>) -> Message {
    let name = &bound.bot.name;
    match ahead(bound, record, now).next() {
        _ if record.paused.is_some() => Message::from(", and is paused, so it posts nothing until ")
            .remedy(format!("`flockd resume {name}`"), "you resume it"),
        Some(next) => Message::from(", and posts next at ").at(next),
        None => Message::from(", and has no other slot ahead"),
    }
}
