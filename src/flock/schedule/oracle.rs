//! A second, slow and obvious implementation to compare with: it examines every minute (or second), and asks the zone
//! only what the clock shows at an instant. It shares no code with the real one and doesn't use the `cron` crate.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};

use super::Zone;

/// A period in a zone, tick by tick: the instants, and what the clock shows at each.
pub(super) struct Ticks {
    tick: TimeDelta,
    margin: TimeDelta,
    all: Vec<(DateTime<Utc>, NaiveDateTime)>,
    first_shown: HashMap<NaiveDateTime, DateTime<Utc>>,
}

impl Ticks {
    /// All minutes, from three days before to three days after: more than any clock change.
    pub(super) fn minutes(zone: &Zone, from: DateTime<Utc>, until: DateTime<Utc>) -> Ticks {
        Ticks::around(zone, from, until, TimeDelta::minutes(1), TimeDelta::days(3))
    }

    /// All seconds, from six hours before to six hours after: enough for a clock change of an hour or two.
    pub(super) fn seconds(zone: &Zone, from: DateTime<Utc>, until: DateTime<Utc>) -> Ticks {
        Ticks::around(zone, from, until, TimeDelta::seconds(1), TimeDelta::hours(6))
    }

    fn around(
        zone: &Zone,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        tick: TimeDelta,
        margin: TimeDelta,
    ) -> Ticks {
        let mut ticks = Ticks { tick, margin, all: Vec::new(), first_shown: HashMap::new() };
        let mut at = from - margin;
        while at <= until + margin {
            let shown = zone.local(at).naive_local();
            ticks.all.push((at, shown));
            ticks.first_shown.entry(shown).or_insert(at);
            at += tick;
        }
        ticks
    }

    /// The instants at which a job fires, complete for the requested period.
    pub(super) fn slots(&self, text: &str) -> BTreeSet<DateTime<Utc>> {
        let job = CronJob::read(text);
        if job.wildcard {
            return self.all.iter().filter(|(_, shown)| job.matches(*shown)).map(|(at, _)| *at).collect();
        }
        // Near the ends it is unknown whether a time was shown before, or is shown later.
        let (first, last) =
            (self.all[0].1 + self.margin / 3, self.all[self.all.len() - 1].1 - self.margin / 3);
        let mut slots = BTreeSet::new();
        let mut time = first;
        while time < last {
            if job.matches(time) {
                slots.insert(self.fires(time));
            }
            time += self.tick;
        }
        slots
    }

    /// A fixed time fires when the clock first shows it; if it never does, when the clock jumps over it.
    fn fires(&self, time: NaiveDateTime) -> DateTime<Utc> {
        if let Some(at) = self.first_shown.get(&time) {
            return *at;
        }
        let jump = self.all.windows(2).find(|pair| pair[0].1 < time && pair[1].1 > time);
        jump.expect("a time never shown is jumped over")[1].0
    }
}

/// The fields as tables, strictly by crontab(5).
struct CronJob {
    second: Vec<bool>,
    minute: Vec<bool>,
    hour: Vec<bool>,
    day: Vec<bool>,
    month: Vec<bool>,
    weekday: Vec<bool>,
    either_day: bool,
    wildcard: bool,
}

impl CronJob {
    fn read(text: &str) -> CronJob {
        let mut parts: Vec<&str> = text.split(' ').collect();
        let second = if parts.len() == 6 { parts.remove(0) } else { "0" };
        assert_eq!(parts.len(), 5, "the oracle reads numbers in five or six fields: {text}");
        let star = |part: &str| part.as_bytes()[0] == b'*';
        let mut weekday = table(parts[4], 0, 7);
        weekday[0] |= weekday[7];
        CronJob {
            second: table(second, 0, 59),
            minute: table(parts[0], 0, 59),
            hour: table(parts[1], 0, 23),
            day: table(parts[2], 1, 31),
            month: table(parts[3], 1, 12),
            weekday,
            either_day: !star(parts[2]) && !star(parts[4]),
            wildcard: star(parts[0]) || star(parts[1]),
        }
    }

    fn matches(&self, time: NaiveDateTime) -> bool {
        let day = self.day[time.day() as usize];
        let weekday = self.weekday[time.weekday().num_days_from_sunday() as usize];
        self.second[time.second() as usize]
            && self.minute[time.minute() as usize]
            && self.hour[time.hour() as usize]
            && self.month[time.month() as usize]
            && (if self.either_day { day || weekday } else { day && weekday })
    }
}

fn table(field: &str, low: usize, high: usize) -> Vec<bool> {
    let mut table = vec![false; high + 1];
    for entry in field.split(',') {
        let mut halves = entry.split('/');
        let base = halves.next().unwrap();
        let step: usize = halves.next().map_or(1, |step| step.parse().unwrap());
        let ends: Vec<usize> = base.split('-').filter_map(|end| end.parse().ok()).collect();
        let (first, last) = if base == "*" { (low, high) } else { (ends[0], ends[ends.len() - 1]) };
        for value in table[first..=last].iter_mut().step_by(step) {
            *value = true;
        }
    }
    table
}
