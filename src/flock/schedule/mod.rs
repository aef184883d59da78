//! When a bot posts: turns a cron text and a time zone into a sequence of instants.
//!
//! There are three steps. `text` and `field` parse crontab(5)'s dialect, `pattern` matches local times with the `cron`
//! crate, and `wall` maps local times to instants by our own rule:
//!
//! - A job whose minute or hour begins with `*` follows the wall clock: it fires whenever the local time matches, in
//!   both passes of the hour that is repeated in autumn, and not inside the hour that is skipped in spring.
//! - Any other job fires once per matching local time: in the first pass of a repeated hour, and for a skipped time at
//!   the first instant after it. Times moved to the same instant are one slot.
//!
//! The code relies on a shorter form of the second rule: a job fires when the wall clock *first reaches or passes* the
//! local time. Under this rule slots are always in order, whatever a zone does.
//!
//! Deliberately absent: the clock (every "now" is an argument), the outcome of a slot (in the ledger), and the policy
//! for missed slots (in the engine). `jitter` only defines the delay between a slot and its post.

mod error;
mod field;
pub mod jitter;
mod pattern;
mod text;
mod wall;
mod zone;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests_errors;
#[cfg(test)]
mod tests_random;
#[cfg(test)]
mod tests_text;
#[cfg(test)]
mod tests_zones;

use std::{fmt, time::Duration};

use chrono::{DateTime, NaiveDateTime, Utc};

pub use self::error::ScheduleError;
pub use self::zone::Zone;
use self::{
    pattern::Pattern,
    wall::{SECOND, Wall},
};

/// Number of slots that `shortest_gap` examines: over a week of a job that fires every 20 minutes, years of a daily
/// one.
const GAPS_LOOKED_AT: usize = 500;

/// When a bot posts: a cron text, interpreted in one time zone.
///
/// Two schedules are equal if text and zone are.
#[derive(Clone)]
pub struct Schedule {
    text: String,
    wall: Wall,
    pattern: Pattern,
    /// Whether minute or hour begins with `*`, so that the job follows the wall clock.
    wildcard: bool,
}

impl Schedule {
    /// Parses five fields as in crontab(5), six with the second first, or a word such as `@daily`.
    ///
    /// # Errors
    ///
    /// If the text isn't a schedule, or is one that never fires; the error names the field and the remedy.
    pub fn parse(text: &str, zone: Zone) -> Result<Schedule, ScheduleError> {
        let text = text::fold(text)?;
        let fields = text::fields(&text)?;
        let pattern = Pattern::new(&fields);
        if !pattern.ever_matches() {
            return Err(ScheduleError::NeverFires { text });
        }
        let wildcard = fields.minute.starred || fields.hour.starred;
        Ok(Schedule { text, wall: Wall(zone), pattern, wildcard })
    }

    /// The text as written, with white space folded.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The zone whose wall clock the text refers to.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.wall.0
    }

    /// The first slot strictly later than `after`; `None` after 2100, where the years of the `cron` crate end.
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if after > pattern::last_instant() {
            return None;
        }
        let after = after.max(pattern::first_instant());
        if self.wildcard { self.next_shown(after) } else { self.next_reached(after) }
    }

    /// The newest slot later than `after` and not later than `until`, found without enumerating the slots in between.
    #[must_use]
    pub fn newest_between(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let after = after.max(pattern::first_instant());
        let until = until.min(pattern::last_instant());
        if until <= after {
            return None;
        }
        let newest = if self.wildcard { self.newest_shown(after, until) } else { self.newest_reached(until) };
        newest.filter(|slot| *slot > after)
    }

    /// All slots strictly later than `after`, in order.
    pub fn upcoming(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> + '_ {
        std::iter::successors(self.next_after(after), |slot| self.next_after(*slot))
    }

    /// The shortest interval between adjacent upcoming slots, in local time, so that a clock change doesn't shorten it.
    /// [`Duration::MAX`] when fewer than two slots are left.
    #[must_use]
    pub fn shortest_gap(&self, after: DateTime<Utc>) -> Duration {
        let after = after.clamp(pattern::first_instant(), pattern::last_instant());
        let mut newest: Option<NaiveDateTime> = None;
        self.pattern
            .upcoming(self.wall.shows(after))
            .take(GAPS_LOOKED_AT)
            .filter_map(|time| (time - newest.replace(time)?).to_std().ok())
            .min()
            .unwrap_or(Duration::MAX)
    }

    /// A job with fixed times: the first matching time that the wall clock has neither shown nor passed, mapped to the
    /// instant that reaches it.
    fn next_reached(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.pattern
            .upcoming(self.wall.furthest(after))
            .map(|time| self.wall.first_reaches(time))
            // Always the first, by the rule above. With a slot in the past the daemon would fire continuously, so this
            // check holds even if a zone does what no zone has done so far.
            .find(|slot| *slot > after)
    }

    fn newest_reached(&self, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let time = self.pattern.newest_until(self.wall.furthest(until))?;
        Some(self.wall.first_reaches(time))
    }

    /// A job that follows the wall clock: examines one period of constant offset after the other, until one has a
    /// match.
    fn next_shown(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut from = after;
        let mut shown = self.wall.shows(after);
        loop {
            let time = self.pattern.next_after(shown)?;
            let slot = self.wall.with_offset_of(from, time);
            let Some(shift) = self.wall.first_shift(from, slot) else {
                return Some(slot);
            };
            // The instant of the clock change may match itself, so the search continues from just before what it shows.
            from = shift;
            shown = self.wall.shows(shift) - SECOND;
        }
    }

    fn newest_shown(&self, after: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut to = until;
        loop {
            let time = self.pattern.newest_until(self.wall.shows(to))?;
            let slot = self.wall.with_offset_of(to, time);
            let Some(shift) = self.wall.newest_shift(slot.max(after), to) else {
                return Some(slot);
            };
            to = shift - SECOND;
        }
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.zone() == other.zone()
    }
}

impl Eq for Schedule {}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({:?} in {})", self.text, self.zone())
    }
}
