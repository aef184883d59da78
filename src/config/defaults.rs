//! Defaults: the keys that apply to all bots in `[defaults]`, or to one bot in its own table.

use std::time::Duration;

use super::section::{Found, Section};
use crate::flock::poem::Split;
use crate::flock::schedule::Zone;
use crate::flock::{AtEnd, Mentions, OnMiss, OnUnknown, Order, ThreadMode, Warnings};

/// Default of `max_late`: a restart in the middle of the night still posts, yesterday's line is skipped.
pub(super) const DEFAULT_MAX_LATE: Duration = Duration::from_secs(60 * 60);

/// Minimum of `max_late`: with less, no slot would ever be in time.
const LEAST_LATE: Duration = Duration::from_secs(1);

/// Maximum of `max_late`: a post belongs to its slot, and an open post blocks the bot's next one.
const MOST_LATE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Maximum of `max_per_hour`: schedules have a resolution of one second.
pub(super) const MOST_PER_HOUR: u32 = 3_600;

/// The keys as written; `None` if a key is missing or invalid.
#[derive(Debug, Clone, Default)]
pub(super) struct Defaults {
    pub(super) timezone: Option<Zone>,
    pub(super) order: Option<Order>,
    pub(super) at_end: Option<AtEnd>,
    pub(super) on_miss: Option<OnMiss>,
    pub(super) on_unknown: Option<OnUnknown>,
    pub(super) jitter: Option<Duration>,
    pub(super) max_late: Option<Duration>,
    pub(super) max_per_hour: Option<u32>,
    pub(super) split: Option<Split>,
    pub(super) mentions: Option<Mentions>,
    pub(super) thread: Option<ThreadMode>,
    pub(super) alt_optional: Option<bool>,
    pub(super) warnings: Option<Warnings>,
}

impl Defaults {
    /// Reads the keys that are present.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        Self {
            timezone: section.zone("timezone").map(|found| found.value),
            order: section.word("order", Order::ALL, Order::as_str).map(|found| found.value),
            at_end: section.word("at_end", AtEnd::ALL, AtEnd::as_str).map(|found| found.value),
            on_miss: section.word("on_miss", OnMiss::ALL, OnMiss::as_str).map(|found| found.value),
            on_unknown: section
                .word("on_unknown", OnUnknown::ALL, OnUnknown::as_str)
                .map(|found| found.value),
            jitter: section.duration("jitter").map(|found| found.value),
            max_late: max_late(section),
            max_per_hour: section.integer("max_per_hour", 1..=MOST_PER_HOUR).map(|found| found.value),
            split: section.word("split", Split::ALL, Split::as_str).map(|found| found.value),
            mentions: section.word("mentions", Mentions::ALL, Mentions::as_str).map(|found| found.value),
            thread: section.word("thread", ThreadMode::ALL, ThreadMode::as_str).map(|found| found.value),
            alt_optional: section.boolean("alt_optional").map(|found| found.value),
            warnings: section.word("warnings", Warnings::ALL, Warnings::as_str).map(|found| found.value),
        }
    }

    /// These values, with missing ones taken from `others`.
    pub(super) fn or(&self, others: &Self) -> Self {
        Self {
            timezone: self.timezone.as_ref().or(others.timezone.as_ref()).cloned(),
            order: self.order.or(others.order),
            at_end: self.at_end.or(others.at_end),
            on_miss: self.on_miss.or(others.on_miss),
            on_unknown: self.on_unknown.or(others.on_unknown),
            jitter: self.jitter.or(others.jitter),
            max_late: self.max_late.or(others.max_late),
            max_per_hour: self.max_per_hour.or(others.max_per_hour),
            split: self.split.or(others.split),
            mentions: self.mentions.or(others.mentions),
            thread: self.thread.or(others.thread),
            alt_optional: self.alt_optional.or(others.alt_optional),
            warnings: self.warnings.or(others.warnings),
        }
    }
}

fn max_late(section: &mut Section<'_, '_>) -> Option<Duration> {
    let Found { value, line } = section.duration("max_late")?;
    if (LEAST_LATE..=MOST_LATE).contains(&value) {
        return Some(value);
    }
    let (least, most) = (humantime::format_duration(LEAST_LATE), humantime::format_duration(MOST_LATE));
    section.error(Some(line), format!("`max_late` must be from {least} to {most}"));
    None
}
