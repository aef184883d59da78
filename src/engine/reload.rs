//! Another flock in the place of the one that runs, without a restart.
//!
//! The new members are handed to the loop, which tasks them between two of its rounds: who stays keeps its task, its
//! memory and its next wake-up, who has changed is looked at at once, and who has left finishes the post that is in
//! flight. The schedules are the ledger's: [`Store::enter`] begins a changed one anew and leaves the others alone. What
//! `flock.toml` says, and whether it is any good, is found out before that, and not here.
//!
//! [`Store::enter`]: crate::store::Store::enter

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::run::{BotTask, Scheduler};
use super::{BoundBot, Engine, entry, session};
use crate::flock::event::Event;
use crate::flock::{Bot, BotName};
use crate::store::{Entry, StoreError};

/// A flock on its way into the loop, and who waits for the word that it is there. That names who is new or has changed.
pub(super) struct Change {
    members: Vec<BoundBot>,
    done: oneshot::Sender<Result<Vec<Arc<BoundBot>>, StoreError>>,
}

/// Where the loop finds a flock that is to take the place of its own.
#[derive(Default)]
pub(super) struct Handover {
    change: Mutex<Option<Change>>,
    put: Notify,
}

impl Handover {
    /// Waits until there is one.
    pub(super) async fn put(&self) {
        self.put.notified().await;
    }

    fn take(&self) -> Option<Change> {
        self.change.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Engine {
    /// Has the loop go on with these bots in the place of those it has, and returns when it does. An error is the
    /// ledger's, and has changed nothing. The engine must be running; one reload at a time.
    pub async fn reload(&self, members: Vec<BoundBot>) -> Result<(), StoreError> {
        let (done, told) = oneshot::channel();
        *self.handover.change.lock().unwrap_or_else(PoisonError::into_inner) = Some(Change { members, done });
        self.handover.put.notify_one();
        let Ok(seated) = told.await else {
            return Err(StoreError::Unusable("flockd is stopping".to_owned()));
        };
        for bound in seated? {
            self.introduce(&bound).await;
        }
        Ok(())
    }

    /// Tells now whatever is wrong with a bot's poem or its sign-in, and not when its first slot comes in a month.
    pub(super) async fn introduce(&self, bound: &BoundBot) {
        self.look_at_poem(&bound.bot).await;
        session::tell_if_signed_out(self, bound).await;
    }

    pub(super) fn all_members(&self) -> Vec<Arc<BoundBot>> {
        self.bots.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl BoundBot {
    /// The same bot with what is remembered of it.
    fn remembering(mut self, before: &Self) -> Self {
        self.memory = before.memory.clone();
        if self.made_of.is_some() && self.made_of == before.made_of {
            self.network = before.network.clone();
        }
        if self.bot.network != before.bot.network {
            self.memory.sends.forget_cooldown();
        }
        self
    }
}

impl Scheduler {
    /// Seats a flock that was handed over, as soon as none of those is at work who get another name: their posts go along,
    /// and must not move under the hands of a task.
    pub(super) async fn take_up(&mut self) {
        if let Some(change) = self.engine.handover.take() {
            self.renamed = change.members.iter().filter_map(|bound| self.old_name(&bound.bot)).collect();
            self.change = Some(change);
        }
        if self.renamed.iter().any(|bot| self.bots.get(bot).is_some_and(|task| task.busy)) {
            return;
        }
        let Some(Change { members, done }) = self.change.take() else { return };
        let seated = self.enter(&members).await.map(|()| self.task(members));
        let renamed = std::mem::take(&mut self.renamed);
        // If the ledger has refused, they go on under their old names.
        self.wake_all(|task| renamed.contains(&task.bound.bot.name), self.engine.clock.now());
        // Whoever waited may be gone: then the flock stops.
        let _ = done.send(seated);
        self.hear().await;
    }

    /// The name under which a bot has a task that it is to give up.
    fn old_name(&self, bot: &Bot) -> Option<BotName> {
        let was = bot.was.as_ref().filter(|was| self.bots.contains_key(*was))?;
        (!self.bots.contains_key(&bot.name)).then(|| was.clone())
    }

    /// Makes those known to the ledger of whom it does not know yet, or has another schedule.
    async fn enter(&self, members: &[BoundBot]) -> Result<(), StoreError> {
        let known = |bot: &BotName| self.bots.get(bot).map(|task| entry(&task.bound.bot));
        let entries = members.iter().map(|bound| entry(&bound.bot));
        let entries: Vec<Entry> =
            entries.filter(|entry| known(&entry.name).as_ref() != Some(entry)).collect();
        if entries.is_empty() {
            return Ok(());
        }
        for not in self.engine.store.enter(&entries, self.engine.clock.now()).await? {
            self.engine.events.emit(&Event::NotRenamed { bot: not.bot, was: not.was });
        }
        Ok(())
    }

    /// Gives every bound its task. Returns who is new or has changed.
    fn task(&mut self, members: Vec<BoundBot>) -> Vec<Arc<BoundBot>> {
        let now = Some(self.engine.clock.now());
        let (mut tasks, mut news) = (HashMap::with_capacity(members.len()), Vec::new());
        for bound in members {
            let name = bound.bot.name.clone();
            let old_name = self.old_name(&bound.bot);
            let before = self.bots.remove(old_name.as_ref().unwrap_or(&name));
            let task = match before {
                Some(before) => before.taken_by(bound, now),
                None => BotTask::new(Arc::new(bound), now),
            };
            if task.wake == now || task.changed {
                news.push(task.bound.clone());
            }
            tasks.insert(name, task);
        }
        let gone: Vec<BotName> = self.bots.keys().cloned().collect();
        for bot in gone {
            self.see_off(&bot);
        }
        let members = tasks.iter().map(|(name, task)| (name.clone(), task.bound.clone())).collect();
        *self.engine.bots.write().unwrap_or_else(PoisonError::into_inner) = members;
        self.bots.extend(tasks);
        self.forget_old_wakes();
        news
    }

    /// Lets a bot go that is in the flock no more, when its task has ended.
    fn see_off(&mut self, bot: &BotName) {
        match self.bots.get_mut(bot) {
            Some(task) if task.busy => (task.leaves, task.wake) = (true, None),
            _ => self.leave(bot),
        }
    }

    /// Keeps one wake-up for each bot: those that no longer count would pile up over many reloads.
    fn forget_old_wakes(&mut self) {
        let wakes = self.bots.iter().filter_map(|(bot, task)| Some(Reverse((task.wake?, bot.clone()))));
        self.wakes = wakes.collect();
    }
}

impl BotTask {
    /// The task with its bot as it is from now on, looked at at once if it has changed.
    fn taken_by(mut self, bound: BoundBot, now: super::tick::Wake) -> Self {
        let bound = bound.remembering(&self.bound);
        if *bound.bot != *self.bound.bot || self.leaves {
            self.changed = self.busy;
            self.wake = if self.busy { None } else { now };
        }
        (self.bound, self.leaves) = (Arc::new(bound), false);
        self
    }
}
