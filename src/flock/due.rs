//! Which slot of a bot is due, by its schedule, delay and policy. Pure: the engine posts, and a preview goes through the
//! slots to come.

use chrono::{DateTime, TimeDelta, Utc};

use super::schedule::jitter;
use super::{Bot, OnMiss};

/// A slot counts as on time if it is no later than this. The loop wakes at least every thirty seconds, so
/// anything later than twice that was missed: the machine slept, or flockd was not running.
pub const ON_TIME: TimeDelta = TimeDelta::seconds(60);
/// The period of `max_per_hour`: an hour, less the seconds by which a post may have been sent later than its slot. Otherwise
/// a bot with exactly as many slots an hour as it may have would lose one now and then.
pub const HOUR: TimeDelta = TimeDelta::seconds(3_600 - 5);
/// Counting missed slots stops here: a bot with a slot every second that slept for a year missed "at least" this many.
const MOST_COUNTED: u32 = 1_000;

/// When to look at a bot again; `None` if only a person can change anything.
pub type Wake = Option<DateTime<Utc>>;

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
    /// Only slots that are too late to fire.
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

/// What is due at `now`, if slots up to `last_slot` have been handled. A bot that does not make up for missed slots
/// still fires one that is no later than `on_time`.
pub fn due_within(bot: &Bot, last_slot: DateTime<Utc>, now: DateTime<Utc>, on_time: TimeDelta) -> Due {
    let Some(slot) = newest_due(bot, last_slot, now) else {
        return next(bot, last_slot).map_or(Due::Never, Due::NotBefore);
    };
    let due_at = with_delay(bot, slot);
    let missed = count_between(bot, last_slot, slot);
    let late = now - due_at;
    let too_late = late > delta(bot.max_late) || (bot.on_miss == OnMiss::Skip && late > on_time);
    if too_late {
        Due::Missed { newest: slot, missed: missed + 1 }
    } else {
        Due::Slot { slot, due_at, missed }
    }
}

/// When the first slot after `last_slot` is due, delay included.
pub fn next(bot: &Bot, last_slot: DateTime<Utc>) -> Option<DateTime<Utc>> {
    bot.schedule.next_after(last_slot).map(|slot| with_delay(bot, slot))
}

/// The instant after which a post that was due at `due_at` is not attempted any more.
pub fn deadline(bot: &Bot, due_at: DateTime<Utc>) -> DateTime<Utc> {
    due_at.checked_add_signed(delta(bot.max_late)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// A slot with the bot's delay for it.
pub fn with_delay(bot: &Bot, slot: DateTime<Utc>) -> DateTime<Utc> {
    slot + delta(jitter::delay(bot.name.as_str(), slot, bot.jitter))
}

/// The newest slot whose delay has passed too. A delay is shorter than the time between slots, so this
/// looks at two slots at most, but for nights in which the clock is changed.
fn newest_due(bot: &Bot, last_slot: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut slot = bot.schedule.newest_between(last_slot, now)?;
    while with_delay(bot, slot) > now {
        slot = bot.schedule.newest_between(last_slot, slot - TimeDelta::milliseconds(1))?;
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::flock::samples;
    use crate::flock::schedule::{Schedule, Zone};

    fn bot(schedule: &str) -> Bot {
        samples::bot("walt", schedule)
    }

    fn due(bot: &Bot, last_slot: DateTime<Utc>, now: DateTime<Utc>) -> Due {
        due_within(bot, last_slot, now, ON_TIME)
    }

    fn at(time: &str) -> DateTime<Utc> {
        format!("2024-03-05T{time}Z").parse().unwrap()
    }

    fn slot(time: &str, missed: u32) -> Due {
        Due::Slot { slot: at(time), due_at: at(time), missed }
    }

    fn too_late(newest: &str, missed: u32) -> Due {
        Due::Missed { newest: at(newest), missed }
    }

    #[test]
    fn a_slot_is_due_from_its_instant_on_and_once() {
        let bot = bot("*/10 * * * *");
        assert_eq!(due(&bot, at("12:00:00"), at("12:09:59.999")), Due::NotBefore(at("12:10:00")));
        assert_eq!(due(&bot, at("12:00:00"), at("12:10:00")), slot("12:10:00", 0));
        assert_eq!(due(&bot, at("12:00:00"), at("12:19:59")), slot("12:10:00", 0));
        assert_eq!(due(&bot, at("12:10:00"), at("12:10:00")), Due::NotBefore(at("12:20:00")));
    }

    #[test]
    fn of_several_the_newest_fires_unless_it_is_too_late() {
        let mut bot = bot("0,20 * * * *");
        assert_eq!(due(&bot, at("08:00:00"), at("10:30:00")), slot("10:20:00", 4));
        bot.max_late = Duration::from_mins(10);
        assert_eq!(due(&bot, at("08:00:00"), at("10:30:00")), slot("10:20:00", 4));
        assert_eq!(due(&bot, at("08:00:00"), at("10:30:00.001")), too_late("10:20:00", 5));
        assert_eq!(due(&bot, at("10:20:00"), at("10:30:00.001")), Due::NotBefore(at("11:00:00")));
    }

    #[test]
    fn one_that_skips_fires_only_what_is_on_time() {
        let mut bot = bot("*/10 * * * *");
        bot.on_miss = OnMiss::Skip;
        assert_eq!(due(&bot, at("12:00:00"), at("12:11:00")), slot("12:10:00", 0));
        assert_eq!(due(&bot, at("12:00:00"), at("12:11:00.001")), too_late("12:10:00", 1));
        assert_eq!(due_within(&bot, at("12:00:00"), at("12:15:00"), TimeDelta::MAX), slot("12:10:00", 0));
        // What came before is missed, whether or not the newest is on time.
        assert_eq!(due(&bot, at("11:00:00"), at("12:10:30")), slot("12:10:00", 6));
    }

    #[test]
    fn a_delay_moves_the_instant_and_the_limit_but_not_the_slot() {
        let mut bot = bot("@hourly");
        (bot.jitter, bot.max_late) = (Duration::from_mins(50), Duration::from_mins(5));
        let due_at = at("13:00:00") + delta(jitter::delay("walt", at("13:00:00"), bot.jitter));
        assert!(due_at > at("13:00:10"), "a delay to speak of");
        let last_slot = at("12:00:00");
        let fires = Due::Slot { slot: at("13:00:00"), due_at, missed: 0 };
        assert_eq!(due(&bot, last_slot, due_at - TimeDelta::milliseconds(1)), Due::NotBefore(due_at));
        assert_eq!(due(&bot, last_slot, due_at), fires);
        assert_eq!(due(&bot, last_slot, due_at + TimeDelta::minutes(5)), fires);
        let after = due(&bot, last_slot, due_at + TimeDelta::minutes(5) + TimeDelta::milliseconds(1));
        assert_eq!(after, too_late("13:00:00", 1));
    }

    #[test]
    fn a_clock_that_went_back_waits_for_slots_after_the_last() {
        let bot = bot("*/10 * * * *");
        assert_eq!(due(&bot, at("12:10:00"), at("11:10:00")), Due::NotBefore(at("12:20:00")));
        assert_eq!(due(&bot, at("12:10:00"), DateTime::UNIX_EPOCH), Due::NotBefore(at("12:20:00")));
    }

    #[test]
    fn a_schedule_may_end() {
        assert_eq!(due(&bot("@daily"), DateTime::<Utc>::MAX_UTC, at("12:00:00")), Due::Never);
        let last = "2100-12-31T23:00:00Z".parse().unwrap();
        assert_eq!(due(&bot("@hourly"), last, last + TimeDelta::days(400)), Due::Never);
    }

    /// Looking at each of 31 million slots would take minutes.
    #[test]
    fn a_year_of_seconds_is_counted_up_to_a_limit() {
        let bot = bot("* * * * * *");
        let Due::Slot { missed, .. } = due(&bot, at("12:00:00"), at("12:00:00") + TimeDelta::days(366))
        else {
            panic!("the newest is on time");
        };
        assert_eq!(missed, MOST_COUNTED);
    }

    #[test]
    fn limits_too_long_for_a_calendar_are_no_limits() {
        let mut bot = bot("@daily");
        bot.max_late = Duration::MAX;
        assert_eq!(due(&bot, at("12:00:00") - TimeDelta::days(9), at("12:00:00")), slot("00:00:00", 8));
        assert_eq!(deadline(&bot, at("12:00:00")), DateTime::<Utc>::MAX_UTC);
    }

    /// What is due, by looking at every slot.
    fn by_looking_at_each(bot: &Bot, last_slot: DateTime<Utc>, now: DateTime<Utc>) -> Option<(i64, u32)> {
        let slots: Vec<_> = bot.schedule.upcoming(last_slot).take_while(|slot| *slot <= now).collect();
        let passed = slots.iter().rposition(|slot| with_delay(bot, *slot) <= now)?;
        Some((slots[passed].timestamp(), u32::try_from(passed).unwrap()))
    }

    proptest! {
        /// For any schedule, night and delay, the newest slot whose time has come is due, the slots before it were missed,
        /// and advancing the last slot to it leaves nothing due.
        #[test]
        fn the_newest_is_due_and_the_others_missed(
            schedule in prop::sample::select(vec![
                "* * * * *", "*/7 * * * *", "@hourly", "30 2 * * *", "15,45 1-3 * * *", "*/20 * * * * *",
            ]),
            from in 0_i64..6 * 3_600_000,
            length in 0_i64..3 * 3_600_000,
            jitter in 0_u64..15_000,
            autumn: bool,
        ) {
            let mut bot = bot(schedule);
            bot.schedule = Schedule::parse(schedule, Zone::built_in("Europe/Berlin").unwrap()).unwrap();
            (bot.max_late, bot.jitter) = (Duration::MAX, Duration::from_millis(jitter));
            let night = if autumn { "2024-10-26T22:00:00Z" } else { "2024-03-30T22:00:00Z" };
            let last_slot = night.parse::<DateTime<Utc>>().unwrap() + TimeDelta::milliseconds(from);
            let now = last_slot + TimeDelta::milliseconds(length);
            match due(&bot, last_slot, now) {
                Due::Slot { slot, due_at, missed } => {
                    let expected = by_looking_at_each(&bot, last_slot, now);
                    prop_assert_eq!(expected, Some((slot.timestamp(), missed)));
                    prop_assert!(slot <= due_at && due_at <= now);
                    prop_assert!(matches!(due(&bot, slot, now), Due::NotBefore(next) if next > now));
                }
                Due::NotBefore(next) => {
                    prop_assert_eq!(by_looking_at_each(&bot, last_slot, now), None);
                    prop_assert!(next > now);
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
