//! The guard: looks at a bot when something happens to it, for who is late every minute, and at all bots once an hour,
//! so that what lasts is told again each day. It runs beside the engine and keeps nobody waiting.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::alert::Alert;
use super::inbox::News;
use super::outbox::Outbox;
use super::{Inbox, Receiver, health, overdue};
use crate::clock::Clock;
use crate::flock::event::{Event, Events};
use crate::flock::{Bot, BotName};
use crate::store::Store;
use crate::store::condition::Condition;

/// How often it is looked who is late.
const MINUTE: Duration = Duration::from_secs(60);
/// How often all bots are looked at.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Trouble with the ledger that is over sooner needs nobody.
const LASTING: Duration = Duration::from_secs(5 * 60);
/// After so long without any, trouble is over: whoever has it tries again within half a minute.
const CALM: Duration = Duration::from_secs(2 * 60);

/// The guard.
pub struct Guard {
    bots: HashMap<BotName, Arc<Bot>>,
    /// In the order of the file.
    all: Vec<Arc<Bot>>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    events: Events,
    inbox: Inbox,
    outbox: Outbox,
    /// Who was late at the last look, and at the one before as well: a machine that has slept for a night needs a
    /// moment before it has seen to what was missed.
    late: HashSet<BotName>,
    late_twice: HashSet<BotName>,
    /// Since when there is trouble with the ledger, and when there was some last.
    trouble: Option<(Duration, Duration)>,
}

impl Guard {
    /// A guard over these bots, who hears what the events tell `inbox`.
    pub fn new(
        bots: Vec<Arc<Bot>>,
        receivers: Vec<Receiver>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        events: Events,
        inbox: Inbox,
    ) -> Self {
        let by_name = bots.iter().map(|bot| (bot.name.clone(), bot.clone())).collect();
        let (late, late_twice) = (HashSet::new(), HashSet::new());
        let outbox = Outbox::new(receivers);
        Self {
            bots: by_name,
            all: bots,
            store,
            clock,
            events,
            inbox,
            outbox,
            late,
            late_twice,
            trouble: None,
        }
    }

    /// Looks and tells for as long as it is polled.
    pub async fn run(mut self) {
        let (mut minute, mut hour) = (self.clock.uptime() + MINUTE, self.clock.uptime() + HOUR);
        self.outbox.turn_page(&*self.store, self.clock.now()).await;
        self.look_at_all().await;
        let mut more = true;
        loop {
            let clock = self.clock.clone();
            let news = tokio::select! {
                biased;
                () = clock.sleep(minute.saturating_sub(clock.uptime())) => None,
                news = self.inbox.next() => Some(news),
                // All that has happened is heard first, so that a round of telling is one of all that waits.
                () = std::future::ready(()), if more => {
                    more = self.deliver().await;
                    continue;
                }
            };
            more = true;
            self.outbox.turn_page(&*self.store, clock.now()).await;
            if let Some(news) = news {
                self.hear(&news).await;
                continue;
            }
            minute = clock.uptime() + MINUTE;
            self.look_who_is_late().await;
            if self.inbox.overflowed() || hour <= clock.uptime() {
                hour = clock.uptime() + HOUR;
                self.look_at_all().await;
            }
        }
    }

    async fn hear(&mut self, News { event, at, uptime }: &News) {
        match event {
            Event::LedgerTrouble { problem, .. } => self.trouble(problem, *at, *uptime),
            Event::Held { app, until, reason } => {
                self.outbox.put(&Alert::of_hold(app, *until, reason, *at));
            }
            _ => {
                let Some(bot) = event.bot().and_then(|bot| self.bots.get(bot)).cloned() else { return };
                match Alert::of_event(&bot, event, *at) {
                    Some(alert) => self.tell(&bot, alert).await,
                    None => self.look(&bot).await,
                }
            }
        }
    }

    /// Tells of something that happened, with how the bot is by now.
    async fn tell(&mut self, bot: &Bot, alert: Alert) {
        if self.outbox.was_told(&bot.name, alert.cause, alert.day()) {
            return;
        }
        let health = health(Some(&*self.store), bot, self.clock.now()).await;
        let state = health.ok().map(|health| health.condition);
        self.outbox.put(&Alert { state, ..alert });
    }

    /// Looks at a bot, and tells if it needs somebody.
    async fn look(&mut self, bot: &Bot) {
        let now = self.clock.now();
        let health = match health(Some(&*self.store), bot, now).await {
            Ok(health) => health,
            Err(error) => return self.trouble(&error.to_string(), self.clock.now(), self.clock.uptime()),
        };
        let moment = health.condition == Condition::Overdue && !self.late_twice.contains(&bot.name);
        match Alert::of_health(bot, &health, now) {
            Some(alert) if !moment => self.outbox.put(&alert),
            Some(_) => {}
            None => self.outbox.take_back(&bot.name),
        }
    }

    async fn look_at_all(&mut self) {
        for bot in self.all.clone() {
            self.look(&bot).await;
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
                && !self.outbox.was_told(&bot.name, Condition::Overdue.as_str(), today)
            {
                self.look(&bot).await;
            }
        }
    }

    /// Trouble with the ledger, and when there was some: told when it lasts.
    fn trouble(&mut self, problem: &str, at: DateTime<Utc>, uptime: Duration) {
        let going_on = self.trouble.filter(|(_, last)| uptime.saturating_sub(*last) <= CALM);
        let since = going_on.map_or(uptime, |(since, _)| since);
        // Of what is noticed here and what is told, either may be heard of first.
        self.trouble = Some((since, going_on.map_or(uptime, |(_, last)| last.max(uptime))));
        if uptime.saturating_sub(since) >= LASTING {
            self.outbox.put(&Alert::of_ledger(problem, at));
        }
    }

    /// Tells of what is to be told the next; what has waited for long only if it still holds. Returns whether there
    /// is more.
    async fn deliver(&mut self) -> bool {
        for name in self.outbox.stale(self.clock.uptime()) {
            if let Some(bot) = self.bots.get(&name).cloned() {
                self.look(&bot).await;
            }
        }
        self.outbox.deliver(&*self.store, &*self.clock, &self.events).await
    }
}
