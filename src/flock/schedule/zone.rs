//! A time zone: the name that a person wrote, and the rules that belong to it.
//!
//! The rules are a value. The reader of `flock.toml` decides where they come from (the system's files or the copy in
//! the binary); nothing here opens a file.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime, Offset, TimeDelta, Utc};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A zone of the IANA list. Two zones are equal if their names and rules are: a new edition of the rules makes a
/// different zone.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: Arc<str>,
    rules: TimeZone,
}

impl Zone {
    /// A zone with these rules, under its IANA name.
    #[must_use]
    pub fn new(name: &str, rules: TimeZone) -> Zone {
        Zone { name: name.into(), rules }
    }

    /// Coordinated Universal Time.
    #[must_use]
    pub fn utc() -> Zone {
        Zone::new("UTC", TimeZone::UTC)
    }

    /// A zone by the rules compiled into the binary; `None` if they have no zone of that name. Case doesn't matter.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Zone> {
        let rules = TimeZoneDatabase::bundled().get(name).ok().filter(|rules| !rules.is_unknown())?;
        let name = rules.iana_name().unwrap_or(name).to_owned();
        Some(Zone::new(&name, rules))
    }

    /// Its name on the IANA list.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The primary name of this zone's rules on the list, if its own name is an alias.
    #[must_use]
    pub fn primary(&self) -> Option<&str> {
        self.rules.primary_iana_name()
    }

    /// What the wall clock shows at an instant.
    #[must_use]
    pub fn local(&self, at: DateTime<Utc>) -> DateTime<FixedOffset> {
        let seconds = self.rules.to_offset(timestamp(at)).seconds();
        at.with_timezone(&FixedOffset::east_opt(seconds).unwrap_or_else(|| Utc.fix()))
    }

    /// The first instant of a day. Some zones have had days that began at one o'clock, and one that was left out.
    #[must_use]
    pub fn begin_of(&self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(NaiveTime::MIN).and_utc();
        // No zone is further from UTC, and no clock is set back over more than one midnight.
        let (mut before, mut begun) = (midnight - TimeDelta::hours(27), midnight + TimeDelta::hours(27));
        while begun - before > TimeDelta::seconds(1) {
            let between = before + TimeDelta::seconds((begun - before).num_seconds() / 2);
            if self.local(between).date_naive() < day { before = between } else { begun = between }
        }
        begun
    }

    /// The abbreviation in use at an instant, such as `CET`; an offset such as `+03` where there is none.
    #[must_use]
    pub fn abbreviation(&self, at: DateTime<Utc>) -> String {
        self.rules.to_offset_info(timestamp(at)).abbreviation().to_owned()
    }
}

/// The rules' calendar ends in the year 9999; later instants have the last offset.
fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let end = if at < DateTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(at.timestamp()).unwrap_or(end)
}

/// By the name alone: equal zones have equal names.
impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::built_in(name).unwrap()
    }

    #[test]
    fn a_clock_shows_its_time_and_what_that_is_called() {
        let at = "2026-07-01T12:00:00Z".parse().unwrap();
        let shown = |name: &str| {
            let zone = zone(name);
            format!("{} {}", zone.local(at).format("%H:%M"), zone.abbreviation(at))
        };
        assert_eq!(shown("UTC"), "12:00 UTC");
        assert_eq!(shown("Europe/Berlin"), "14:00 CEST");
        assert_eq!(shown("Asia/Kathmandu"), "17:45 +0545");
        assert_eq!(shown("Etc/GMT-5"), "17:00 +05");
        assert_eq!(shown("US/Pacific"), "05:00 PDT");
    }

    #[test]
    fn a_link_keeps_its_name_and_case_does_not_matter() {
        assert_eq!(zone("us/pacific").name(), "US/Pacific");
        assert_eq!(zone("EUROPE/berlin"), zone("Europe/Berlin"));
        assert_eq!((zone("utc"), zone("utc").name()), (Zone::utc(), "UTC"));
        assert_ne!(zone("US/Pacific"), zone("America/Los_Angeles"));
        assert_eq!(Zone::built_in("Etc/Unknown"), None);
    }

    /// Rules that were changed since 2025, by a law published half a year before any clock was changed.
    #[test]
    fn the_built_in_rules_are_those_of_2026() {
        let at: DateTime<Utc> = "2026-11-30T19:00:00Z".parse().unwrap();
        for (name, hour) in [("America/Vancouver", 12), ("America/Winnipeg", 14), ("America/Havana", 15)] {
            let shown = zone(name).local(at);
            assert_eq!(shown.format("%H").to_string(), hour.to_string(), "{name}");
        }
    }

    #[test]
    fn no_instant_is_too_far_away() {
        let berlin = zone("Europe/Berlin");
        assert_eq!(
            berlin.local(DateTime::<Utc>::MAX_UTC - chrono::TimeDelta::days(2)).offset().local_minus_utc(),
            3_600
        );
        assert!(berlin.local(DateTime::<Utc>::MIN_UTC + chrono::TimeDelta::days(2)) < DateTime::UNIX_EPOCH);
    }
}
