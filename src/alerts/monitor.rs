//! The monitor: looks at a bot when something happens to it, for late bots every minute, and at all bots once an hour, so that
//! what lasts is reported again each day. It runs beside the engine and never delays it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::alert::{About, Alert, HELD, LEDGER, REFUSED};
use super::delivery_queue::DeliveryQueues;
use super::event_queue::QueuedEvent;
use super::{AlertSettings, EventQueue};
use crate::clock::Clock;
use crate::flock::changes::Changes;
use crate::flock::event::{Event, Events};
use crate::flock::{Bot, BotName};
use crate::health::{health_by, overdue};
use crate::sources::PoemCache;
use crate::store::Store;
use crate::store::health_state::HealthState;

/// How often to look for late bots.
const MINUTE: Duration = Duration::from_secs(60);
/// How often all bots are looked at.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Trouble with the ledger that ends sooner is not reported.
const LASTING: Duration = Duration::from_secs(5 * 60);
/// After this long without any, trouble is over: a task that has it retries within half a minute.
const CALM: Duration = Duration::from_secs(2 * 60);
/// How many bots that need a person are looked at each minute, so that one that recovered is not counted for an hour.
const LOOKED_AFTER: usize = 100;

/// The monitor.
pub struct Monitor {
    settings: watch::Receiver<Arc<AlertSettings>>,
    bots: HashMap<BotName, Arc<Bot>>,
    /// In the order of the file.
    all: Vec<Arc<Bot>>,
    store: Arc<dyn Store>,
    poem_cache: Arc<PoemCache>,
    clock: Arc<dyn Clock>,
    events: Events,
    queue: EventQueue,
    deliveries: DeliveryQueues,
    /// Who was late at the last look, and at the one before as well: a machine that has slept for a night needs a
    /// moment before it has seen to what was missed.
    late: HashSet<BotName>,
    late_twice: HashSet<BotName>,
    /// Who needed a person when it was looked at last, and who wants to know how many do.
    needy: HashSet<BotName>,
    count: watch::Sender<usize>,
    /// Why the flock can't be reloaded.
    refused: Option<Vec<String>>,
    /// Since when there is trouble with the ledger, and when there was some last.
    trouble: Option<(Duration, Duration)>,
}

impl Monitor {
    /// A monitor over the bots of `settings`, who hears what the events tell `queue`, and says how many need a person.
    pub fn new(
        settings: watch::Receiver<Arc<AlertSettings>>,
        count: watch::Sender<usize>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        events: Events,
        queue: EventQueue,
    ) -> Self {
        Self {
            settings,
            bots: HashMap::new(),
            all: Vec::new(),
            store,
            poem_cache: Arc::new(PoemCache::new(clock.clone())),
            clock,
            events,
            queue,
            deliveries: DeliveryQueues::default(),
            late: HashSet::new(),
            late_twice: HashSet::new(),
            needy: HashSet::new(),
            count,
            refused: None,
            trouble: None,
        }
    }

    /// Uses the poems of this cache.
    #[must_use]
    pub fn reading(self, poem_cache: Arc<PoemCache>) -> Self {
        Self { poem_cache, ..self }
    }

    /// Looks and tells for as long as it is polled.
    pub async fn run(mut self) {
        let (mut minute, mut hour) = (self.clock.uptime() + MINUTE, self.clock.uptime() + HOUR);
        self.take_up_rota();
        self.turn_page().await;
        self.look_at_all().await;
        // This start could read the flock.
        self.deliveries.resolve(&About::Flock, Some(REFUSED), None, self.clock.now());
        let mut more = true;
        loop {
            let clock = self.clock.clone();
            let news = tokio::select! {
                biased;
                () = clock.sleep(minute.saturating_sub(clock.uptime())) => None,
                Ok(()) = self.settings.changed() => {
                    if self.take_up_rota() {
                        // New targets have received nothing yet, and should not wait for it.
                        (minute, hour) = (clock.uptime(), clock.uptime());
                    }
                    continue;
                }
                news = self.queue.next() => Some(news),
                // All that has happened is heard first, so that a round of telling is one of all that waits.
                () = std::future::ready(()), if more => {
                    more = self.deliver().await;
                    continue;
                }
            };
            more = true;
            self.turn_page().await;
            if let Some(news) = news {
                self.hear(&news).await;
                continue;
            }
            minute = clock.uptime() + MINUTE;
            self.look_who_is_late().await;
            self.look_who_is_well_again().await;
            self.look_whether_the_ledger_is_well();
            if self.queue.overflowed() || hour <= clock.uptime() {
                hour = clock.uptime() + HOUR;
                self.look_at_all().await;
            }
        }
    }

    /// Begins a new day if it is one. Whether an app sends again shows only if every post is accepted.
    async fn turn_page(&mut self) {
        self.deliveries.turn_page(&*self.store, self.clock.now()).await;
        self.queue.want_posts(self.deliveries.has_held_app());
    }

    /// Monitors what the settings name from now on. Returns whether there is a target that was not there before.
    fn take_up_rota(&mut self) -> bool {
        let settings = self.settings.borrow_and_update().clone();
        self.bots = settings.bots.iter().map(|bot| (bot.name.clone(), bot.clone())).collect();
        self.all.clone_from(&settings.bots);
        self.needy.retain(|bot| self.bots.contains_key(bot));
        self.tell_count();
        self.deliveries.tell_these(&settings.targets)
    }

    async fn hear(&mut self, QueuedEvent { event, at, uptime }: &QueuedEvent) {
        match event {
            Event::LedgerTrouble { problem, .. } => self.trouble(problem, *at, *uptime),
            Event::AppCooldown { app, until, reason } => {
                self.deliveries.put(&Alert::of_hold(app, *until, reason, *at));
            }
            Event::NotReloaded { complaints } => {
                self.refused = Some(complaints.clone());
                self.deliveries.put(&Alert::of_refusal(complaints, *at));
            }
            Event::Reloaded(changes) => self.reloaded(changes).await,
            _ => {
                let Some(bot) = event.bot().and_then(|bot| self.bots.get(bot)).cloned() else { return };
                if matches!(event, Event::Posted(_)) {
                    self.deliveries.resolve(&About::App(bot.limit_group().to_owned()), Some(HELD), None, *at);
                }
                match Alert::of_event(&bot, event, *at) {
                    Some(alert) => self.tell(&bot, alert).await,
                    None => self.look(&bot).await,
                }
            }
        }
    }

    /// Tells of something that happened, with how the bot is by now.
    async fn tell(&mut self, bot: &Bot, alert: Alert) {
        if self.deliveries.was_told(&bot.name, alert.cause, alert.day()) {
            return;
        }
        let health = health_by(&self.poem_cache, Some(&*self.store), bot, self.clock.now()).await;
        let state = health.ok().map(|health| health.state);
        self.deliveries.put(&Alert { state, ..alert });
    }

    /// Nothing is in the way of a reload any more; how those are who came with it or have changed is seen now.
    async fn reloaded(&mut self, changes: &Changes) {
        self.refused = None;
        self.deliveries.take_back_flock(REFUSED);
        self.deliveries.resolve(&About::Flock, Some(REFUSED), None, self.clock.now());
        let renamed = changes.renamed.iter().map(|(bot, _)| bot);
        for bot in changes.came.iter().chain(renamed).chain(&changes.changed) {
            if let Some(bot) = self.bots.get(bot).cloned() {
                self.look(&bot).await;
            }
        }
    }

    /// Looks at a bot, and queues an alert if it needs a person.
    async fn look(&mut self, bot: &Bot) {
        let now = self.clock.now();
        let health = match health_by(&self.poem_cache, Some(&*self.store), bot, now).await {
            Ok(health) => health,
            Err(error) => return self.trouble(&error.to_string(), self.clock.now(), self.clock.uptime()),
        };
        // So does one whose clock is set while it boots.
        let may_pass = health.state == HealthState::Overdue || health.clock_was_ahead;
        let moment = may_pass && !self.late_twice.contains(&bot.name);
        self.note(bot, health.needs_person && !moment);
        match Alert::of_health(bot, &health, now) {
            Some(alert) if !moment => self.deliveries.put(&alert),
            Some(_) => {}
            None => self.is_well(bot, health.state),
        }
    }

    /// A bot does not need a person, or no longer.
    fn is_well(&mut self, bot: &Bot, condition: HealthState) {
        self.deliveries.take_back(&bot.name);
        let about = About::Bot(bot.name.clone(), bot.network);
        self.deliveries.resolve(&about, None, Some(condition), self.clock.now());
    }

    async fn look_at_all(&mut self) {
        for bot in self.all.clone() {
            self.look(&bot).await;
        }
        if let Some(complaints) = &self.refused {
            self.deliveries.put(&Alert::of_refusal(complaints, self.clock.now()));
        }
    }

    /// Counts a bot among those that need a person, or no more.
    fn note(&mut self, bot: &Bot, needs_person: bool) {
        let changed = match needs_person {
            true => self.needy.insert(bot.name.clone()),
            false => self.needy.remove(&bot.name),
        };
        if changed {
            self.tell_count();
        }
    }

    fn tell_count(&self) {
        self.count.send_if_modified(|count| std::mem::replace(count, self.needy.len()) != self.needy.len());
    }

    /// What ends in silence, such as a post that went well, is found by looking.
    async fn look_who_is_well_again(&mut self) {
        let needy = self.needy.iter().take(LOOKED_AFTER).filter_map(|bot| self.bots.get(bot)).cloned();
        for bot in needy.collect::<Vec<_>>() {
            let health = health_by(&self.poem_cache, Some(&*self.store), &bot, self.clock.now()).await;
            if let Some(health) = health.ok().filter(|health| !health.needs_person) {
                self.note(&bot, false);
                self.is_well(&bot, health.state);
            }
        }
    }

    async fn look_who_is_late(&mut self) {
        let overdue = match overdue(&*self.store, &self.all, self.clock.now()).await {
            Ok(overdue) => overdue,
            Err(error) => return self.trouble(&error.to_string(), self.clock.now(), self.clock.uptime()),
        };
        let late = overdue.iter().map(|bot| bot.name.clone()).collect();
        let before = std::mem::replace(&mut self.late, late);
        self.late_twice = self.late.intersection(&before).cloned().collect();
        let today = self.clock.now().date_naive();
        for bot in overdue {
            if self.late_twice.contains(&bot.name)
                && !self.deliveries.was_told(&bot.name, HealthState::Overdue.as_str(), today)
            {
                self.look(&bot).await;
            }
        }
    }

    fn look_whether_the_ledger_is_well(&mut self) {
        let (now, uptime) = (self.clock.now(), self.clock.uptime());
        if self.trouble.is_none_or(|(_, last)| uptime.saturating_sub(last) > CALM) {
            self.deliveries.resolve(&About::Flock, Some(LEDGER), None, now);
        }
    }

    /// Trouble with the ledger, and when there was some: told when it lasts.
    fn trouble(&mut self, problem: &str, at: DateTime<Utc>, uptime: Duration) {
        let going_on = self.trouble.filter(|(_, last)| uptime.saturating_sub(*last) <= CALM);
        let since = going_on.map_or(uptime, |(since, _)| since);
        // What is noticed here and what an event reports may arrive in either order.
        self.trouble = Some((since, going_on.map_or(uptime, |(_, last)| last.max(uptime))));
        if uptime.saturating_sub(since) >= LASTING {
            self.deliveries.put(&Alert::of_ledger(problem, at));
        }
    }

    /// Tells of what is to be told the next; what has waited for long only if it still holds. Returns whether there
    /// is more.
    async fn deliver(&mut self) -> bool {
        for name in self.deliveries.stale(self.clock.uptime()) {
            if let Some(bot) = self.bots.get(&name).cloned() {
                self.look(&bot).await;
            }
        }
        self.deliveries.deliver(&*self.store, &*self.clock, &self.events).await
    }
}
