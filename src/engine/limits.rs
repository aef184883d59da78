//! Send limits: the hourly cap that makes a flood impossible whatever the schedule says, cooldowns that a network asked for,
//! the backoff between attempts, and the budget of an app. The pace of an app is in `pacer`.
//!
//! Cooldowns are kept in memory: after a restart the network's next answer repeats them. What was sent and spent is in the
//! ledger, so a budget holds over restarts. The network's profile knows what a post costs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, RngExt};
use tokio::sync::OwnedMutexGuard;

use super::BoundBot;
use super::pacer::Pacer;
use crate::flock::Bot;
use crate::flock::account::App;
use crate::flock::budget::{Budget, day_of, dollars, month_of, next_month};
use crate::flock::due::HOUR;
use crate::flock::post::{Cause, Why};
use crate::net::{Cooldown, LimitScope, Rejection};
use crate::store::{BotRecord, Spent, Store, StoreError};

/// The shortest pause before another attempt.
const SHORTEST: TimeDelta = TimeDelta::seconds(5);
/// The longest pause: flockd notices within a quarter of an hour that a network is back after hours of downtime.
const LONGEST: TimeDelta = TimeDelta::minutes(15);

/// What the apps of a flock share among their bots.
#[derive(Debug, Default)]
pub(super) struct SendLimits {
    groups: Mutex<HashMap<String, GroupState>>,
}

/// What the bots of an app share. All bots of a network without apps count as those of one app.
#[derive(Debug, Default)]
struct GroupState {
    cooldown: Option<Cooldown>,
    pacer: Pacer,
    budget_lock: Arc<BudgetLock>,
}

/// Serializes the budget check with the insert that spends it.
type BudgetLock = tokio::sync::Mutex<()>;

/// What the engine remembers of a bot, for as long as it runs.
#[derive(Debug, Default)]
pub(super) struct SendHistory {
    cooldown: Mutex<Option<Cooldown>>,
    /// When it sent, by uptime, in the last hour.
    sent: Mutex<VecDeque<Duration>>,
}

impl SendHistory {
    /// Records that the bot sends now.
    pub(super) fn sends(&self, uptime: Duration) {
        let mut sent = locked(&self.sent);
        let old = sent.iter().take_while(|at| apart(**at, uptime) >= HOUR).count();
        sent.drain(..old);
        sent.push_back(uptime);
    }

    /// Forgets the cooldown: the bot posts to another network from now on.
    pub(super) fn forget_cooldown(&self) {
        *locked(&self.cooldown) = None;
    }

    fn sent_last_hour(&self, uptime: Duration) -> usize {
        locked(&self.sent).iter().rev().take_while(|at| apart(**at, uptime) < HOUR).count()
    }
}

/// The time between two uptimes.
fn apart(before: Duration, uptime: Duration) -> TimeDelta {
    TimeDelta::from_std(uptime.saturating_sub(before)).unwrap_or(TimeDelta::MAX)
}

impl SendLimits {
    /// How long a bot must wait for its turn to send. If its turn has come, calling this takes it.
    pub(super) fn turn(&self, bot: &Bot, uptime: Duration) -> Option<Duration> {
        let pace = bot.app.as_ref().map(|app| app.pace).filter(|pace| !pace.is_zero())?;
        let mut groups = locked(&self.groups);
        groups.entry(bot.limit_group().to_owned()).or_default().pacer.turn(&bot.name, uptime, pace)
    }

    /// Whether a bot has a turn and waits for it.
    pub(super) fn expects(&self, bot: &Bot) -> bool {
        locked(&self.groups).get(bot.limit_group()).is_some_and(|group| group.pacer.expects(&bot.name))
    }

    /// Waits until no other bot of the app is about to spend what is left of its budget, if it has one.
    pub(super) async fn budget_lock(&self, bot: &Bot) -> Option<OwnedMutexGuard<()>> {
        bot.app.as_ref().filter(|app| app.budget.is_limited())?;
        let budget_lock =
            locked(&self.groups).entry(bot.limit_group().to_owned()).or_default().budget_lock.clone();
        Some(budget_lock.lock_owned().await)
    }

    /// Records the cooldowns in an answer. Returns the app's, if it is new.
    pub(super) fn note_cooldowns(
        &self,
        bound: &BoundBot,
        cooldowns: Vec<Cooldown>,
        now: DateTime<Utc>,
    ) -> Option<Cooldown> {
        let mut news = None;
        for cooldown in cooldowns {
            match cooldown.scope {
                LimitScope::Bot => drop(longer(&mut locked(&bound.memory.sends.cooldown), cooldown, now)),
                LimitScope::App => {
                    let mut groups = locked(&self.groups);
                    let group = groups.entry(bound.bot.limit_group().to_owned()).or_default();
                    news = longer(&mut group.cooldown, cooldown, now).or(news);
                }
            }
        }
        news
    }

    /// Why this bot should send nothing now, and until when.
    pub(super) fn cooldown(&self, bound: &BoundBot, now: DateTime<Utc>) -> Option<Rejection> {
        let of_app =
            locked(&self.groups).get(bound.bot.limit_group()).and_then(|group| group.cooldown.clone());
        let of_bot = locked(&bound.memory.sends.cooldown).clone();
        let cooldowns = of_app.into_iter().chain(of_bot).filter(|cooldown| cooldown.until > now);
        cooldowns.max_by_key(|cooldown| cooldown.until).map(|cooldown| until(cooldown.why, cooldown.until))
    }

    /// Ends the cooldowns of the bot and its app, because their reason may be gone.
    pub(super) fn clear_cooldown(&self, bound: &BoundBot) {
        *locked(&bound.memory.sends.cooldown) = None;
        if let Some(group) = locked(&self.groups).get_mut(bound.bot.limit_group()) {
            group.cooldown = None;
        }
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the cooldown that lasts longer. Returns the new one if there was none.
fn longer(cooldown: &mut Option<Cooldown>, new: Cooldown, now: DateTime<Utc>) -> Option<Cooldown> {
    let before = cooldown.take().filter(|cooldown| cooldown.until > now);
    let is_new = before.is_none();
    *cooldown = before.into_iter().chain([new]).max_by_key(|cooldown| cooldown.until);
    cooldown.clone().filter(|_| is_new)
}

/// Why nothing may be sent until this instant.
pub(super) fn until(why: Why, until: DateTime<Utc>) -> Rejection {
    Rejection { retry_at: Some(until), ..Rejection::unanswered(why) }
}

/// Why the bot may not send this many posts now, if so. The ledger counts by wall-clock time, which may be set; the engine by uptime, which
/// starts over with each start.
pub(super) fn hourly_cap(bound: &BoundBot, record: &BotRecord, posts: u32, uptime: Duration) -> Option<Why> {
    let most = bound.bot.max_per_hour;
    let here = u32::try_from(bound.memory.sends.sent_last_hour(uptime)).unwrap_or(u32::MAX);
    let sent = record.sent_last_hour.max(here);
    (sent.saturating_add(posts) > most).then(|| {
        let remedy = "raise `max_per_hour` if that is meant, or thin out the schedule";
        let wanted = if posts > 1 { format!(", and this thread has {posts}") } else { String::new() };
        Why::new(Cause::Flood, format!("{sent} posts in sixty minutes, {most} is the most{wanted}: {remedy}"))
    })
}

/// When to retry a post that was planned at `planned_at`: when the network says, or after a growing backoff. `None` if
/// there is no time left for that before `deadline`.
pub(super) fn next_attempt(
    planned_at: DateTime<Utc>,
    now: DateTime<Utc>,
    asked: Option<DateTime<Utc>>,
    deadline: DateTime<Utc>,
    dice: &mut impl Rng,
) -> Option<DateTime<Utc>> {
    let attempt = match asked {
        // Never at once: the network's clock may be behind ours, and "now" again and again is a hot loop.
        Some(asked) => asked.max(now + SHORTEST),
        // A last attempt just before the deadline is better than a pause that ends after it.
        None => backoff(planned_at, now, dice).min(deadline - SHORTEST),
    };
    (now < attempt && attempt <= deadline).then_some(attempt)
}

/// After as long again as has passed since then, less up to a quarter of random jitter so that bots don't all return at
/// once.
pub(super) fn backoff(since: DateTime<Utc>, now: DateTime<Utc>, dice: &mut impl Rng) -> DateTime<Utc> {
    let pause = (now - since).clamp(SHORTEST, LONGEST);
    let less = pause.num_milliseconds() / 4;
    now + pause - TimeDelta::milliseconds(dice.random_range(0..=less))
}

/// Why the budget of the bot's app does not allow a post at this price, and when it will again.
pub(super) async fn over_budget(
    store: &dyn Store,
    bot: &Bot,
    price: u32,
    now: DateTime<Utc>,
) -> Result<Option<Rejection>, StoreError> {
    let Some(app) = bot.app.as_ref().filter(|app| app.budget.is_limited()) else { return Ok(None) };
    let month = store.spent(&app.name, month_of(now)).await?;
    if let Some(what) = over_month(&app.budget, month, price) {
        return Ok(Some(spent_up(app, &what, next_month(now))));
    }
    let Some(most) = app.budget.posts_per_day else { return Ok(None) };
    let day = store.spent(&app.name, day_of(now)).await?;
    let what = (day.posts >= most).then(|| format!("{} posts of {most} a day", day.posts));
    Ok(what.map(|what| spent_up(app, &what, day_of(now) + TimeDelta::days(1))))
}

fn over_month(budget: &Budget, spent: Spent, price: u32) -> Option<String> {
    let most = budget.posts_per_month.filter(|most| spent.posts >= *most);
    if let Some(most) = most {
        return Some(format!("{} posts of {most} a month", spent.posts));
    }
    let most =
        budget.milli_dollars_per_month.filter(|most| spent.milli_dollars + u64::from(price) > *most)?;
    Some(format!(
        "{} of {} US dollars a month, and this post costs {}",
        dollars(spent.milli_dollars),
        dollars(most),
        dollars(price.into())
    ))
}

fn spent_up(app: &App, what: &str, again: DateTime<Utc>) -> Rejection {
    let name = &app.name;
    let day = again.format("%Y-%m-%d");
    let reason = format!(
        "the budget of app {name} is used up ({what}): raise it in [apps.{name}.budget], or wait until {day}, 00:00 UTC"
    );
    until(Why::new(Cause::Budget, reason), again)
}

#[cfg(test)]
mod budget_tests {
    use super::*;

    #[test]
    fn money_is_spent_up_to_the_last_cent() {
        let budget = Budget { milli_dollars_per_month: Some(30_000), ..Budget::default() };
        let spent = |milli_dollars| over_month(&budget, Spent { posts: 1, milli_dollars }, 15);
        assert_eq!(spent(29_985), None);
        assert_eq!(spent(29_986).unwrap(), "29.986 of 30.00 US dollars a month, and this post costs 0.015");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn pauses_grow_and_stay_within_bounds() {
        let mut dice = rand::rngs::StdRng::seed_from_u64(3);
        let start = DateTime::UNIX_EPOCH;
        let mut now = start;
        let mut pauses = Vec::new();
        for _ in 0..20 {
            let next = backoff(start, now, &mut dice);
            pauses.push(next - now);
            now = next;
        }
        assert!(pauses[0] >= SHORTEST * 3 / 4);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert!(pauses[5] > pauses[1] * 4, "{pauses:?}");
        assert!(pauses[19] >= LONGEST * 3 / 4, "{pauses:?}");
    }

    #[test]
    fn the_last_attempt_comes_just_before_the_deadline() {
        let mut dice = rand::rngs::StdRng::seed_from_u64(3);
        let (start, deadline) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::hours(1));
        let attempts: Vec<_> =
            std::iter::successors(Some(start), |now| next_attempt(start, *now, None, deadline, &mut dice))
                .collect();
        assert_eq!(*attempts.last().unwrap(), deadline - SHORTEST);
        assert!(attempts.len() > 8 && attempts.is_sorted(), "{attempts:?}");
    }

    #[test]
    fn the_network_s_word_counts_if_there_is_time() {
        let mut dice = rand::rngs::StdRng::seed_from_u64(3);
        let (now, deadline) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::hours(1));
        let mut asked =
            |minutes| next_attempt(now, now, Some(now + TimeDelta::minutes(minutes)), deadline, &mut dice);
        assert_eq!(asked(15), Some(now + TimeDelta::minutes(15)));
        assert_eq!(asked(-15), Some(now + SHORTEST), "never in the past");
        assert_eq!(asked(61), None);
    }

    #[test]
    fn an_hour_of_sends_is_remembered_and_no_more() {
        let past = SendHistory::default();
        let at = Duration::from_secs;
        for second in [0, 1_800, 3_594] {
            past.sends(at(second));
        }
        assert_eq!(
            [3_594, 3_595, 5_395, 7_188, 7_189].map(|now| past.sent_last_hour(at(now))),
            [3, 2, 1, 1, 0]
        );
    }
}
