//! Which slot of a bot is due, by its schedule, delay and policy. Pure; firing it is `fire`'s work.

use chrono::{DateTime, TimeDelta, Utc};

use crate::flock::schedule::jitter;
use crate::flock::{Bot, OnMiss};

/// A slot counts as on time if it is no later than this. The loop wakes at least every thirty seconds, so
/// whatever is later than twice that was missed: the machine slept, or nobody ran.
const ON_TIME: TimeDelta = TimeDelta::seconds(60);
/// Counting missed slots stops here: a bot of every second that slept for a year missed "at least" so many.
pub const MOST_COUNTED: u32 = 1_000;

/// What is due for a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// This slot fires now.
    Slot {
        /// The scheduled instant.
        slot: DateTime<Utc>,
        /// With its delay.
        due_at: DateTime<Utc>,
        /// How many slots before it are passed over.
        missed: u32,
    },
    /// Only slots that may not fire any more.
    Missed {
        /// The newest of them.
        newest: DateTime<Utc>,
        /// How many.
        missed: u32,
    },
    /// Nothing before this instant.
    NotBefore(DateTime<Utc>),
    /// Nothing ever again.
    Never,
}

/// What is due at `now`, when slots up to `considered` have been dealt with.
pub fn due(bot: &Bot, considered: DateTime<Utc>, now: DateTime<Utc>) -> Due {
    let Some(slot) = newest_due(bot, considered, now) else {
        return next(bot, considered).map_or(Due::Never, Due::NotBefore);
    };
    let due_at = with_delay(bot, slot);
    let missed = count_between(bot, considered, slot);
    let late = now - due_at;
    let too_late = late > delta(bot.max_late) || (bot.on_miss == OnMiss::Skip && late > ON_TIME);
    if too_late {
        Due::Missed { newest: slot, missed: missed + 1 }
    } else {
        Due::Slot { slot, due_at, missed }
    }
}

/// When the first slot after `considered` is due, delay included.
pub(super) fn next(bot: &Bot, considered: DateTime<Utc>) -> Option<DateTime<Utc>> {
    bot.schedule.next_after(considered).map(|slot| with_delay(bot, slot))
}

/// The instant after which a post that was due at `due_at` is not tried any more.
pub(super) fn deadline(bot: &Bot, due_at: DateTime<Utc>) -> DateTime<Utc> {
    due_at.checked_add_signed(delta(bot.max_late)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn with_delay(bot: &Bot, slot: DateTime<Utc>) -> DateTime<Utc> {
    slot + delta(jitter::delay(bot.name.as_str(), slot, bot.jitter))
}

/// The newest slot whose delay has passed too. A delay is shorter than the time between slots, so this
/// looks at two slots at most, but for nights in which the clock is changed.
fn newest_due(bot: &Bot, considered: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut slot = bot.schedule.newest_between(considered, now)?;
    while with_delay(bot, slot) > now {
        slot = bot.schedule.newest_between(considered, slot - TimeDelta::milliseconds(1))?;
    }
    Some(slot)
}

fn count_between(bot: &Bot, after: DateTime<Utc>, before: DateTime<Utc>) -> u32 {
    let between = bot.schedule.upcoming(after).take_while(|slot| *slot < before);
    between.zip(0..MOST_COUNTED).fold(0, |count, _| count + 1)
}

fn delta(duration: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
