//! Times on a page, all in one zone, which the page names. On the dashboard the reader chooses the zone, and
//! the script stores the choice in a cookie; elsewhere it is the flock's zone. Each time also has a
//! machine-readable form.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, TimeDelta, Utc};
use maud::{Markup, html};

use super::request;
use super::site::Site;
use crate::flock::Flock;
use crate::flock::schedule::Zone;

/// The cookie with the name of the zone that the reader chose.
pub(super) const COOKIE: &str = "flockd-zone";

/// Formats times in the zone of a page.
#[derive(Debug, Clone)]
pub(super) struct LocalTimes {
    zone: Zone,
    flock: Zone,
}

impl FromRequestParts<Site> for LocalTimes {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Self::Rejection> {
        Ok(Self::chosen(&site.flock(), &parts.headers))
    }
}

impl LocalTimes {
    /// The flock's own zone.
    pub(super) fn of_flock(flock: &Flock) -> Self {
        Self { zone: flock.timezone.clone(), flock: flock.timezone.clone() }
    }

    /// The zone that the reader chose, or the flock's if there is no choice or the zone is unknown.
    pub(super) fn chosen(flock: &Flock, headers: &HeaderMap) -> Self {
        // The flock's own zone may come from the system and be newer than the one in the binary.
        let other = request::cookie(headers, COOKIE).filter(|name| *name != flock.timezone.name());
        let chosen = other.and_then(Zone::built_in);
        Self { zone: chosen.unwrap_or_else(|| flock.timezone.clone()), flock: flock.timezone.clone() }
    }

    /// The name of the zone.
    pub(super) fn name(&self) -> &str {
        self.zone.name()
    }

    /// The name of the flock's zone, whatever the reader chose.
    pub(super) fn flock_zone(&self) -> &str {
        self.flock.name()
    }

    /// The local time.
    pub(super) fn local(&self, at: DateTime<Utc>) -> DateTime<FixedOffset> {
        self.zone.local(at)
    }

    /// The local day of an instant.
    pub(super) fn day(&self, at: DateTime<Utc>) -> NaiveDate {
        self.local(at).date_naive()
    }

    /// The first instant of a local day.
    pub(super) fn begins(&self, day: NaiveDate) -> DateTime<Utc> {
        self.zone.begin_of(day)
    }

    /// Date and time to the second.
    pub(super) fn full(&self, at: DateTime<Utc>) -> Markup {
        self.time(at, "%-d %B %Y, %H:%M:%S")
    }

    /// Date and time to the minute, with the year if it is not this one.
    pub(super) fn brief(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
        let same_year = self.local(at).year() == self.local(now).year();
        self.time(at, if same_year { "%a %-d %b, %H:%M" } else { "%a %-d %b %Y, %H:%M" })
    }

    /// The time of day to the second.
    pub(super) fn clock(&self, at: DateTime<Utc>) -> Markup {
        self.time(at, "%H:%M:%S")
    }

    /// The time of day to the minute.
    pub(super) fn minute(&self, at: DateTime<Utc>) -> Markup {
        self.time(at, "%H:%M")
    }

    /// The day of a distant instant, or only its month if it is more than a year away.
    pub(super) fn far(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
        self.time(at, if at - now < TimeDelta::days(365) { "%-d %b %Y" } else { "%b %Y" })
    }

    /// The day as a heading.
    pub(super) fn heading(&self, at: DateTime<Utc>) -> Markup {
        let day = self.day(at);
        html! { time datetime=(day) { (day.format("%A, %-d %B %Y")) } }
    }

    /// The distance from `now`; the script keeps it up to date. With `is_next`, for an upcoming event, it
    /// never says that the time has passed.
    pub(super) fn relative(&self, at: DateTime<Utc>, now: DateTime<Utc>, is_next: bool) -> Markup {
        let full = self.local(at).format("%a %-d %b %Y, %H:%M:%S").to_string();
        let by = if is_next { (at - now).max(TimeDelta::zero()) } else { at - now };
        html! {
            time data-from-now=(if is_next { "next" } else { "" }) datetime=(machine_time(at)) title=(full) {
                (distance(by))
            }
        }
    }

    fn time(&self, at: DateTime<Utc>, pattern: &str) -> Markup {
        html! { time datetime=(machine_time(at)) { (self.local(at).format(pattern)) } }
    }
}

/// An instant in machine-readable form.
pub(super) fn machine_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The script uses the same words.
fn distance(by: TimeDelta) -> String {
    let seconds = by.num_seconds().unsigned_abs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let span = match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => return "now".to_owned(),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        (1..=6, ..) => format!("{days} d {hours} h"),
        _ => format!("{days} days"),
    };
    if by < TimeDelta::zero() { format!("{span} ago") } else { format!("in {span}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::samples;

    fn in_zone(name: &str) -> LocalTimes {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", format!("a=b; {COOKIE}={name}").parse().unwrap());
        LocalTimes::chosen(&samples::flock(vec![]), &headers)
    }

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    #[test]
    fn the_readers_zone_is_used_if_it_exists() {
        assert_eq!(in_zone("Asia/Kathmandu").name(), "Asia/Kathmandu");
        for nonsense in ["", "Mars/Olympus", "<script>", "../etc/passwd"] {
            assert_eq!(in_zone(nonsense).name(), "UTC", "{nonsense}");
        }
    }

    #[test]
    fn an_instant_is_shown_in_the_zone_and_marked_up_in_utc() {
        let shown = in_zone("Asia/Kathmandu").full(at("2026-03-01T23:30:05Z")).into_string();
        assert_eq!(shown, "<time datetime=\"2026-03-01T23:30:05Z\">2 March 2026, 05:15:05</time>");
        let heading = in_zone("Asia/Kathmandu").heading(at("2026-03-01T23:30:05Z")).into_string();
        assert_eq!(heading, "<time datetime=\"2026-03-02\">Monday, 2 March 2026</time>");
    }

    #[test]
    fn a_day_begins_where_the_local_clock_says_so() {
        let begins = |zone, day: &str| in_zone(zone).begins(day.parse().unwrap());
        assert_eq!(begins("UTC", "2026-03-01"), at("2026-03-01T00:00:00Z"));
        assert_eq!(begins("Asia/Kathmandu", "2026-03-01"), at("2026-02-28T18:15:00Z"));
        assert_eq!(begins("Pacific/Kiritimati", "2026-03-01"), at("2026-02-28T10:00:00Z"));
        // The clock goes from midnight to one.
        assert_eq!(begins("America/Asuncion", "2023-10-01"), at("2023-10-01T04:00:00Z"));
        // This day was skipped: it begins and ends with the next one.
        assert_eq!(begins("Pacific/Apia", "2011-12-30"), begins("Pacific/Apia", "2011-12-31"));
    }

    #[test]
    fn what_is_about_to_happen_is_never_in_the_past() {
        let now = at("2026-03-01T12:00:00Z");
        let said = |seconds, is_next| {
            let shown =
                in_zone("UTC").relative(now + TimeDelta::seconds(seconds), now, is_next).into_string();
            shown.split('>').nth(1).unwrap().split('<').next().unwrap().to_owned()
        };
        assert_eq!(said(0, true), "now");
        assert_eq!(said(-3, true), "now");
        assert_eq!(said(-3, false), "3 s ago");
        assert_eq!(said(61, true), "in 1 min");
        assert_eq!(said(7_300, false), "in 2 h 1 min");
    }
}
