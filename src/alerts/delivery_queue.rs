//! The delivery queues: the alerts that each target has yet to receive. `delivered` records what it has
//! received. This module does not decide what deserves an alert.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::future::join_all;

use super::alert::{About, Alert, HELD};
use super::delivered::Delivered;
use super::target::AlertTarget;
use crate::clock::Clock;
use crate::flock::BotName;
use crate::flock::event::{Event, Events};
use crate::store::Store;
use crate::store::health_state::HealthState;

/// How long a target rests after a round without a successful delivery.
const ROUND: Duration = Duration::from_secs(10 * 60);
/// The most alerts queued for one target. If a lasting problem does not fit, the next check finds it again.
const MAX_QUEUED: usize = 1_000;
/// An alert that could not be delivered for this long is dropped. If its cause lasts, the next check finds it
/// again.
const STALE: TimeDelta = TimeDelta::days(1);

/// The delivery queues of all targets.
#[derive(Default)]
pub(super) struct DeliveryQueues {
    queues: Vec<TargetQueue>,
}

/// The queue of one target, and what was delivered to it.
struct TargetQueue {
    target: AlertTarget,
    waiting: VecDeque<Alert>,
    /// Alerts that failed in this round: a target that rejects one alert may accept the next.
    failed: VecDeque<Alert>,
    /// Whether anything was delivered in this round.
    succeeded: bool,
    /// The uptime until which the target rests after a round of failures.
    rests_until: Option<Duration>,
    told: Delivered,
}

impl DeliveryQueues {
    /// Delivers to these targets from now on. Existing targets keep their queues. Returns whether a target is
    /// new.
    pub(super) fn set_targets(&mut self, targets: &[AlertTarget]) -> bool {
        let mut before = std::mem::take(&mut self.queues);
        let mut is_new = false;
        for target in targets {
            let at = before.iter().position(|queue| queue.target.name() == target.name());
            is_new |= at.is_none();
            let queue = at.map_or_else(|| TargetQueue::of(target), |at| before.swap_remove(at));
            self.queues.push(TargetQueue { target: target.clone(), ..queue });
        }
        is_new
    }

    /// Starts a new day if the date has changed, and loads what was delivered today before a restart. If the
    /// ledger can't be read, a duplicate alert is better than none.
    pub(super) async fn start_day(&mut self, store: &dyn Store, now: DateTime<Utc>) {
        for queue in &mut self.queues {
            queue.told.start_day(queue.target.name(), store, now.date_naive()).await;
        }
    }

    /// Whether this alert of that day has reached every target.
    pub(super) fn was_delivered(&self, about: &BotName, cause: &str, day: NaiveDate) -> bool {
        let about = about.to_string();
        self.queues.iter().all(|queue| queue.told.alert(&about, cause, day).is_none())
    }

    /// Queues an alert for the targets that have not received it that day, or updates it if it is already
    /// queued.
    pub(super) fn put(&mut self, alert: &Alert) {
        for queue in &mut self.queues {
            queue.put(alert);
        }
    }

    /// Queues the end of a problem for the targets that received its alert: any cause for a bot, otherwise
    /// this cause.
    pub(super) fn resolve(
        &mut self,
        about: &About,
        cause: Option<&str>,
        state: Option<HealthState>,
        at: DateTime<Utc>,
    ) {
        for queue in &mut self.queues {
            let key = about.to_string();
            if let Some(cause) = queue.told.to_be_resolved(&key, cause, at.date_naive()) {
                queue.put(&Alert::of_recovery(about.clone(), cause, state, at));
            }
        }
    }

    /// Whether a target knows that an app is on hold and has not been told that it sends again.
    pub(super) fn has_held_app(&self) -> bool {
        self.queues.iter().any(|queue| queue.told.has_open(HELD))
    }

    /// The bots of alerts that were queued some time ago; they may have recovered since.
    pub(super) fn stale(&self, uptime: Duration) -> BTreeSet<BotName> {
        let again = self.queues.iter().filter(|queue| queue.rests_until.is_some_and(|until| until <= uptime));
        again
            .flat_map(|queue| &queue.waiting)
            .filter(|alert| alert.lasts)
            .filter_map(Alert::bot)
            .cloned()
            .collect()
    }

    /// A bot has recovered: drops its queued alerts about lasting problems.
    pub(super) fn withdraw(&mut self, bot: &BotName) {
        for queue in &mut self.queues {
            queue.keep(|alert| !alert.lasts || alert.bot() != Some(bot));
        }
    }

    /// Drops queued alerts about lasting problems of the whole flock.
    pub(super) fn withdraw_flock(&mut self, cause: &str) {
        for queue in &mut self.queues {
            queue.keep(|alert| alert.about != About::Flock || alert.cause != cause);
        }
    }

    /// Delivers one alert to each target that is not resting, so that a slow target does not delay the
    /// others. Returns whether more alerts can be delivered now.
    pub(super) async fn deliver(&mut self, store: &dyn Store, clock: &dyn Clock, events: &Events) -> bool {
        let round = self.queues.iter_mut().map(|queue| queue.deliver_one(store, clock, events));
        join_all(round).await.contains(&true)
    }
}

impl TargetQueue {
    fn of(target: &AlertTarget) -> Self {
        Self {
            target: target.clone(),
            waiting: VecDeque::new(),
            failed: VecDeque::new(),
            succeeded: false,
            rests_until: None,
            told: Delivered::default(),
        }
    }

    fn put(&mut self, alert: &Alert) {
        let about = alert.about.to_string();
        if !alert.resolved && self.told.alert(&about, alert.cause, alert.day()).is_none() {
            return;
        }
        // Of a problem and its end, only the later one counts.
        self.keep(|other| {
            other.resolved == alert.resolved || other.about != alert.about || !is_pair(other, alert)
        });
        let room = self.waiting.len() + self.failed.len() < MAX_QUEUED;
        let mut all = self.waiting.iter_mut().chain(&mut self.failed);
        match all.find(|waiting| waiting.key() == alert.key()) {
            Some(waiting) => *waiting = alert.clone(),
            None if room => self.waiting.push_back(alert.clone()),
            None => {}
        }
    }

    fn keep(&mut self, is_kept: impl Fn(&Alert) -> bool) {
        self.waiting.retain(&is_kept);
        self.failed.retain(is_kept);
    }

    /// Delivers the first queued alert. Returns whether more alerts can be delivered now.
    async fn deliver_one(&mut self, store: &dyn Store, clock: &dyn Clock, events: &Events) -> bool {
        self.drop_stale(clock.now(), events);
        if self.rests_until.is_some_and(|until| until > clock.uptime()) {
            return false;
        }
        self.rests_until = None;
        let Some(alert) = self.waiting.pop_front() else { return false };
        // After a failure each remaining alert is tried only once, so that a long queue for a dead target
        // does not take hours.
        match self.target.deliver(&alert, self.failed.is_empty(), clock).await {
            Ok(()) => {
                self.remember(&alert, store, events).await;
                self.succeeded = true;
            }
            Err(problem) => {
                let about = alert.about.to_string();
                events.emit(&Event::AlertFailed { about, cause: alert.cause, problem });
                self.failed.push_back(alert);
            }
        }
        self.end_round(clock);
        !self.waiting.is_empty()
    }

    /// After a round, failed alerts are queued again. If nothing was delivered, the target rests for a while.
    fn end_round(&mut self, clock: &dyn Clock) {
        if !self.waiting.is_empty() || self.failed.is_empty() {
            return;
        }
        std::mem::swap(&mut self.waiting, &mut self.failed);
        if !std::mem::take(&mut self.succeeded) {
            self.rests_until = Some(clock.uptime() + ROUND);
        }
    }

    fn drop_stale(&mut self, now: DateTime<Utc>, events: &Events) {
        let is_stale = |alert: &&Alert| now.signed_duration_since(alert.at) > STALE;
        for alert in self.waiting.iter().chain(&self.failed).filter(is_stale) {
            let (target, about) = (self.target.name(), alert.about.to_string());
            events.emit(&Event::AlertDropped { receiver: target, about, cause: alert.cause });
        }
        self.keep(|alert| !is_stale(&alert));
    }

    async fn remember(&mut self, alert: &Alert, store: &dyn Store, events: &Events) {
        let (target, day, about) = (self.target.name(), alert.day(), alert.about.to_string());
        for word in self.told.remember(alert) {
            if let Err(error) = store.remember_alert(target, &about, &word, day).await {
                events.emit(&Event::LedgerTrouble { bot: None, problem: error.to_string() });
            }
        }
        events.emit(&Event::Alerted { receiver: target, about, cause: alert.cause });
    }
}

/// Whether one of two alerts about the same subject reports the end of the other's problem. A bot recovers as
/// a whole.
fn is_pair(one: &Alert, other: &Alert) -> bool {
    let lasting = if one.resolved { other } else { one };
    one.cause == other.cause || (lasting.lasts && lasting.bot().is_some())
}
