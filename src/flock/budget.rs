//! The budget that an app's bots share, the days and months by which it is counted, and how money is displayed. The
//! ledger records what was spent.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};

/// The budget that an app's bots share. Days and months are in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// The maximum number of posts per day.
    pub posts_per_day: Option<u32>,
    /// The maximum number of posts per month.
    pub posts_per_month: Option<u32>,
    /// The maximum spending per month, in thousandths of a US dollar.
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

/// An amount in US dollars for people: two decimals, or three if it includes a fraction of a cent.
pub fn dollars(milli_dollars: u64) -> String {
    let (dollars, rest) = (milli_dollars / 1_000, milli_dollars % 1_000);
    if rest % 10 == 0 { format!("{dollars}.{:02}", rest / 10) } else { format!("{dollars}.{rest:03}") }
}

/// The start of the UTC day.
pub fn day_of(now: DateTime<Utc>) -> DateTime<Utc> {
    midnight(now.date_naive())
}

/// The start of the UTC month.
pub fn month_of(now: DateTime<Utc>) -> DateTime<Utc> {
    let date = now.date_naive();
    midnight(date.with_day(1).unwrap_or(date))
}

/// The start of the next UTC month.
pub fn next_month(now: DateTime<Utc>) -> DateTime<Utc> {
    // 28 days, the length of the shortest month, plus four always lead into the next month.
    month_of(month_of(now) + TimeDelta::days(32))
}

/// The start of a UTC day.
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
