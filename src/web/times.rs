//! How a page tells times: all of them in one zone, which the page names. That is the reader's choice on the dashboard, kept in
//! a cookie that the script writes, and the flock's zone everywhere else. Every instant carries its machine-readable form.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, TimeDelta, Utc};
use maud::{Markup, html};

use super::{Site, auth};
use crate::flock::Flock;
use crate::flock::schedule::Zone;

/// The cookie with the reader's choice: the name of a zone.
pub(super) const COOKIE: &str = "flockd-zone";

/// The zone of a page.
#[derive(Debug, Clone)]
pub(super) struct Times {
    zone: Zone,
    flock: Zone,
}

impl FromRequestParts<Site> for Times {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Self::Rejection> {
        Ok(Self::chosen(&site.flock(), &parts.headers))
    }
}

impl Times {
    /// The flock's own zone.
    pub(super) fn of_flock(flock: &Flock) -> Self {
        Self { zone: flock.timezone.clone(), flock: flock.timezone.clone() }
    }

    /// The zone that the reader has chosen; the flock's if that is none, or no zone that is known here.
    pub(super) fn chosen(flock: &Flock, headers: &HeaderMap) -> Self {
        // The flock's own zone may have newer rules than those in the binary.
        let other = auth::cookie_of(headers, COOKIE).filter(|name| *name != flock.timezone.name());
        let chosen = other.and_then(Zone::built_in);
        Self { zone: chosen.unwrap_or_else(|| flock.timezone.clone()), flock: flock.timezone.clone() }
    }

    /// What the page calls its zone.
    pub(super) fn name(&self) -> &str {
        self.zone.name()
    }

    /// The flock's zone, whatever the reader has chosen.
    pub(super) fn flock_zone(&self) -> &str {
        self.flock.name()
    }

    /// What the clock on the wall shows.
    pub(super) fn local(&self, at: DateTime<Utc>) -> DateTime<FixedOffset> {
        self.zone.local(at)
    }

    /// The day to which an instant belongs.
    pub(super) fn day(&self, at: DateTime<Utc>) -> NaiveDate {
        self.local(at).date_naive()
    }

    /// The first instant of a day. In some zones a day has begun at one o'clock, and one was left out.
    pub(super) fn begins(&self, day: NaiveDate) -> DateTime<Utc> {
        let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc();
        // No zone is further from UTC, and the clock of none goes back over more than one midnight.
        let (mut before, mut begun) = (midnight - TimeDelta::hours(27), midnight + TimeDelta::hours(27));
        while begun - before > TimeDelta::seconds(1) {
            let between = before + TimeDelta::seconds((begun - before).num_seconds() / 2);
            if self.day(between) < day { before = between } else { begun = between }
        }
        begun
    }

    /// A time that stands alone.
    pub(super) fn whole(&self, at: DateTime<Utc>) -> Markup {
        self.tell(at, "%-d %B %Y, %H:%M:%S")
    }

    /// A time in a sentence, to the minute, with its year where that is another than that of `now`.
    pub(super) fn brief(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
        let same_year = self.local(at).year() == self.local(now).year();
        self.tell(at, if same_year { "%a %-d %b, %H:%M" } else { "%a %-d %b %Y, %H:%M" })
    }

    /// A time under the heading of its day.
    pub(super) fn clock(&self, at: DateTime<Utc>) -> Markup {
        self.tell(at, "%H:%M:%S")
    }

    /// The same to the minute.
    pub(super) fn minute(&self, at: DateTime<Utc>) -> Markup {
        self.tell(at, "%H:%M")
    }

    /// The day of an instant that is far away, or its month where that is more than a year: nobody plans for that day.
    pub(super) fn far(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
        self.tell(at, if at - now < TimeDelta::days(365) { "%-d %b %Y" } else { "%b %Y" })
    }

    /// The heading of the day to which an instant belongs.
    pub(super) fn heading(&self, at: DateTime<Utc>) -> Markup {
        let day = self.day(at);
        html! { time datetime=(day) { (day.format("%A, %-d %B %Y")) } }
    }

    /// A time as people say it from `now`; the script keeps it true. `is_next` is for what is about to happen: it is never said
    /// to have passed.
    pub(super) fn relative(&self, at: DateTime<Utc>, now: DateTime<Utc>, is_next: bool) -> Markup {
        let full = self.local(at).format("%a %-d %b %Y, %H:%M:%S").to_string();
        let by = if is_next { (at - now).max(TimeDelta::zero()) } else { at - now };
        html! {
            time data-from-now=(if is_next { "next" } else { "" }) datetime=(machine_time(at)) title=(full) {
                (distance(by))
            }
        }
    }

    fn tell(&self, at: DateTime<Utc>, pattern: &str) -> Markup {
        html! { time datetime=(machine_time(at)) { (self.local(at).format(pattern)) } }
    }
}

/// An instant for programs.
pub(super) fn machine_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The same words as the script's.
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

    fn in_zone(name: &str) -> Times {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", format!("a=b; {COOKIE}={name}").parse().unwrap());
        Times::chosen(&samples::flock(vec![]), &headers)
    }

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    #[test]
    fn the_readers_zone_counts_if_there_is_such_a_zone() {
        assert_eq!(in_zone("Asia/Kathmandu").name(), "Asia/Kathmandu");
        for nonsense in ["", "Mars/Olympus", "<script>", "../etc/passwd"] {
            assert_eq!(in_zone(nonsense).name(), "UTC", "{nonsense}");
        }
    }

    #[test]
    fn an_instant_is_told_in_the_zone_and_meant_for_all() {
        let shown = in_zone("Asia/Kathmandu").whole(at("2026-03-01T23:30:05Z")).into_string();
        assert_eq!(shown, "<time datetime=\"2026-03-01T23:30:05Z\">2 March 2026, 05:15:05</time>");
        let heading = in_zone("Asia/Kathmandu").heading(at("2026-03-01T23:30:05Z")).into_string();
        assert_eq!(heading, "<time datetime=\"2026-03-02\">Monday, 2 March 2026</time>");
    }

    #[test]
    fn a_day_begins_where_its_clock_says_so() {
        let begins = |zone, day: &str| in_zone(zone).begins(day.parse().unwrap());
        assert_eq!(begins("UTC", "2026-03-01"), at("2026-03-01T00:00:00Z"));
        assert_eq!(begins("Asia/Kathmandu", "2026-03-01"), at("2026-02-28T18:15:00Z"));
        assert_eq!(begins("Pacific/Kiritimati", "2026-03-01"), at("2026-02-28T10:00:00Z"));
        // The clock goes from midnight to one.
        assert_eq!(begins("America/Asuncion", "2023-10-01"), at("2023-10-01T04:00:00Z"));
        // This day was left out: it begins, and ends, with the next.
        assert_eq!(begins("Pacific/Apia", "2011-12-30"), begins("Pacific/Apia", "2011-12-31"));
    }

    #[test]
    fn what_is_about_to_happen_has_not_passed() {
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
