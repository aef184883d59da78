//! The engine's poems: read from the cache, with an event for each change. Which line is posted is decided elsewhere.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::flock::Bot;
use crate::flock::account::Account;
use crate::flock::event::Event;
use crate::flock::poem::Poem;
use crate::flock::post::{Cause, Why};
use crate::net;
use crate::sources::{Reading, SourceError};

/// How long a command waits for a poem that is being written: longer than a pause in the middle of a line.
const LONGEST_WAIT: Duration = Duration::from_secs(12);
/// How often the poem is read again meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The result of reading the poems of a flock.
#[derive(Debug, Default)]
pub struct PoemReport {
    /// The poems that can't be read now, each with the first bot that reads it.
    pub broken: Vec<(Arc<Bot>, SourceError)>,
    /// When to read again, if a poem is being written.
    pub look_again: Option<Duration>,
}

/// Why there is no poem to take a line from.
pub(super) fn no_poem(bot: &Bot, reading: &Reading) -> Why {
    let problem = reading.problem.as_ref().map(|problem| problem.at(&bot.poem));
    Why::new(Cause::Poem, problem.unwrap_or_default())
}

impl Engine {
    /// A bot's poem as it is now, or its last good version.
    pub(super) async fn poem(&self, bot: &Bot, account: Option<&Account>) -> Reading {
        let reading = self.poem_cache.read(&bot.poem, bot.split).await;
        self.tell_of_poem(bot, account, &reading);
        reading
    }

    /// The same for a person, who may just have edited the poem and wants it as it is now. Waits for a file that is
    /// being written, but not forever.
    pub(super) async fn poem_by_hand(&self, bot: &Bot, account: Option<&Account>) -> Reading {
        let end = self.clock.uptime() + LONGEST_WAIT;
        loop {
            let reading = self.poem_cache.read_by_hand(&bot.poem, bot.split).await;
            self.tell_of_poem(bot, account, &reading);
            match reading.unsettled {
                Some(wait) if self.clock.uptime() < end => self.clock.sleep(wait.min(LOOK_AGAIN)).await,
                _ => return reading,
            }
        }
    }

    /// All of a bot's poem, to find the lines in it that were posted: none must be missed because the file is being
    /// written.
    pub(super) async fn whole_poem(&self, bot: &Bot, account: Option<&Account>) -> Result<Arc<Poem>, Why> {
        let reading = self.poem_by_hand(bot, account).await;
        reading.poem.clone().ok_or_else(|| no_poem(bot, &reading))
    }

    /// Reads the poems of these bots, and emits what has changed in them.
    pub async fn read_poems(&self, bots: &[Arc<Bot>]) -> PoemReport {
        let (mut seen, mut poems) = (HashSet::new(), PoemReport::default());
        for bot in bots {
            if seen.insert((&bot.poem, bot.split)) {
                let Reading { problem, unsettled, .. } = self.look_at_poem(bot).await;
                let is_new = problem == Some(SourceError::BeingWritten);
                poems.broken.extend(problem.filter(|_| !is_new).map(|problem| (bot.clone(), problem)));
                poems.look_again = poems.look_again.into_iter().chain(unsettled).min();
            }
        }
        poems
    }

    /// Drops the poems that none of these bots reads from the cache.
    pub fn forget_other_poems(&self, bots: &[Arc<Bot>]) {
        self.poem_cache.keep_only(&bots.iter().map(|bot| (&*bot.poem, bot.split)).collect());
    }

    /// Reads a poem before anything is posted from it.
    pub(super) async fn look_at_poem(&self, bot: &Bot) -> Reading {
        let reading = self.poem_cache.read(&bot.poem, bot.split).await;
        if reading.changed {
            let account = self.store.account(&bot.name).await.unwrap_or_default();
            self.tell_of_poem(bot, account.as_ref(), &reading);
        }
        reading
    }

    fn tell_of_poem(&self, bot: &Bot, account: Option<&Account>, reading: &Reading) {
        let poem = bot.poem.clone();
        match (&reading.problem, &reading.poem) {
            _ if !reading.changed => {}
            (Some(problem), kept) => self.events.emit(&Event::PoemBroken {
                poem,
                line: problem.line(),
                problem: problem.to_string(),
                kept: kept.is_some(),
            }),
            (None, Some(good)) => self.events.emit(&poem_read(bot, account, (good, reading.new_entries))),
            (None, None) => {}
        }
    }
}

fn poem_read(bot: &Bot, account: Option<&Account>, (poem, new): (&Poem, Option<usize>)) -> Event {
    let unfit = poem.entries().iter().filter(|line| net::fit(bot, account, line).is_err());
    let mut unfit: Vec<usize> = unfit.map(|line| line.number).collect();
    // A row of a table may be several lines of the poem.
    unfit.dedup();
    Event::PoemRead { poem: bot.poem.clone(), lines: poem.entries().len(), new, unfit }
}
