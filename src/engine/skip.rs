//! A slot that a person wants passed over. It is written down as given up ahead of its time; when that comes, the slot is taken.

use chrono::{DateTime, Utc};

use super::attempt::{self, Occasion};
use super::wish::refused;
use super::{BotRun, Member, due};
use crate::flock::message::Message;
use crate::flock::post::{Cause, PostId, Why};
use crate::store::{Answer, StoreError};

/// Passes over the next slot of a bot that is not passed over yet, though its delay may run already.
pub(super) async fn skip(run: &BotRun<'_>, id: PostId) -> Result<Answer, StoreError> {
    let BotRun { engine, member, standing } = *run;
    let (bot, now) = (&member.bot, engine.clock.now());
    if let Some(post) = engine.store.post(id).await? {
        // Whoever granted it ended between writing and answering.
        return Ok(done(member, post.slot, None));
    }
    let not_due = |slot: &DateTime<Utc>| due::with_delay(bot, *slot) > now;
    let mut ahead = standing.expected(&bot.schedule, standing.considered).filter(not_due);
    let Some(slot) = ahead.next() else {
        return Ok(refused(format!("{} has no slot ahead that could be skipped", bot.name)));
    };
    let due_at = due::with_delay(bot, slot);
    let occasion = Occasion { id, slot: Some(slot), due_at, missed: 0, text: None };
    let why = Why::new(Cause::Person, "skipped by hand");
    match attempt::open_skipped(run, &occasion, why).await {
        Ok(post) => {
            let post = engine.told(post);
            Ok(done(member, post.slot, ahead.next()))
        }
        // The bot was quicker.
        Err(StoreError::SlotTaken) => {
            Ok(refused("that slot has just been dealt with: ask again for the next"))
        }
        Err(error) => Err(error),
    }
}

fn done(member: &Member, slot: Option<DateTime<Utc>>, next: Option<DateTime<Utc>>) -> Answer {
    let skips = Message::from(format!("{} skips ", member.bot.name));
    let skips = match slot {
        Some(slot) => skips.at(slot),
        None => skips.text("its next slot"),
    };
    Answer::new(
        true,
        next.into_iter().fold(skips, |skips, next| skips.text(", and posts next at ").at(next)),
        None,
    )
}
