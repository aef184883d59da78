//! A zone's wall clock: what it shows at an instant, when it first shows a time, and when it changes.
//!
//! Only the mapping from an instant to its offset, which is always defined, is taken from the rules. The inverse is
//! built here, one clock change at a time, because "none" and "ambiguous" are no answers to "when does the job fire".

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::zone::Zone;

/// Cron's resolution is one second.
pub(super) const SECOND: TimeDelta = TimeDelta::seconds(1);

/// No wall clock is farther from UTC, and none was ever changed by more (Samoa skipped a day of 24 hours in 2011).
const REACH: TimeDelta = TimeDelta::hours(26);

/// No zone changes its clock twice within this time since 1970: the closest two changes are a week apart (Recife in
/// 2000, Gaza around Ramadan). A test checks every zone. It has to be at least twice `REACH`.
const STRIDE: TimeDelta = TimeDelta::hours(96);

/// The wall clock of a zone.
#[derive(Clone)]
pub(super) struct Wall(pub(super) Zone);

impl Wall {
    /// What the clock shows at an instant.
    pub(super) fn shows(&self, at: DateTime<Utc>) -> NaiveDateTime {
        at.naive_utc() + self.offset(at)
    }

    /// When the clock would show `time` if its offset were always that of `at`.
    pub(super) fn with_offset_of(&self, at: DateTime<Utc>, time: NaiveDateTime) -> DateTime<Utc> {
        (time - self.offset(at)).and_utc()
    }

    /// The latest time that the clock has shown up to an instant. It differs from what the clock shows only in the
    /// second pass of a repeated hour.
    pub(super) fn furthest(&self, at: DateTime<Utc>) -> NaiveDateTime {
        let now = self.shows(at);
        self.newest_shift(at - REACH, at).map_or(now, |shift| now.max(self.shows(shift - SECOND)))
    }

    /// The first instant at which the clock shows `time` or a later one.
    pub(super) fn first_reaches(&self, time: NaiveDateTime) -> DateTime<Utc> {
        let before = time.and_utc() - REACH;
        let slot = self.with_offset_of(before, time);
        match self.first_shift(before, time.and_utc() + REACH) {
            Some(shift) if slot >= shift => self.with_offset_of(shift, time).max(shift),
            _ => slot,
        }
    }

    /// The first instant in (after, until] at which the clock's offset changes.
    pub(super) fn first_shift(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (mut from, offset) = (after, self.offset(after));
        while from < until {
            let to = until.min(from + STRIDE);
            if self.offset(to) != offset {
                return Some(self.shift_in(from, to));
            }
            from = to;
        }
        None
    }

    /// The newest instant in (after, until] at which the clock's offset changes.
    pub(super) fn newest_shift(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (mut to, offset) = (until, self.offset(until));
        while after < to {
            let from = after.max(to - STRIDE);
            if self.offset(from) != offset {
                return Some(self.shift_in(from, to));
            }
            to = from;
        }
        None
    }

    /// The single clock change in (from, to], by bisection.
    fn shift_in(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> DateTime<Utc> {
        let offset = self.offset(from);
        let (mut before, mut after) = (from.timestamp(), to.timestamp());
        while after - before > 1 {
            let middle = i64::midpoint(before, after);
            if self.offset(instant(middle)) == offset {
                before = middle;
            } else {
                after = middle;
            }
        }
        instant(after)
    }

    fn offset(&self, at: DateTime<Utc>) -> TimeDelta {
        TimeDelta::seconds(self.0.local(at).offset().local_minus_utc().into())
    }
}

fn instant(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).expect("a second between two instants is one")
}
