//! How each bot is: one word and one sentence, derived from the ledger whenever they are asked for and
//! stored nowhere.

use chrono::{DateTime, TimeDelta, Utc};

use super::Standing;
use crate::flock::post::{Post, State};
use crate::flock::{AtEnd, Bot};

crate::flock::words! {
    /// How a bot is. Of several that are true the first counts.
    Condition {
        /// It can't post until a person mends something.
        Suspended = "suspended",
        /// Nobody knows whether its last post arrived; it waits until that is settled.
        Unknown = "unknown",
        /// A slot has passed, by more than `max_late`, and nothing came of it.
        Overdue = "overdue",
        /// No postable line is left, and it is to stop at the end.
        Exhausted = "exhausted",
        /// A post waits to be tried again.
        Waiting = "waiting",
        /// It posts.
        Ok = "ok",
    }
}

/// A bot's condition, with the reason and the remedy if it is not well. `lines_left` is `None` if its poem
/// can't be read.
pub fn condition(
    bot: &Bot,
    standing: Option<&Standing>,
    lines_left: Option<usize>,
    now: DateTime<Utc>,
) -> (Condition, Option<String>) {
    let Some(standing) = standing else {
        let reason = "the daemon has not seen this bot yet: start or restart it".to_owned();
        return (Condition::Waiting, Some(reason));
    };
    let open = standing.open.as_ref();
    let newest = open.or(standing.last.as_ref());
    if let Some(post) = newest.filter(|post| post.cause.is_some_and(|cause| cause.suspends())) {
        return (Condition::Suspended, post.reason.clone());
    }
    if let Some(post) = open.filter(|post| post.state == State::Unknown) {
        return (Condition::Unknown, Some(unknown(post)));
    }
    if let Some(due) = overdue(bot, standing, now) {
        return (Condition::Overdue, Some(format!("it should have posted at {due}: is the daemon running?")));
    }
    match (open, lines_left) {
        (None, Some(0)) if bot.at_end == AtEnd::Stop => {
            let reason = "no line is left to post: add lines, or set at_end = \"again\"".to_owned();
            (Condition::Exhausted, Some(reason))
        }
        (Some(post), _) => (Condition::Waiting, post.reason.clone()),
        (None, _) => (Condition::Ok, None),
    }
}

fn unknown(post: &Post) -> String {
    let why = post.reason.as_deref().unwrap_or("no answer came");
    let id = post.id;
    format!("{why}: look at the account, then `flockd settle {id} --posted` or `--not-posted`")
}

/// The slot that is overdue, if one is. The longest delay that may be is allowed for.
fn overdue(bot: &Bot, standing: &Standing, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let slot = bot.schedule.next_after(standing.considered)?;
    let grace = TimeDelta::from_std(bot.jitter + bot.max_late).unwrap_or(TimeDelta::MAX);
    (now - slot > grace).then_some(slot)
}
