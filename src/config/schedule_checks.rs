//! When a bot posts: its schedule, and whether jitter and `max_per_hour` are compatible with it.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::defaults::MOST_PER_HOUR;
use super::section::{Found, Section};
use crate::flock::schedule::{Schedule, ScheduleError, Zone};

/// Caches the schedules read so far. A large flock has few distinct schedules, and parsing one costs more
/// than the rest of a bot.
#[derive(Debug)]
pub(super) struct ScheduleChecks {
    now: DateTime<Utc>,
    read: HashMap<(String, Zone), Result<Schedule, ScheduleError>>,
    gaps: HashMap<(String, Zone), Duration>,
    /// Whether a schedule has more slots in an hour than the given limit.
    bursts: HashMap<(String, Zone, u32), bool>,
}

impl ScheduleChecks {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self { now, read: HashMap::new(), gaps: HashMap::new(), bursts: HashMap::new() }
    }

    /// The bot's schedule, read in this zone; in UTC if none is named.
    pub(super) fn schedule(
        &mut self,
        section: &mut Section<'_, '_>,
        zone: Option<&Zone>,
    ) -> Option<Found<Schedule>> {
        let found = section.plain("schedule").text("schedule");
        if found.is_none() {
            section.missing("schedule", "write when the bot posts, like \"0 */3 * * *\"");
        }
        let Found { value: text, line } = found?;
        let zone = zone.cloned().unwrap_or_else(Zone::utc);
        let read = self.read.entry((text.to_owned(), zone.clone()));
        match read.or_insert_with(|| Schedule::parse(text, zone)) {
            Ok(schedule) => Some(Found { value: schedule.clone(), line }),
            Err(problem) => {
                section.error(Some(line), problem.to_string());
                None
            }
        }
    }

    /// Reports a jitter that could delay a slot's post past the next slot.
    pub(super) fn check_jitter(
        &mut self,
        section: &mut Section<'_, '_>,
        schedule: &Found<Schedule>,
        jitter: Duration,
    ) {
        if jitter < least_gap(schedule.value.text()) {
            return;
        }
        let (value, now) = (&schedule.value, self.now);
        let gap = *self.gaps.entry(key(value)).or_insert_with(|| value.shortest_gap(now));
        if jitter < gap {
            return;
        }
        let own = section.line_of("jitter");
        let (jitter, gap) = (humantime::format_duration(jitter), humantime::format_duration(gap));
        let remedy = format!("but the schedule's slots are {gap} apart: take less than {gap}");
        match own {
            Some(line) => section.error(Some(line), format!("`jitter` is {jitter}, {remedy}")),
            None => section.error(
                Some(schedule.line),
                format!("`jitter` is {jitter} by [defaults], {remedy}, in the bot's own `jitter`"),
            ),
        }
    }

    /// Warns of a schedule with more slots in an hour than the bot's limit.
    pub(super) fn check_density(
        &mut self,
        section: &mut Section<'_, '_>,
        schedule: &Found<Schedule>,
        max_per_hour: u32,
    ) {
        // A schedule has at most one slot per second.
        if max_per_hour >= MOST_PER_HOUR {
            return;
        }
        let (value, now) = (&schedule.value, self.now);
        let (text, zone) = key(value);
        let dense = self
            .bursts
            .entry((text, zone, max_per_hour))
            .or_insert_with(|| exceeds(value, now, max_per_hour));
        if *dense {
            let message = format!(
                "the schedule has more slots in an hour than `max_per_hour` = {max_per_hour} allows: \
                 those over it are not posted"
            );
            section.warning(Some(schedule.line), message);
        }
    }
}

fn key(schedule: &Schedule) -> (String, Zone) {
    (schedule.text().to_owned(), schedule.zone().clone())
}

/// A lower bound of the gap between two slots, judged by a schedule's first fields. It settles most cases
/// without computing slots, because schedules of a large flock differ in the numbers of these fields.
fn least_gap(text: &str) -> Duration {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let fixed = |field: &str| field.chars().all(|c| c.is_ascii_digit());
    let (second, minute, hour) = match fields.as_slice() {
        [minute, hour, _, _, _] => ("0", *minute, *hour),
        [second, minute, hour, _, _, _] => (*second, *minute, *hour),
        _ => return Duration::from_secs(1),
    };
    Duration::from_secs(match (fixed(second), fixed(minute), fixed(hour)) {
        (true, true, true) => 24 * 60 * 60,
        (true, true, false) => 60 * 60,
        (true, false, _) => 60,
        (false, ..) => 1,
    })
}

/// Whether the hour that begins with the next slot has more than `max` slots.
fn exceeds(schedule: &Schedule, now: DateTime<Utc>, max: u32) -> bool {
    let mut slots = schedule.upcoming(now);
    let Some(first) = slots.next() else { return false };
    let hour_ends = first + TimeDelta::hours(1);
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    slots.take(max).take_while(|slot| *slot < hour_ends).count() >= max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_gap_is_never_longer_than_the_shortest() {
        let now = "2026-03-01T12:00:00Z".parse().unwrap();
        for text in [
            "* * * * *",
            "5 * * * *",
            "5 4 * * *",
            "5 4,5 * * *",
            "5,6 4 * * *",
            "*/2 4 * * *",
            "* * * * * *",
            "7 * * * * *",
            "7 5 * * * *",
            "7 5 4 * * *",
            "7,8 5 4 * * *",
            "7 * 4 * * *",
            "@hourly",
            "@daily",
        ] {
            let schedule = Schedule::parse(text, Zone::utc()).unwrap();
            let (least, shortest) = (least_gap(schedule.text()), schedule.shortest_gap(now));
            assert!(least <= shortest, "{text}: {least:?} > {shortest:?}");
        }
        assert_eq!(least_gap("5 4 * * *"), Duration::from_secs(86_400));
    }
}
