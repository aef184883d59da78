//! What the bots of an app may spend together, the days and months that this is counted by, and how money is shown.
//! What was spent stands in the ledger.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};

/// What the bots of an app may spend together; days and months are those of UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// The most posts in a day.
    pub posts_per_day: Option<u32>,
    /// The most posts in a month.
    pub posts_per_month: Option<u32>,
    /// The most money in a month, in thousandths of a US dollar.
    pub milli_dollars_per_month: Option<u64>,
}

impl Budget {
    /// Whether it limits anything.
    pub const fn is_limited(&self) -> bool {
        self.posts_per_day.is_some()
            || self.posts_per_month.is_some()
            || self.milli_dollars_per_month.is_some()
    }
}

/// An amount of money for people, in US dollars: to the cent unless there is less.
pub fn dollars(mills: u64) -> String {
    let (dollars, rest) = (mills / 1_000, mills % 1_000);
    if rest % 10 == 0 { format!("{dollars}.{:02}", rest / 10) } else { format!("{dollars}.{rest:03}") }
}

/// When the day of UTC began.
pub fn day_of(now: DateTime<Utc>) -> DateTime<Utc> {
    midnight(now.date_naive())
}

/// When the month of UTC began.
pub fn month_of(now: DateTime<Utc>) -> DateTime<Utc> {
    let date = now.date_naive();
    midnight(date.with_day(1).unwrap_or(date))
}

/// When the next month of UTC begins.
pub fn next_month(now: DateTime<Utc>) -> DateTime<Utc> {
    // The 28 days of the shortest month and four more are in the next one, whatever the month.
    month_of(month_of(now) + TimeDelta::days(32))
}

/// When a day of UTC begins.
pub fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_with_its_month() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let december = at("2026-12-31T23:59:59Z");
        assert_eq!(month_of(december), at("2026-12-01T00:00:00Z"));
        assert_eq!(next_month(december), at("2027-01-01T00:00:00Z"));
        assert_eq!(next_month(at("2027-01-31T12:00:00Z")), at("2027-02-01T00:00:00Z"));
        assert_eq!(day_of(december), at("2026-12-31T00:00:00Z"));
    }

    #[test]
    fn money_is_shown_to_the_cent_unless_there_is_less() {
        let shown = [0, 5, 15, 300, 10_000, 26_176, 1_000_050].map(dollars);
        assert_eq!(shown, ["0.00", "0.005", "0.015", "0.30", "10.00", "26.176", "1000.05"]);
    }
}
