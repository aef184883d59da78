//! Alerts on their way: what each receiver is still to be told, and what was told today, for of each there is one a day.
//! What is to be told is not decided here.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use futures_util::future::join_all;

use super::alert::Alert;
use super::receiver::Receiver;
use crate::clock::Clock;
use crate::flock::BotName;
use crate::flock::event::{Event, Events};
use crate::store::Store;

/// How long a receiver that could not be told is left alone.
const ROUND: Duration = Duration::from_secs(10 * 60);
/// The most alerts that wait for one receiver. What lasts and finds no room is found again by looking.
const ROOM: usize = 1_000;

/// The outbox.
pub(super) struct Outbox {
    queues: Vec<Queue>,
    told: Told,
}

/// What one receiver is still to be told.
struct Queue {
    receiver: Receiver,
    waiting: VecDeque<Alert>,
    /// By uptime, after a failure.
    rests_until: Option<Duration>,
}

/// What was told on a day.
struct Told {
    day: NaiveDate,
    alerts: HashSet<(String, String)>,
    /// Whether what was told before this start is among it.
    is_whole: bool,
}

impl Outbox {
    pub(super) fn new(receivers: Vec<Receiver>) -> Self {
        let queue = |receiver| Queue { receiver, waiting: VecDeque::new(), rests_until: None };
        let told = Told { day: NaiveDate::MIN, alerts: HashSet::new(), is_whole: false };
        Self { queues: receivers.into_iter().map(queue).collect(), told }
    }

    /// Begins a new day if it is one, and learns what was told today before a restart. While the ledger can't be read
    /// an alert too many is better than none.
    pub(super) async fn turn_page(&mut self, store: &dyn Store, now: DateTime<Utc>) {
        let today = now.date_naive();
        if self.told.day != today {
            self.told = Told { day: today, alerts: HashSet::new(), is_whole: false };
        }
        if !self.told.is_whole
            && let Ok(before) = store.alerts_of(today).await
        {
            self.told.alerts.extend(before);
            self.told.is_whole = true;
        }
    }

    /// Whether this was told today.
    pub(super) fn was_told(&self, about: &BotName, cause: &str) -> bool {
        self.told.alerts.contains(&(about.to_string(), cause.to_owned()))
    }

    /// Has an alert told, unless it was today. One that waits already is brought up to date.
    pub(super) fn put(&mut self, alert: &Alert) {
        if self.told.alerts.contains(&alert.key()) {
            return;
        }
        for queue in &mut self.queues {
            queue.put(alert);
        }
    }

    /// The bots that a receiver was to be told of some time ago, and may be well again.
    pub(super) fn stale(&self, uptime: Duration) -> BTreeSet<BotName> {
        let again = self.queues.iter().filter(|queue| queue.rests_until.is_some_and(|until| until <= uptime));
        again
            .flat_map(|queue| &queue.waiting)
            .filter(|alert| alert.lasts)
            .filter_map(Alert::bot)
            .cloned()
            .collect()
    }

    /// A bot is well again: what lasted does so no more.
    pub(super) fn take_back(&mut self, bot: &BotName) {
        for queue in &mut self.queues {
            queue.waiting.retain(|alert| !alert.lasts || alert.bot() != Some(bot));
        }
    }

    /// Tells whoever can be told now.
    pub(super) async fn deliver(&mut self, store: &dyn Store, clock: &dyn Clock, events: &Events) {
        loop {
            let round = self.queues.iter_mut().map(|queue| queue.deliver_one(clock, events));
            let delivered: Vec<Alert> = join_all(round).await.into_iter().flatten().collect();
            if delivered.is_empty() {
                return;
            }
            for alert in delivered {
                self.remember(&alert, store, events).await;
            }
        }
    }

    async fn remember(&mut self, alert: &Alert, store: &dyn Store, events: &Events) {
        let (about, cause) = alert.key();
        if !self.told.alerts.insert((about.clone(), cause.clone())) {
            return;
        }
        if let Err(error) = store.remember_alert(&about, &cause, self.told.day).await {
            events.tell(&Event::LedgerTrouble { bot: None, problem: error.to_string() });
        }
        events.tell(&Event::Alerted { about, cause: alert.cause });
    }
}

impl Queue {
    fn put(&mut self, alert: &Alert) {
        match self.waiting.iter().position(|waiting| waiting.key() == alert.key()) {
            Some(at) => self.waiting[at] = alert.clone(),
            None if self.waiting.len() < ROOM => self.waiting.push_back(alert.clone()),
            None => {}
        }
    }

    /// Tells the first of what waits. Returns it once it was told.
    async fn deliver_one(&mut self, clock: &dyn Clock, events: &Events) -> Option<Alert> {
        if self.rests_until.is_some_and(|until| until > clock.uptime()) {
            return None;
        }
        let alert = self.waiting.front()?;
        match self.receiver.deliver(alert, clock).await {
            Ok(()) => {
                self.rests_until = None;
                self.waiting.pop_front()
            }
            Err(problem) => {
                events.tell(&Event::AlertFailed {
                    about: alert.about.to_string(),
                    cause: alert.cause,
                    problem,
                });
                self.rests_until = Some(clock.uptime() + ROUND);
                None
            }
        }
    }
}
