//! The date of a dated entry: a day, or a day of every year.

use std::fmt;

use chrono::{Datelike as _, NaiveDate};

/// When an entry with a date comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DueDate {
    /// On this day alone.
    Once(NaiveDate),
    /// Every year.
    Yearly {
        /// The month, from 1.
        month: u32,
        /// The day of the month, from 1.
        day: u32,
    },
}

/// A year that has every day: the dates of others are among its dates.
const LEAP_YEAR: i32 = 2000;

impl DueDate {
    /// Reads `YYYY-MM-DD` or `MM-DD`; `None` if there is no such day.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = digits.iter().map(|digits| digits.len()).collect();
        let numbers: Vec<u32> = digits.iter().copied().map(number).collect::<Option<_>>()?;
        match (numbers.as_slice(), lengths.as_slice()) {
            ([year, month, day], [4, 2, 2]) => {
                NaiveDate::from_ymd_opt((*year).try_into().ok()?, *month, *day).map(Self::Once)
            }
            ([month, day], [2, 2]) => NaiveDate::from_ymd_opt(LEAP_YEAR, *month, *day)
                .map(|date| Self::Yearly { month: date.month(), day: date.day() }),
            _ => None,
        }
    }

    /// Whether it comes on this day. 29 February comes on the 28th in years that don't have it.
    pub fn is_on(self, date: NaiveDate) -> bool {
        match self {
            Self::Once(day) => day == date,
            Self::Yearly { month, day } => {
                let of_year = |day| NaiveDate::from_ymd_opt(date.year(), month, day);
                of_year(day).or_else(|| of_year(day - 1)) == Some(date)
            }
        }
    }

    /// The first day from this one on that it comes.
    pub fn next_from(self, date: NaiveDate) -> Option<NaiveDate> {
        let days = match self {
            Self::Once(day) => vec![day],
            Self::Yearly { month, day } => {
                let of_year = |year, day| NaiveDate::from_ymd_opt(year, month, day);
                let years = [date.year(), date.year() + 1];
                years
                    .into_iter()
                    .filter_map(|year| of_year(year, day).or_else(|| of_year(year, day - 1)))
                    .collect()
            }
        };
        days.into_iter().find(|day| *day >= date)
    }

    /// Whether it comes on this day or a later one.
    pub fn is_to_come(self, date: NaiveDate) -> bool {
        match self {
            Self::Once(day) => day >= date,
            Self::Yearly { .. } => true,
        }
    }
}

/// A number that has nothing but digits.
fn number(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for DueDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once(day) => fmt::Display::fmt(day, f),
            Self::Yearly { month, day } => write!(f, "{month:02}-{day:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn only_days_that_exist_are_dates() {
        assert_eq!(DueDate::parse("2026-12-24"), Some(DueDate::Once(day("2026-12-24"))));
        assert_eq!(DueDate::parse("12-24"), Some(DueDate::Yearly { month: 12, day: 24 }));
        assert_eq!(DueDate::parse("02-29"), Some(DueDate::Yearly { month: 2, day: 29 }));
        assert!(DueDate::parse("2028-02-29").is_some());
        for text in [
            "",
            "2026-02-30",
            "2026-02-29",
            "02-30",
            "13-01",
            "00-10",
            "2026-1-1",
            "26-01-01",
            "1-1",
            "2026-12-24T09:00",
            "24.12.2026",
            "12/24",
            "12-12-0012",
            "+026-12-24",
            "2026-12-24-",
            "-12-24",
            "20261224",
            "１２-２４",
        ] {
            assert_eq!(DueDate::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_leap_day_falls_on_the_28th_in_other_years() {
        let leap = DueDate::parse("02-29").unwrap();
        assert!(leap.is_on(day("2028-02-29")) && !leap.is_on(day("2028-02-28")));
        assert!(leap.is_on(day("2026-02-28")) && !leap.is_on(day("2026-03-01")));
        assert!(leap.is_on(day("2100-02-28")), "2100 is no leap year");
    }

    proptest! {
        /// A yearly date comes once in each year, and what is written is read.
        #[test]
        fn every_year_has_each_date_once(year in 1_900_i32..2_200, of_leap_year in 0_u64..366) {
            let date = day("2000-01-01") + chrono::Days::new(of_leap_year);
            let yearly = DueDate::Yearly { month: date.month(), day: date.day() };
            prop_assert_eq!(DueDate::parse(&yearly.to_string()), Some(yearly));
            let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
            let of_year = first.iter_days().take_while(|date| date.year() == year);
            let days: Vec<NaiveDate> = of_year.filter(|date| yearly.is_on(*date)).collect();
            prop_assert_eq!(days.len(), 1);
            prop_assert_eq!(yearly.next_from(first), Some(days[0]));
            let next = yearly.next_from(days[0].succ_opt().unwrap()).unwrap();
            prop_assert!(next.year() == year + 1 && yearly.is_on(next));
        }

        #[test]
        fn a_day_comes_once(days in 0_u64..100_000, other in 0_u64..100_000) {
            let [this, other] = [days, other].map(|days| day("1900-01-01") + chrono::Days::new(days));
            let once = DueDate::parse(&this.to_string()).unwrap();
            prop_assert_eq!(once.is_on(other), this == other);
            prop_assert_eq!(once.is_to_come(other), this >= other);
            prop_assert_eq!(once.next_from(other), (this >= other).then_some(this));
        }
    }
}
