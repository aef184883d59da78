//! Matches local times with the `cron` crate; this is the only file that uses the crate.
//!
//! The crate is given local time without a zone (as if it were UTC), because across clock changes it skips and repeats
//! slots, and returns slots in the past. Its dialect is Quartz's, so it is given plain lists of numbers: weekdays run
//! from 1 (Sunday) to 7 there, both day fields must match, and years end in 2100.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Utc};

use super::{field::Field, text::CronFields, wall::SECOND};

/// The range of years that the `cron` crate supports.
const FIRST_YEAR: i32 = 1970;
const LAST_YEAR: i32 = 2100;

/// Every supported local time, in any zone, is later than this instant.
pub(super) fn first_instant() -> DateTime<Utc> {
    (new_year(FIRST_YEAR) - TimeDelta::days(2)).and_utc()
}

/// Every supported local time, in any zone, is earlier than this instant.
pub(super) fn last_instant() -> DateTime<Utc> {
    (new_year(LAST_YEAR + 1) + TimeDelta::days(2)).and_utc()
}

/// The local times at which a job fires.
#[derive(Clone)]
pub(super) struct Pattern {
    /// One schedule that requires both day fields, or two that require one each, if either may match.
    sides: Vec<cron::Schedule>,
}

impl Pattern {
    pub(super) fn new(fields: &CronFields) -> Pattern {
        let any = Field::any();
        // crontab(5): a day field that begins with `*` does not trigger the either-or rule, but still has to match.
        let either = !fields.day.starred && !fields.weekday.starred;
        let sides = if either {
            vec![translate(fields, &fields.day, &any), translate(fields, &any, &fields.weekday)]
        } else {
            vec![translate(fields, &fields.day, &fields.weekday)]
        };
        Pattern { sides }
    }

    pub(super) fn ever_matches(&self) -> bool {
        self.next_after(new_year(FIRST_YEAR) - SECOND).is_some()
    }

    /// The first match strictly later than `time`.
    pub(super) fn next_after(&self, time: NaiveDateTime) -> Option<NaiveDateTime> {
        self.sides
            .iter()
            .filter_map(|side| side.after(&time.and_utc()).next())
            .min()
            .map(|match_| match_.naive_utc())
    }

    /// The newest match not later than `time`.
    pub(super) fn newest_until(&self, time: NaiveDateTime) -> Option<NaiveDateTime> {
        // When asked from a later year, the crate begins with its last year, but in the middle of it. With a fraction
        // of a second it could answer with the next second, which has not come yet.
        let whole = time.with_nanosecond(0).unwrap_or(time);
        let before = (whole + SECOND).min(new_year(LAST_YEAR + 1)).and_utc();
        self.sides
            .iter()
            .filter_map(|side| side.after(&before).next_back())
            .max()
            .map(|match_| match_.naive_utc())
    }

    /// All matches strictly later than `time`, in order.
    pub(super) fn upcoming(&self, time: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> + '_ {
        std::iter::successors(self.next_after(time), |time| self.next_after(*time))
    }
}

fn new_year(year: i32) -> NaiveDateTime {
    NaiveDate::from_yo_opt(year, 1).expect("every year has a first day").into()
}

/// A schedule of the crate in which both day fields have to match.
fn translate(fields: &CronFields, day: &Field, weekday: &Field) -> cron::Schedule {
    let (second, minute, hour) = (list(&fields.second, 0), list(&fields.minute, 0), list(&fields.hour, 0));
    let (day, month, weekday) = (list(day, 0), list(&fields.month, 0), list(weekday, 1));
    let text = format!("{second} {minute} {hour} {day} {month} {weekday}");
    text.parse().expect("lists of numbers within range are cron text")
}

/// The values of a field as a list, shifted to the crate's numbering.
fn list(field: &Field, shift: u8) -> String {
    let mut list = String::new();
    for value in &field.values {
        let comma = if list.is_empty() { "" } else { "," };
        write!(list, "{comma}{}", value + shift).expect("writing to a string");
    }
    if list.is_empty() { "*".to_owned() } else { list }
}
