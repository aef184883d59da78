//! The monitor checks a bot when something happens to it, checks every minute for late bots, and checks all
//! bots once an hour, so that lasting problems are reported again each day. It runs beside the engine and
//! never delays it.

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

/// How often to check for late bots.
const MINUTE: Duration = Duration::from_secs(60);
/// How often to check all bots.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Ledger errors that stop sooner are not reported.
const REPORTED_AFTER: Duration = Duration::from_secs(5 * 60);
/// After this long without an error, the ledger counts as usable again: a task with errors retries within
/// half a minute.
const RECOVERED_AFTER: Duration = Duration::from_secs(2 * 60);
/// How many bots that need a person are checked again each minute, so that a recovered bot does not keep
/// counting for an hour.
const RECHECKED: usize = 100;

/// The monitor.
pub struct Monitor {
    settings: watch::Receiver<Arc<AlertSettings>>,
    bots: HashMap<BotName, Arc<Bot>>,
    /// In the order of `flock.toml`.
    all: Vec<Arc<Bot>>,
    store: Arc<dyn Store>,
    poem_cache: Arc<PoemCache>,
    clock: Arc<dyn Clock>,
    events: Events,
    queue: EventQueue,
    deliveries: DeliveryQueues,
    /// The bots that were late at the last check, and those that were late at the last two: after the machine
    /// has slept for a night, the engine needs a moment to handle what it missed.
    late: HashSet<BotName>,
    late_twice: HashSet<BotName>,
    /// The bots that needed a person at their last check, and where their number is published.
    needing_person: HashSet<BotName>,
    count: watch::Sender<usize>,
    /// Why the flock can't be reloaded.
    refused: Option<Vec<String>>,
    /// When the current ledger errors began, and when the last one occurred.
    trouble: Option<(Duration, Duration)>,
}

impl Monitor {
    /// A monitor for the bots of `settings`. It reads events from `queue`, and publishes in `count` how many
    /// bots need a person.
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
            needing_person: HashSet::new(),
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

    /// Checks and reports until dropped.
    pub async fn run(mut self) {
        let (mut minute, mut hour) = (self.clock.uptime() + MINUTE, self.clock.uptime() + HOUR);
        self.apply_settings();
        self.start_day().await;
        self.check_all().await;
        // The flock was read at startup, so an earlier refusal is over.
        self.deliveries.resolve(&About::Flock, Some(REFUSED), None, self.clock.now());
        let mut more = true;
        loop {
            let clock = self.clock.clone();
            let queued = tokio::select! {
                biased;
                () = clock.sleep(minute.saturating_sub(clock.uptime())) => None,
                Ok(()) = self.settings.changed() => {
                    if self.apply_settings() {
                        // New targets have received nothing yet and should not wait for the next check.
                        (minute, hour) = (clock.uptime(), clock.uptime());
                    }
                    continue;
                }
                queued = self.queue.next() => Some(queued),
                // Handles all queued events first, so that a round of deliveries covers everything that is
                // queued.
                () = std::future::ready(()), if more => {
                    more = self.deliver().await;
                    continue;
                }
            };
            more = true;
            self.start_day().await;
            if let Some(queued) = queued {
                self.handle(&queued).await;
                continue;
            }
            minute = clock.uptime() + MINUTE;
            self.check_overdue().await;
            self.check_recovered().await;
            self.check_ledger();
            if self.queue.overflowed() || hour <= clock.uptime() {
                hour = clock.uptime() + HOUR;
                self.check_all().await;
            }
        }
    }

    /// Starts a new day if the date has changed. All posts are needed to notice that an app sends again.
    async fn start_day(&mut self) {
        self.deliveries.start_day(&*self.store, self.clock.now()).await;
        self.queue.want_posts(self.deliveries.has_held_app());
    }

    /// Applies the current settings. Returns whether a target is new.
    fn apply_settings(&mut self) -> bool {
        let settings = self.settings.borrow_and_update().clone();
        self.bots = settings.bots.iter().map(|bot| (bot.name.clone(), bot.clone())).collect();
        self.all.clone_from(&settings.bots);
        self.needing_person.retain(|bot| self.bots.contains_key(bot));
        self.publish_count();
        self.deliveries.set_targets(&settings.targets)
    }

    async fn handle(&mut self, QueuedEvent { event, at, uptime }: &QueuedEvent) {
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
                    Some(alert) => self.report(&bot, alert).await,
                    None => self.check(&bot).await,
                }
            }
        }
    }

    /// Reports an event, together with the bot's current state.
    async fn report(&mut self, bot: &Bot, alert: Alert) {
        if self.deliveries.was_delivered(&bot.name, alert.cause, alert.day()) {
            return;
        }
        let health = health_by(&self.poem_cache, Some(&*self.store), bot, self.clock.now()).await;
        let state = health.ok().map(|health| health.state);
        self.deliveries.put(&Alert { state, ..alert });
    }

    /// The flock can be reloaded again. Checks bots that were added, renamed or changed.
    async fn reloaded(&mut self, changes: &Changes) {
        self.refused = None;
        self.deliveries.withdraw_flock(REFUSED);
        self.deliveries.resolve(&About::Flock, Some(REFUSED), None, self.clock.now());
        let renamed = changes.renamed.iter().map(|(bot, _)| bot);
        for bot in changes.came.iter().chain(renamed).chain(&changes.changed) {
            if let Some(bot) = self.bots.get(bot).cloned() {
                self.check(&bot).await;
            }
        }
    }

    /// Checks a bot, and queues an alert if it needs a person.
    async fn check(&mut self, bot: &Bot) {
        let now = self.clock.now();
        let health = match health_by(&self.poem_cache, Some(&*self.store), bot, now).await {
            Ok(health) => health,
            Err(error) => return self.trouble(&error.to_string(), self.clock.now(), self.clock.uptime()),
        };
        // Both may recover by themselves: the clock, for one, may be set during boot.
        let may_pass = health.state == HealthState::Overdue || health.clock_was_ahead;
        let moment = may_pass && !self.late_twice.contains(&bot.name);
        self.note(bot, health.needs_person && !moment);
        match Alert::of_health(bot, &health, now) {
            Some(alert) if !moment => self.deliveries.put(&alert),
            Some(_) => {}
            None => self.is_well(bot, health.state),
        }
    }

    /// A bot does not need a person, or no longer does.
    fn is_well(&mut self, bot: &Bot, condition: HealthState) {
        self.deliveries.withdraw(&bot.name);
        let about = About::Bot(bot.name.clone(), bot.network);
        self.deliveries.resolve(&about, None, Some(condition), self.clock.now());
    }

    async fn check_all(&mut self) {
        for bot in self.all.clone() {
            self.check(&bot).await;
        }
        if let Some(complaints) = &self.refused {
            self.deliveries.put(&Alert::of_refusal(complaints, self.clock.now()));
        }
    }

    /// Updates whether a bot counts among those that need a person.
    fn note(&mut self, bot: &Bot, needs_person: bool) {
        let changed = match needs_person {
            true => self.needing_person.insert(bot.name.clone()),
            false => self.needing_person.remove(&bot.name),
        };
        if changed {
            self.publish_count();
        }
    }

    fn publish_count(&self) {
        self.count.send_if_modified(|count| {
            std::mem::replace(count, self.needing_person.len()) != self.needing_person.len()
        });
    }

    /// Finds recoveries that no relevant event reports, such as a successful post.
    async fn check_recovered(&mut self) {
        let due = self.needing_person.iter().take(RECHECKED).filter_map(|bot| self.bots.get(bot)).cloned();
        for bot in due.collect::<Vec<_>>() {
            let health = health_by(&self.poem_cache, Some(&*self.store), &bot, self.clock.now()).await;
            if let Some(health) = health.ok().filter(|health| !health.needs_person) {
                self.note(&bot, false);
                self.is_well(&bot, health.state);
            }
        }
    }

    async fn check_overdue(&mut self) {
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
                && !self.deliveries.was_delivered(&bot.name, HealthState::Overdue.as_str(), today)
            {
                self.check(&bot).await;
            }
        }
    }

    fn check_ledger(&mut self) {
        let (now, uptime) = (self.clock.now(), self.clock.uptime());
        if self.trouble.is_none_or(|(_, last)| uptime.saturating_sub(last) > RECOVERED_AFTER) {
            self.deliveries.resolve(&About::Flock, Some(LEDGER), None, now);
        }
    }

    /// A ledger error occurred. It is reported only if errors persist.
    fn trouble(&mut self, problem: &str, at: DateTime<Utc>, uptime: Duration) {
        let ongoing = self.trouble.filter(|(_, last)| uptime.saturating_sub(*last) <= RECOVERED_AFTER);
        let since = ongoing.map_or(uptime, |(since, _)| since);
        // An error found here and one reported by an event may arrive in either order.
        self.trouble = Some((since, ongoing.map_or(uptime, |(_, last)| last.max(uptime))));
        if uptime.saturating_sub(since) >= REPORTED_AFTER {
            self.deliveries.put(&Alert::of_ledger(problem, at));
        }
    }

    /// Delivers queued alerts, after checking whether the old ones still hold. Returns whether there are
    /// more.
    async fn deliver(&mut self) -> bool {
        for name in self.deliveries.stale(self.clock.uptime()) {
            if let Some(bot) = self.bots.get(&name).cloned() {
                self.check(&bot).await;
            }
        }
        self.deliveries.deliver(&*self.store, &*self.clock, &self.events).await
    }
}
