//! Whether posts that are due at the same time can all leave in time at their app's pace. Simulates the
//! engine's pacer with every schedule and delay.

use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::flock::Bot;
use crate::flock::account::App;
use crate::flock::schedule::jitter;
use crate::forecast::post_rate;

/// How far ahead the queue is simulated; less for an app with more posts than the number below.
const PLAYED: TimeDelta = TimeDelta::hours(24);
/// Approximate maximum number of simulated posts.
const MOST_PLAYED: f64 = 250_000.0;

/// A post and its deadline.
struct DuePost {
    at: DateTime<Utc>,
    deadline: DateTime<Utc>,
}

/// The diagnostic if the app's pace makes some posts of these bots too late. Together the bots have `per_day`
/// posts a day.
pub(super) fn rush(app: &App, bots: &[&Bot], per_day: f64, now: DateTime<Utc>) -> Option<String> {
    if app.pace.is_zero() || bots.len() < 2 {
        return None;
    }
    let part = (MOST_PLAYED / per_day.max(1.0)).min(1.0);
    let end = now + TimeDelta::seconds((PLAYED.as_seconds_f64() * part) as i64);
    let mut dues: Vec<DuePost> = bots.iter().flat_map(|bot| dues(bot, now, end)).collect();
    dues.sort_by_key(|due| due.at);
    let late = late(&dues, app.pace);
    let minute = minute(*late.first()?);
    let within = |at: &DateTime<Utc>| self::minute(*at) == minute;
    let all = dues.iter().filter(|due| within(&due.at)).count();
    let late = late.iter().filter(|at| within(at)).count();
    let (pace, at) = (humantime::format_duration(app.pace), minute.format("%H:%M"));
    Some(format!(
        "{all} posts are due at about {at} UTC, and `pace` = {pace} makes {late} of them later than `max_late` \
         allows, so they are given up: shorten `pace`, or spread the schedules, with `jitter` for instance"
    ))
}

fn dues(bot: &Bot, now: DateTime<Utc>, end: DateTime<Utc>) -> impl Iterator<Item = DuePost> {
    let slots = post_rate::posts(bot, now, end);
    slots.map(|slot| {
        let at = slot + delta(jitter::delay(bot.name.as_str(), slot, bot.jitter));
        DuePost {
            at,
            deadline: at.checked_add_signed(delta(bot.max_late)).unwrap_or(DateTime::<Utc>::MAX_UTC),
        }
    })
}

/// The due times of the posts that are too late. A late post is given up and delays no other.
fn late(dues: &[DuePost], pace: Duration) -> Vec<DateTime<Utc>> {
    let mut free = DateTime::<Utc>::MIN_UTC;
    let mut late = Vec::new();
    for due in dues {
        let leaves = free.max(due.at);
        if leaves > due.deadline {
            late.push(due.at);
        } else {
            free = leaves + delta(pace);
        }
    }
    late
}

fn minute(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(at)
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
