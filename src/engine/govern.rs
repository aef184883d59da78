//! How often, and when not: the limit that makes a flood impossible whatever the schedule says, the pace of an app,
//! who keeps still because a network said so, budgets, and the pauses between attempts.
//!
//! What networks said is kept here and not in the ledger: after a restart the next answer says it again. What was
//! sent and spent is in the ledger.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use rand::{Rng, RngExt};
use tokio::sync::OwnedMutexGuard;

use super::Member;
use crate::flock::account::{App, Budget};
use crate::flock::post::{Cause, Why};
use crate::flock::{Bot, BotName};
use crate::net::{Hold, Scope, Setback};
use crate::store::{Spent, Standing, Store, StoreError};

/// The shortest pause before another attempt.
const SHORTEST: TimeDelta = TimeDelta::seconds(5);
/// The longest: a network that was away for hours is found back within a quarter of one.
const LONGEST: TimeDelta = TimeDelta::minutes(15);
/// What `max_per_hour` is about.
const HOUR: Duration = Duration::from_secs(3_600);

/// What the apps of a flock share among their bots.
#[derive(Debug, Default)]
pub(super) struct Governor {
    gates: Mutex<HashMap<String, Gate>>,
}

/// What the bots of an app share; those of a network without apps are one app here.
#[derive(Debug, Default)]
struct Gate {
    held: Option<Hold>,
    queue: Queue,
    till: Arc<Till>,
}

/// Held by whoever looks at what is left of a budget, until what that bot spends is in the ledger.
type Till = tokio::sync::Mutex<()>;

/// Who may send when, so that bots that are due at the same instant don't all send at once.
#[derive(Debug, Default)]
struct Queue {
    /// When the next one may, by uptime.
    free_at: Duration,
    /// When the last one did.
    last: Option<Duration>,
    /// Who has been given a time, and which.
    turns: HashMap<BotName, Duration>,
}

/// What the engine remembers of a bot, for as long as it runs.
#[derive(Debug, Default)]
pub(super) struct Past {
    held: Mutex<Option<Hold>>,
    /// When it sent, by uptime, in the last hour.
    sent: Mutex<VecDeque<Duration>>,
}

impl Past {
    /// Notes that the bot sends.
    pub(super) fn sends(&self, uptime: Duration) {
        let mut sent = locked(&self.sent);
        let old = sent.iter().take_while(|at| uptime.saturating_sub(**at) >= HOUR).count();
        sent.drain(..old);
        sent.push_back(uptime);
    }

    fn sent_last_hour(&self, uptime: Duration) -> usize {
        locked(&self.sent).iter().rev().take_while(|at| uptime.saturating_sub(**at) < HOUR).count()
    }
}

impl Governor {
    /// How long a bot waits for its turn to send; a turn that has come is taken by asking.
    pub(super) fn turn(&self, bot: &Bot, uptime: Duration) -> Option<Duration> {
        let pace = bot.app.as_ref().map_or(Duration::ZERO, |app| app.pace);
        if pace.is_zero() {
            return None;
        }
        let mut gates = locked(&self.gates);
        gates.entry(bot.gate().to_owned()).or_default().queue.turn(&bot.name, uptime, pace)
    }

    /// Waits until no other bot of the app is about to spend what is left of its budget, if it has one.
    pub(super) async fn till(&self, bot: &Bot) -> Option<OwnedMutexGuard<()>> {
        bot.app.as_ref().filter(|app| app.budget.is_limited())?;
        let till = locked(&self.gates).entry(bot.gate().to_owned()).or_default().till.clone();
        Some(till.lock_owned().await)
    }

    /// Takes up what an answer said of times to come. Returns what is new of the app.
    pub(super) fn take_up(&self, member: &Member, holds: Vec<Hold>, now: DateTime<Utc>) -> Option<Hold> {
        let mut news = None;
        for hold in holds {
            match hold.scope {
                Scope::Bot => drop(longer(&mut locked(&member.past.held), hold, now)),
                Scope::App => {
                    let mut gates = locked(&self.gates);
                    let gate = gates.entry(member.bot.gate().to_owned()).or_default();
                    news = longer(&mut gate.held, hold, now).or(news);
                }
            }
        }
        news
    }

    /// Why nothing should be sent for this bot now, and until when.
    pub(super) fn held(&self, member: &Member, now: DateTime<Utc>) -> Option<Setback> {
        let of_app = locked(&self.gates).get(member.bot.gate()).and_then(|gate| gate.held.clone());
        let of_bot = locked(&member.past.held).clone();
        let holds = of_app.into_iter().chain(of_bot).filter(|hold| hold.until > now);
        holds.max_by_key(|hold| hold.until).map(|hold| until(hold.why, hold.until))
    }

    /// Lets all bots of the app send again: what kept them still may be mended.
    pub(super) fn let_go(&self, member: &Member) {
        *locked(&member.past.held) = None;
        if let Some(gate) = locked(&self.gates).get_mut(member.bot.gate()) {
            gate.held = None;
        }
    }
}

impl Queue {
    fn turn(&mut self, bot: &BotName, uptime: Duration, pace: Duration) -> Option<Duration> {
        let earliest = self.last.map_or(uptime, |last| uptime.max(last + pace));
        // Turns that have all passed, because nobody was awake, must not be taken all at once.
        let given = self.turns.get(bot).copied().filter(|at| *at > uptime || earliest == uptime);
        let at = given.unwrap_or_else(|| self.free_at.max(earliest));
        self.free_at = self.free_at.max(at + pace);
        if at > uptime {
            self.turns.insert(bot.clone(), at);
            return Some(at - uptime);
        }
        self.last = Some(uptime);
        self.turns.remove(bot);
        // Whoever has left without taking a turn must not stay for ever.
        self.turns.retain(|_, turn| *turn + HOUR > uptime);
        None
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds until the later of both. Returns the new one if there was none.
fn longer(held: &mut Option<Hold>, new: Hold, now: DateTime<Utc>) -> Option<Hold> {
    let before = held.take().filter(|held| held.until > now);
    let is_new = before.is_none();
    *held = before.into_iter().chain([new]).max_by_key(|hold| hold.until);
    held.clone().filter(|_| is_new)
}

fn until(why: Why, until: DateTime<Utc>) -> Setback {
    Setback { retry_at: Some(until), ..Setback::before_any_answer(why) }
}

/// Why the bot may not post now, if it may not. The ledger counts by the clock on the wall, which may be set; the
/// engine by its own, which begins anew with each start.
pub(super) fn flood(member: &Member, standing: &Standing, uptime: Duration) -> Option<Why> {
    let most = member.bot.max_per_hour;
    let here = u32::try_from(member.past.sent_last_hour(uptime)).unwrap_or(u32::MAX);
    let sent = standing.sent_last_hour.max(here);
    (sent >= most).then(|| {
        let remedy = "raise `max_per_hour` if that is meant, or thin out the schedule";
        Why::new(Cause::Flood, format!("{sent} posts in sixty minutes, {most} is the most: {remedy}"))
    })
}

/// Why the budget of the bot's app has no room for a post at this price, and when it has again.
pub(super) async fn over_budget(
    store: &dyn Store,
    bot: &Bot,
    price: u32,
    now: DateTime<Utc>,
) -> Result<Option<Setback>, StoreError> {
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
    let most = budget.mills_per_month.filter(|most| spent.mills + u64::from(price) > *most)?;
    Some(format!(
        "{} of {} US dollars a month, and this post costs {}",
        dollars(spent.mills),
        dollars(most),
        dollars(price.into())
    ))
}

fn spent_up(app: &App, what: &str, again: DateTime<Utc>) -> Setback {
    let name = &app.name;
    let day = again.format("%Y-%m-%d");
    let reason = format!(
        "the budget of app {name} is used up ({what}): raise it in [apps.{name}.budget], or wait until {day}, 00:00 UTC"
    );
    until(Why::new(Cause::Budget, reason), again)
}

/// An amount of money for people.
fn dollars(mills: u64) -> String {
    format!("{}.{:03}", mills / 1_000, mills % 1_000)
}

fn day_of(now: DateTime<Utc>) -> DateTime<Utc> {
    at_midnight(now.date_naive())
}

fn month_of(now: DateTime<Utc>) -> DateTime<Utc> {
    let date = now.date_naive();
    at_midnight(date.with_day(1).unwrap_or(date))
}

fn next_month(now: DateTime<Utc>) -> DateTime<Utc> {
    // The 28 days of the shortest month and four more are in the next one, whatever the month.
    month_of(month_of(now) + TimeDelta::days(32))
}

fn at_midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(chrono::NaiveTime::MIN).and_utc()
}

/// When to try again a post that was planned at `planned_at`: when the network asked for it, or after a pause
/// that grows. `None` if there is no time left for that before `deadline`.
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
        None => paced(planned_at, now, dice).min(deadline - SHORTEST),
    };
    (now < attempt && attempt <= deadline).then_some(attempt)
}

/// After as long again as has passed since then, less up to a quarter, so that bots don't come back all at once.
pub(super) fn paced(since: DateTime<Utc>, now: DateTime<Utc>, dice: &mut impl Rng) -> DateTime<Utc> {
    let pause = (now - since).clamp(SHORTEST, LONGEST);
    let less = pause.num_milliseconds() / 4;
    now + pause - TimeDelta::milliseconds(dice.random_range(0..=less))
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
            let next = paced(start, now, &mut dice);
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
    fn bots_that_are_due_at_once_send_one_after_the_other_and_each_keeps_its_turn() {
        let (mut queue, pace) = (Queue::default(), Duration::from_secs(2));
        let names = ["walt", "emily", "sylvia"].map(|name| name.parse::<BotName>().unwrap());
        let at = Duration::from_secs;
        let mut turns = |uptime| names.each_ref().map(|name| queue.turn(name, at(uptime), pace));
        assert_eq!(turns(10), [None, Some(at(2)), Some(at(4))]);
        assert_eq!(turns(11), [Some(at(5)), Some(at(1)), Some(at(3))], "whoever has sent is last again");
        assert_eq!(turns(14), [Some(at(2)), None, Some(at(4))], "emily was late, so sylvia is too");
        assert_eq!(turns(100), [None, Some(at(2)), Some(at(4))], "a pause is not saved up");
    }

    #[test]
    fn an_hour_of_sends_is_remembered_and_no_more() {
        let past = Past::default();
        let at = Duration::from_secs;
        for second in [0, 1_800, 3_599] {
            past.sends(at(second));
        }
        assert_eq!(
            [3_599, 3_600, 5_400, 7_198, 7_199].map(|now| past.sent_last_hour(at(now))),
            [3, 2, 1, 1, 0]
        );
    }

    #[test]
    fn a_budget_ends_with_its_month() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let december = at("2026-12-31T23:59:59Z");
        assert_eq!(month_of(december), at("2026-12-01T00:00:00Z"));
        assert_eq!(next_month(december), at("2027-01-01T00:00:00Z"));
        assert_eq!(next_month(at("2027-01-31T12:00:00Z")), at("2027-02-01T00:00:00Z"));
        assert_eq!(day_of(december), at("2026-12-31T00:00:00Z"));
    }

    #[test]
    fn money_is_spent_up_to_the_last_cent() {
        let budget = Budget { mills_per_month: Some(30_000), ..Budget::default() };
        let spent = |mills| over_month(&budget, Spent { posts: 1, mills }, 15);
        assert_eq!(spent(29_985), None);
        assert_eq!(spent(29_986).unwrap(), "29.986 of 30.000 US dollars a month, and this post costs 0.015");
    }
}
