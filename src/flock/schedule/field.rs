//! One field of a schedule: a list of numbers, names, ranges and steps, as in crontab(5).
//!
//! A field that cron implementations read differently, or that can't mean what it says, is rejected, because a post
//! isn't easily undone. So `5/15` is an error (`5` to some, `5-59/15` to others), and so is a step longer than its
//! field (`*/90` would fire hourly).

use std::collections::BTreeSet;

use super::error::ScheduleError;

/// A kind of field: its name and its valid values.
pub(super) struct Unit {
    name: &'static str,
    low: u8,
    high: u8,
    /// Names of the values from `low` on; their first three letters suffice.
    names: &'static [&'static str],
}

pub(super) const SECOND: Unit = Unit { name: "second", low: 0, high: 59, names: &[] };
pub(super) const MINUTE: Unit = Unit { name: "minute", low: 0, high: 59, names: &[] };
pub(super) const HOUR: Unit = Unit { name: "hour", low: 0, high: 23, names: &[] };
pub(super) const DAY: Unit = Unit { name: "day of month", low: 1, high: 31, names: &[] };
pub(super) const MONTH: Unit = Unit { name: "month", low: 1, high: 12, names: &MONTHS };
pub(super) const WEEKDAY: Unit = Unit { name: "day of week", low: 0, high: 7, names: &WEEKDAYS };

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// Sunday has two numbers in a crontab; this is the first.
const SUNDAY: u8 = 0;
const SUNDAY_AT_END: u8 = 7;

/// The values that a field matches.
pub(super) struct Field {
    /// Whether it begins with `*`, which matters for the rules on days and on clock changes, whatever the field
    /// matches.
    pub(super) starred: bool,
    /// The values that match, with Sunday as 0; empty for any value.
    pub(super) values: BTreeSet<u8>,
}

impl Field {
    /// A field that always matches.
    pub(super) fn any() -> Field {
        Field { starred: true, values: BTreeSet::new() }
    }
}

impl Unit {
    /// Reads a field's text.
    pub(super) fn read(&self, text: &str) -> Result<Field, ScheduleError> {
        if text == "*" {
            return Ok(Field::any());
        }
        let mut values = BTreeSet::new();
        for entry in text.split(',') {
            values.extend(self.entry(text, entry)?);
        }
        if self.high == SUNDAY_AT_END && values.remove(&SUNDAY_AT_END) {
            values.insert(SUNDAY);
        }
        Ok(Field { starred: text.starts_with('*'), values })
    }

    /// One entry of the list: `*`, a value or a range, with an optional step.
    fn entry(&self, whole: &str, entry: &str) -> Result<impl Iterator<Item = u8> + use<>, ScheduleError> {
        if entry.is_empty() {
            return Err(self.error(whole, "has an empty entry in its list: remove a comma"));
        }
        let (base, step) = match entry.split_once('/') {
            Some((base, step)) => (base, Some(self.step(entry, base, step)?)),
            None => (entry, None),
        };
        let (first, last) = match base.split_once('-') {
            _ if base == "*" => (self.low, self.high),
            Some((first, last)) => self.range(entry, first, last)?,
            None => self.single(entry, base).map(|value| (value, value))?,
        };
        Ok((first..=last).step_by(step.unwrap_or(1)))
    }

    fn range(&self, entry: &str, first: &str, last: &str) -> Result<(u8, u8), ScheduleError> {
        let (from, mut to) = (self.single(entry, first)?, self.single(entry, last)?);
        // A Sunday given by name at the end of a range is the one after Saturday: `fri-sun` can mean nothing else.
        if self.high == SUNDAY_AT_END && to == SUNDAY && from > to && !last.starts_with('0') {
            to = SUNDAY_AT_END;
        }
        if from > to {
            let (low, high) = (self.low, self.high);
            let remedy = format!("runs backwards: write it in two parts, {from}-{high},{low}-{to}");
            return Err(self.error(entry, &remedy));
        }
        Ok((from, to))
    }

    /// A number or a name.
    fn single(&self, entry: &str, text: &str) -> Result<u8, ScheduleError> {
        if text.is_empty() {
            return Err(self.error(entry, &format!("lacks a value: write {}", self.allowed())));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let value = text.parse().ok().filter(|value| (self.low..=self.high).contains(value));
            return value
                .ok_or_else(|| self.error(entry, &format!("is out of range: write {}", self.allowed())));
        }
        self.named(text).ok_or_else(|| self.error(entry, &self.remedy(text)))
    }

    fn named(&self, text: &str) -> Option<u8> {
        let is = |name: &&str| text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(&name[..3]);
        let position = self.names.iter().position(is)?;
        u8::try_from(position).ok().map(|position| self.low + position)
    }

    fn step(&self, entry: &str, base: &str, step: &str) -> Result<usize, ScheduleError> {
        let digits = step.bytes().all(|byte| byte.is_ascii_digit());
        let value = step.parse().ok().filter(|value| digits && (1..=usize::from(self.high)).contains(value));
        let Some(value) = value else {
            return Err(
                self.error(entry, &format!("has the step {step:?}: write one from 1 to {}", self.high))
            );
        };
        if base != "*" && !base.contains('-') {
            self.single(entry, base)?;
            let remedy = format!("has a step after a single value: write {base}-{}/{step}", self.high);
            return Err(self.error(entry, &remedy));
        }
        Ok(value)
    }

    /// The remedy for a word that is neither a number nor a name.
    fn remedy(&self, text: &str) -> String {
        let allowed = self.allowed();
        match text {
            "?" => "is no crontab: write * for any value".to_owned(),
            _ if text.contains('~') => format!("is random: write {allowed}, and let jitter spread the posts"),
            _ if text.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                format!("is an unknown name: write {allowed}")
            }
            _ => format!("can't be read: write {allowed}, a range 1-5, a step */2 or a list 1,3"),
        }
    }

    fn allowed(&self) -> String {
        let Unit { low, high, .. } = self;
        match self.names {
            [first, .., last] => format!("{low}-{high} or a name from {} to {}", &first[..3], &last[..3]),
            _ => format!("{low}-{high}"),
        }
    }

    fn error(&self, value: &str, problem: &str) -> ScheduleError {
        ScheduleError::Field { field: self.name, value: value.to_owned(), problem: problem.to_owned() }
    }
}
