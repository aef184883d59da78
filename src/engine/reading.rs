//! Poems as the engine reads them: from the shelf, and telling what has changed. Which line is posted is not decided here.

use std::collections::HashSet;
use std::sync::Arc;

use super::Engine;
use crate::flock::Bot;
use crate::flock::account::Account;
use crate::flock::event::Event;
use crate::flock::poem::Poem;
use crate::flock::post::{Cause, Why};
use crate::net;
use crate::shelf::{Reading, ShelfError};

impl Engine {
    /// A bot's poem as it is now, or its last good version.
    pub(super) async fn poem(&self, bot: &Bot, account: Option<&Account>) -> Result<Arc<Poem>, Why> {
        let reading = self.shelf.read(&bot.poem, bot.split).await;
        self.tell_of_poem(bot, account, &reading);
        let problem = reading.problem.map(|problem| problem.at(&bot.poem));
        reading.poem.ok_or_else(|| Why::new(Cause::Poem, problem.unwrap_or_default()))
    }

    /// Looks at the poems of these bots, tells what has changed in them, and returns what is wrong with those that can't
    /// be read now, each with the first bot that reads it.
    pub async fn read_poems(&self, bots: &[Arc<Bot>]) -> Vec<(Arc<Bot>, ShelfError)> {
        let (mut seen, mut broken) = (HashSet::new(), Vec::new());
        for bot in bots {
            if seen.insert((&bot.poem, bot.split)) {
                let problem = self.look_at_poem(bot).await;
                broken.extend(problem.map(|problem| (bot.clone(), problem)));
            }
        }
        broken
    }

    /// Has the shelf forget the poems that none of these bots reads.
    pub fn forget_other_poems(&self, bots: &[Arc<Bot>]) {
        self.shelf.keep_only(&bots.iter().map(|bot| (&*bot.poem, bot.split)).collect());
    }

    /// Reads a poem before anything is posted from it. Returns what is wrong with it now.
    pub(super) async fn look_at_poem(&self, bot: &Bot) -> Option<ShelfError> {
        let reading = self.shelf.read(&bot.poem, bot.split).await;
        if reading.changed {
            let account = self.store.account(&bot.name).await.unwrap_or_default();
            self.tell_of_poem(bot, account.as_ref(), &reading);
        }
        reading.problem
    }

    fn tell_of_poem(&self, bot: &Bot, account: Option<&Account>, reading: &Reading) {
        let poem = bot.poem.clone();
        match (&reading.problem, &reading.poem) {
            _ if !reading.changed => {}
            (Some(problem), kept) => self.events.tell(&Event::PoemBroken {
                poem,
                line: problem.line(),
                problem: problem.to_string(),
                kept: kept.is_some(),
            }),
            (None, Some(good)) => self.events.tell(&poem_read(bot, account, good)),
            (None, None) => {}
        }
    }
}

fn poem_read(bot: &Bot, account: Option<&Account>, poem: &Poem) -> Event {
    let unfit = poem.lines().iter().filter(|line| net::fits(bot, account, &line.text).is_err());
    let unfit = unfit.map(|line| line.number).collect();
    Event::PoemRead { poem: bot.poem.clone(), lines: poem.lines().len(), unfit }
}
