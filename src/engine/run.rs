//! The loop: a heap of wake-ups, posts in flight, commands, shutdown, and the handover of a new flock at a reload.
//!
//! A reload takes effect between two rounds. Each bot keeps its run, its memory and its next wake-up, under its old
//! name if it was renamed; a bot that has left stays until its run has ended, so no bot ever has two.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinSet;
use tracing::Instrument;

use super::{BoundBot, Engine, entry, tick, tokens};
use crate::flock::due::Wake;
use crate::flock::event::Event;
use crate::flock::post::PostId;
use crate::flock::{Bot, BotName};
use crate::store::{BotEntry, Command, StoreError};

/// The most posts in flight at once for one app, or for a network without apps: at a third of a second each
/// that is some two hundred a second, more than any network takes, and few enough sockets for the smallest
/// machine. Each has a semaphore of its own, so that a network that hangs holds up no bots of others.
const IN_FLIGHT: usize = 64;
/// The longest sleep: a clock that was set, or a machine that slept, is noticed after this at the latest.
pub(super) const MAX_SLEEP: Duration = Duration::from_secs(30);
/// The same, to compare times of the wall clock with.
const MAX_SLEEP_BY_WALL_CLOCK: TimeDelta = TimeDelta::seconds(30);
/// How long a stop waits for the posts in flight.
const DRAIN: Duration = Duration::from_secs(30);
/// The pause after the ledger failed a bot, before it is tried again.
const AFTER_TROUBLE: TimeDelta = TimeDelta::seconds(30);
/// A wall clock that goes back by less than this is being adjusted, not set.
const SET_BACK: TimeDelta = TimeDelta::seconds(5);

impl Engine {
    /// Runs the flock until `shutdown` resolves. Then no new slot starts, and what is in flight is finished
    /// and recorded, for at most thirty seconds. [`Engine::take_over`] must have been called.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()>) {
        let mut work = Scheduler::new(self);
        work.run(shutdown).await;
        work.drain().await;
    }
}

/// The state of the loop.
pub(super) struct Scheduler {
    pub(super) engine: Arc<Engine>,
    pub(super) bots: HashMap<BotName, ScheduledBot>,
    pub(super) wakes: BinaryHeap<Reverse<(DateTime<Utc>, BotName)>>,
    runs: JoinSet<EndedRun>,
    gates: HashMap<String, Arc<Semaphore>>,
    pub(super) seen: HashSet<PostId>,
    seen_at: DateTime<Utc>,
    /// The flock that will replace this one, and the bots that must not be at work when it does, as they are renamed.
    pub(super) change: Option<Change>,
    pub(super) renamed: HashSet<BotName>,
    now: DateTime<Utc>,
}

/// A bot's entry in the loop: its client, when it wakes next, and the commands that wait for it.
pub(super) struct ScheduledBot {
    pub(super) bound: Arc<BoundBot>,
    pub(super) busy: bool,
    /// The bot changed during its run, so the wake-up that the run returns is out of date.
    pub(super) changed: bool,
    /// The bot was removed from the flock; this entry stays until its run ends.
    pub(super) leaves: bool,
    pub(super) wake: Wake,
    pub(super) commands: VecDeque<Command>,
}

/// A bot's run that has ended: the bot, the command it was for if any, and the result: the next wake-up, an error of
/// the ledger, or a panic.
type EndedRun = (BotName, Option<PostId>, std::thread::Result<Result<Wake, StoreError>>);

impl ScheduledBot {
    pub(super) const fn new(bound: Arc<BoundBot>, wake: Wake) -> Self {
        Self { bound, busy: false, changed: false, leaves: false, wake, commands: VecDeque::new() }
    }
}

impl Scheduler {
    fn new(engine: Arc<Engine>) -> Self {
        let scheduled = engine.all_bots().into_iter().map(|bound| {
            let name = bound.bot.name.clone();
            (name, ScheduledBot::new(bound, None))
        });
        let now = engine.clock.now();
        Self {
            bots: scheduled.collect(),
            engine,
            wakes: BinaryHeap::new(),
            runs: JoinSet::new(),
            gates: HashMap::new(),
            seen: HashSet::new(),
            seen_at: now,
            change: None,
            renamed: HashSet::new(),
            now,
        }
    }

    async fn run(&mut self, shutdown: impl Future<Output = ()>) {
        let (engine, clock) = (self.engine.clone(), self.engine.clock.clone());
        tokio::pin!(shutdown);
        let introduce = async {
            for scheduled in self.bots.values() {
                engine.introduce(&scheduled.bound).await;
            }
        };
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            () = introduce => {}
        }
        engine.events.emit(&Event::Started { bots: self.bots.len() });
        self.wake_all(|_| true, self.now);
        self.read_commands().await;
        loop {
            engine.beat();
            self.start_due();
            let nap = self.sleep_time();
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = engine.store.notified() => self.read_commands().await,
                () = engine.handover.put() => {}
                Some(ended) = self.runs.join_next() => self.finish(ended),
                () = clock.sleep(nap) => {}
            }
            self.apply_change().await;
            // A notification may have been lost, so commands are read without one as well.
            if (clock.now() - self.seen_at).abs() >= MAX_SLEEP_BY_WALL_CLOCK {
                self.read_commands().await;
            }
        }
    }

    /// Until the next wake-up, but at most `MAX_SLEEP`.
    fn sleep_time(&self) -> Duration {
        let until = |at: DateTime<Utc>| (at - self.engine.clock.now()).to_std().unwrap_or(Duration::ZERO);
        let (nap, next) = (self.engine.max_sleep, self.wakes.peek().map(|Reverse((at, _))| *at));
        self.engine.note_due(next);
        next.map_or(nap, |at| until(at).min(nap))
    }

    /// Schedules a bot's next wake-up, in place of any earlier one.
    fn wake(&mut self, bot: BotName, wake: Wake) {
        let Some(scheduled) = self.bots.get_mut(&bot) else { return };
        scheduled.wake = wake;
        if let Some(time) = wake {
            self.wakes.push(Reverse((time, bot)));
        }
    }

    /// Schedules a wake-up for all of these bots.
    pub(super) fn wake_all(&mut self, which: impl Fn(&ScheduledBot) -> bool, at: DateTime<Utc>) {
        let bots = self.bots.iter().filter(|(_, scheduled)| which(scheduled)).map(|(bot, _)| bot.clone());
        for bot in bots.collect::<Vec<_>>() {
            self.wake(bot, Some(at));
        }
    }

    /// Starts what is due.
    fn start_due(&mut self) {
        let now = self.engine.clock.now();
        if self.now - now > SET_BACK {
            self.went_back(now);
        }
        self.now = now;
        if let Some(Reverse((first, _))) = self.wakes.peek().filter(|Reverse((time, _))| *time <= now) {
            let lag = (now - *first).to_std().unwrap_or_default();
            self.engine.events.emit(&Event::WentRound { lag });
        }
        while self.wakes.peek().is_some_and(|Reverse((time, _))| *time <= now) {
            let Some(Reverse((time, bot))) = self.wakes.pop() else { return };
            let is_due = |scheduled: &ScheduledBot| scheduled.wake == Some(time) && !scheduled.busy;
            if self.bots.get(&bot).is_some_and(is_due) && !self.renamed.contains(&bot) {
                self.start(bot);
            }
        }
    }

    /// Reports that the clock went back, and wakes every bot: what was scheduled by the old time may be
    /// far off by the new one.
    fn went_back(&mut self, now: DateTime<Utc>) {
        self.engine.events.emit(&Event::ClockWentBack { seconds: (self.now - now).num_seconds() });
        self.wake_all(|scheduled| scheduled.wake.is_some(), now);
    }

    /// Starts a bot's next piece of work. A command goes before the schedule, as a person waits for it.
    fn start(&mut self, bot: BotName) {
        let Some(scheduled) = self.bots.get_mut(&bot) else { return };
        (scheduled.busy, scheduled.wake) = (true, None);
        self.engine.busy.fetch_add(1, Ordering::Relaxed);
        let (command, bound) = (scheduled.commands.pop_front(), scheduled.bound.clone());
        let gate = self.gates.entry(bound.bot.limit_group().to_owned());
        let gate = gate.or_insert_with(|| Arc::new(Semaphore::new(IN_FLIGHT))).clone();
        let (engine, id) = (self.engine.clone(), command.as_ref().map(|command| command.id));
        let work = async move {
            // The semaphore closes when the flock stops: work that has not begun then never begins.
            let Ok(_permit) = gate.acquire().await else { return Ok(None) };
            match command {
                None => tick::tick(&engine, &bound).await,
                Some(command) => engine.execute(&command).await.map(|_| Some(engine.clock.now())),
            }
        };
        // What is logged on the way says whose it is.
        let work = work.instrument(tracing::error_span!("bot", %bot));
        self.runs.spawn(AssertUnwindSafe(work).catch_unwind().map(move |done| (bot, id, done)));
    }

    fn finish(&mut self, ended: Result<EndedRun, tokio::task::JoinError>) {
        self.engine.busy.fetch_sub(1, Ordering::Relaxed);
        // Panics are caught inside the run, and nothing is aborted before the end.
        let Ok((bot, command, done)) = ended else { return };
        if let (Some(command), Err(_) | Ok(Err(_))) = (command, &done) {
            // Its caller still waits for a result: the next look finds it again.
            self.seen.remove(&command);
        }
        let now = self.engine.clock.now();
        let wake = match done {
            Ok(Ok(wake)) => wake,
            Ok(Err(error)) => {
                self.engine.ledger_trouble(Some(&bot), &error);
                Some(now + AFTER_TROUBLE)
            }
            Err(_) => {
                self.engine.events.emit(&Event::Panicked { bot: bot.clone() });
                Some(now + AFTER_TROUBLE)
            }
        };
        let Some(scheduled) = self.bots.get_mut(&bot) else { return };
        scheduled.busy = false;
        if scheduled.leaves {
            return self.leave(&bot);
        }
        let soon = std::mem::take(&mut scheduled.changed) || !scheduled.commands.is_empty();
        self.wake(bot, if soon { Some(now) } else { wake });
    }

    /// Lets a bot go. What was asked of it is answered with the next look.
    pub(super) fn leave(&mut self, bot: &BotName) {
        for command in self.bots.remove(bot).into_iter().flat_map(|scheduled| scheduled.commands) {
            self.seen.remove(&command.id);
        }
    }

    /// Reads the commands that have come since.
    pub(super) async fn read_commands(&mut self) {
        self.seen_at = self.engine.clock.now();
        let commands = match self.engine.store.open_commands().await {
            Ok(commands) => commands,
            Err(error) => return self.engine.ledger_trouble(None, &error),
        };
        let open: HashSet<_> = commands.iter().map(|command| command.id).collect();
        self.seen.retain(|id| open.contains(id));
        for command in commands {
            if self.seen.insert(command.id) {
                self.assign(command).await;
            }
        }
    }

    /// Hands a command to its bot; one about a bot that is not here is answered at once.
    async fn assign(&mut self, command: Command) {
        let bot = command.what.bot().parse::<BotName>().ok();
        let scheduled = bot.and_then(|bot| self.bots.get_mut(&bot).map(|scheduled| (bot, scheduled)));
        let Some((bot, scheduled)) = scheduled else {
            if let Err(error) = self.engine.execute(&command).await {
                self.seen.remove(&command.id);
                self.engine.ledger_trouble(None, &error);
            }
            return;
        };
        scheduled.commands.push_back(command);
        if !scheduled.busy {
            self.wake(bot, Some(self.engine.clock.now()));
        }
    }

    /// Lets what is in flight finish.
    async fn drain(mut self) {
        self.gates.values().for_each(|gate| gate.close());
        self.engine.events.emit(&Event::Stopping { in_flight: self.runs.len() });
        let clock = self.engine.clock.clone();
        let rest = async {
            while let Some(ended) = self.runs.join_next().await {
                self.finish(ended);
            }
        };
        tokio::select! {
            biased;
            () = rest => {}
            () = clock.sleep(DRAIN) => {}
        }
        self.engine.events.emit(&Event::Stopped { abandoned: self.runs.len() });
    }
}

/// A flock on its way into the loop, and the caller that waits until it is there. The reply names the bots that are new or
/// changed.
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
    /// Replaces the loop's bots with these, and returns once that is done. An error comes from the ledger, and nothing has
    /// changed then. The engine must be running; one reload at a time.
    pub async fn reload(&self, members: Vec<BoundBot>) -> Result<(), StoreError> {
        let (done, told) = oneshot::channel();
        *self.handover.change.lock().unwrap_or_else(PoisonError::into_inner) = Some(Change { members, done });
        self.handover.put.notify_one();
        let Ok(changed_bots) = told.await else {
            return Err(StoreError::Unusable("flockd is stopping".to_owned()));
        };
        for bound in changed_bots? {
            self.introduce(&bound).await;
        }
        Ok(())
    }

    /// Reports problems with a bot's poem or its sign-in now, not when its first slot comes in a month.
    pub(super) async fn introduce(&self, bound: &BoundBot) {
        self.look_at_poem(&bound.bot).await;
        tokens::tell_if_signed_out(self, bound).await;
    }

    pub(super) fn all_bots(&self) -> Vec<Arc<BoundBot>> {
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
    /// Takes over a flock that was handed in, as soon as no bot that gets another name is at work: its posts move along, and
    /// must not do so while a run uses them.
    pub(super) async fn apply_change(&mut self) {
        if let Some(change) = self.engine.handover.take() {
            self.renamed = change.members.iter().filter_map(|bound| self.old_name(&bound.bot)).collect();
            self.change = Some(change);
        }
        if self.renamed.iter().any(|bot| self.bots.get(bot).is_some_and(|scheduled| scheduled.busy)) {
            return;
        }
        let Some(Change { members, done }) = self.change.take() else { return };
        let changed_bots = self.upsert(&members).await.map(|()| self.replace_bots(members));
        let renamed = std::mem::take(&mut self.renamed);
        // If the ledger has refused, they go on under their old names.
        self.wake_all(|scheduled| renamed.contains(&scheduled.bound.bot.name), self.engine.clock.now());
        // The caller may be gone: then the flock is stopping.
        let _ = done.send(changed_bots);
        self.read_commands().await;
    }

    /// The former name of a renamed bot, if the loop still has an entry under it.
    fn old_name(&self, bot: &Bot) -> Option<BotName> {
        let was = bot.was.as_ref().filter(|was| self.bots.contains_key(*was))?;
        (!self.bots.contains_key(&bot.name)).then(|| was.clone())
    }

    /// Makes bots known to the ledger that are new to it or have another schedule.
    async fn upsert(&self, members: &[BoundBot]) -> Result<(), StoreError> {
        let known = |bot: &BotName| self.bots.get(bot).map(|scheduled| entry(&scheduled.bound.bot));
        let entries = members.iter().map(|bound| entry(&bound.bot));
        let entries: Vec<BotEntry> =
            entries.filter(|entry| known(&entry.name).as_ref() != Some(entry)).collect();
        if entries.is_empty() {
            return Ok(());
        }
        for not in self.engine.store.upsert_bots(&entries, self.engine.clock.now()).await? {
            self.engine.events.emit(&Event::NotRenamed { bot: not.bot, was: not.was });
        }
        Ok(())
    }

    /// Replaces the loop's bots; those that stay keep what is arranged for them. Returns those that are new or have
    /// changed.
    fn replace_bots(&mut self, members: Vec<BoundBot>) -> Vec<Arc<BoundBot>> {
        let now = Some(self.engine.clock.now());
        let (mut bots, mut news) = (HashMap::with_capacity(members.len()), Vec::new());
        for bound in members {
            let name = bound.bot.name.clone();
            let old_name = self.old_name(&bound.bot);
            let before = self.bots.remove(old_name.as_ref().unwrap_or(&name));
            let scheduled = match before {
                Some(before) => before.updated(bound, now),
                None => ScheduledBot::new(Arc::new(bound), now),
            };
            if scheduled.wake == now || scheduled.changed {
                news.push(scheduled.bound.clone());
            }
            bots.insert(name, scheduled);
        }
        let gone: Vec<BotName> = self.bots.keys().cloned().collect();
        for bot in gone {
            self.remove_at_rest(&bot);
        }
        let members = bots.iter().map(|(name, scheduled)| (name.clone(), scheduled.bound.clone())).collect();
        *self.engine.bots.write().unwrap_or_else(PoisonError::into_inner) = members;
        self.bots.extend(bots);
        self.forget_old_wakes();
        news
    }

    /// Lets a bot go that is in the flock no more, when its run has ended.
    fn remove_at_rest(&mut self, bot: &BotName) {
        match self.bots.get_mut(bot) {
            Some(scheduled) if scheduled.busy => (scheduled.leaves, scheduled.wake) = (true, None),
            _ => self.leave(bot),
        }
    }

    /// Keeps one wake-up for each bot: those that no longer count would pile up over many reloads.
    fn forget_old_wakes(&mut self) {
        let wakes =
            self.bots.iter().filter_map(|(bot, scheduled)| Some(Reverse((scheduled.wake?, bot.clone()))));
        self.wakes = wakes.collect();
    }
}

impl ScheduledBot {
    /// Updates the entry to the bot's new settings; if they differ, the bot is looked at right away.
    fn updated(mut self, bound: BoundBot, now: Wake) -> Self {
        let bound = bound.remembering(&self.bound);
        if *bound.bot != *self.bound.bot || self.leaves {
            self.changed = self.busy;
            self.wake = if self.busy { None } else { now };
        }
        (self.bound, self.leaves) = (Arc::new(bound), false);
        self
    }
}
