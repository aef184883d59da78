//! A ledger that was put back from a copy: what the bot's account has from after the copy is written down before
//! anything is posted, so that no line is repeated. Where the account can't be read the bot is paused until a
//! person has looked.
//!
//! Only lines of the poem as it is now are looked for: others can't be repeated.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::turn::Wake;
use super::{Engine, Member, session};
use crate::flock::AtEnd;
use crate::flock::event::Event;
use crate::flock::pick;
use crate::flock::poem::{LineId, Poem};
use crate::flock::post::Why;
use crate::net::{Network, Seen, Setback, Timeline};
use crate::store::{Find, Standing, StoreError};

/// The pause before an account that can't be read now is asked again.
const AGAIN: TimeDelta = TimeDelta::minutes(5);

/// Brings the ledger up to date with a bot's account, which may have posts from after `since`.
pub(super) async fn catch_up(
    engine: &Engine,
    member: &Member,
    standing: &Standing,
    since: DateTime<Utc>,
) -> Result<Wake, StoreError> {
    if standing.paused.is_some() {
        return Ok(None);
    }
    let seen = match session::written_since(engine, member, standing.account.as_ref(), since).await? {
        Ok(Timeline::Posts(seen)) => seen,
        Ok(Timeline::CannotTell(why)) => return pause(engine, member, since, why).await,
        Err(setback) => return Ok(later(engine, member, setback)),
    };
    let poem = match engine.poem(&member.bot).await {
        Ok(poem) => poem,
        Err(_) if seen.is_empty() => return done(engine, member, &[]).await,
        Err(why) => return Ok(later(engine, member, Setback::before_any_answer(why))),
    };
    let unknown_here = unknown_here(engine, member, seen).await?;
    let mut round = Round::of(engine, member, standing).await?;
    let mut found = Vec::new();
    for seen in unknown_here {
        if let Some((line, text)) = round.take(engine, member, &poem, &seen.text).await? {
            found.push(find(engine, member, seen, line, text));
        }
    }
    done(engine, member, &found).await
}

async fn done(engine: &Engine, member: &Member, found: &[Find]) -> Result<Wake, StoreError> {
    let bot = &member.bot.name;
    let written = engine.store.catch_up(bot, found).await?;
    engine.events.tell(&Event::CaughtUp { bot: bot.clone(), found: written.len() });
    Ok(Some(engine.clock.now()))
}

/// Nobody but a person can know what was posted meanwhile.
async fn pause(engine: &Engine, member: &Member, since: DateTime<Utc>, why: Why) -> Result<Wake, StoreError> {
    let bot = &member.bot.name;
    let made = since.format("%Y-%m-%d %H:%M UTC");
    let why = format!(
        "the ledger was put back from a copy of {made}, and what was posted since can't be read ({}): look at the \
         account, then `flockd resume {bot}`, which may repeat lines posted since",
        why.reason
    );
    engine.store.pause(bot, Some(&why), engine.clock.now()).await?;
    engine.events.tell(&Event::Paused { bot: bot.clone(), why: Some(why) });
    Ok(None)
}

fn later(engine: &Engine, member: &Member, setback: Setback) -> Wake {
    let (bot, now) = (member.bot.name.clone(), engine.clock.now());
    engine.events.tell(&Event::NotCaughtUp { bot, reason: setback.why.reason });
    Some(setback.retry_at.unwrap_or(now).max(now + AGAIN))
}

/// Those that no row of the ledger is about.
async fn unknown_here(engine: &Engine, member: &Member, seen: Vec<Seen>) -> Result<Vec<Seen>, StoreError> {
    let ids: Vec<String> = seen.iter().map(|seen| seen.remote_id.clone()).collect();
    let known = engine.store.known_ids(member.bot.network, &ids).await?;
    Ok(seen.into_iter().filter(|seen| !known.contains(&seen.remote_id)).collect())
}

/// The round in which what was found was posted, and what is used in it.
struct Round {
    number: u32,
    used: HashSet<LineId>,
}

impl Round {
    async fn of(engine: &Engine, member: &Member, standing: &Standing) -> Result<Self, StoreError> {
        let number = standing.round;
        Ok(Self { number, used: engine.store.used(&member.bot.name, number).await? })
    }

    /// Uses the line that has this text; `None` if no unused line has it. A line that is used up in this round was
    /// posted in the next one, if there was one.
    async fn take(
        &mut self,
        engine: &Engine,
        member: &Member,
        poem: &Poem,
        text: &str,
    ) -> Result<Option<((u32, LineId), String)>, StoreError> {
        let network = &*member.network;
        if unused(poem, &self.used, network, text).is_none() {
            let is_line = poem.lines().iter().any(|line| network.is_same(&line.text, text));
            if !is_line || member.bot.at_end == AtEnd::Stop {
                return Ok(None);
            }
            self.number += 1;
            self.used = engine.store.used(&member.bot.name, self.number).await?;
        }
        let found = unused(poem, &self.used, network, text);
        Ok(found.map(|(line, text)| {
            self.used.insert(line);
            ((self.number, line), text)
        }))
    }
}

fn unused(
    poem: &Poem,
    used: &HashSet<LineId>,
    network: &dyn Network,
    text: &str,
) -> Option<(LineId, String)> {
    let line = pick::unused(poem, used).find(|line| network.is_same(&line.text, text))?;
    Some((line.id, line.text.clone()))
}

fn find(engine: &Engine, member: &Member, seen: Seen, line: (u32, LineId), text: String) -> Find {
    let Seen { remote_id, url, at, .. } = seen;
    Find { id: engine.new_id(), network: member.bot.network, line, text, remote_id, url, at }
}
