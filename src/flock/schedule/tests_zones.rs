//! Schedules across every clock change, compared with the oracle.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use jiff::tz::TimeZoneDatabase;

use super::{Schedule, Zone, oracle::Ticks};

/// Every kind of job: at fixed times and following the wall clock, within and around the hours that clock changes
/// affect.
const JOBS: [&str; 22] = [
    "* * * * *",
    "*/20 * * * *",
    "7-50/13 * * * *",
    "30 * * * *",
    "*/15 1,2 * * *",
    "* 2 * * 0",
    "10 */2 * * *",
    "5 *,3 * * *",
    "30 1 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "59 2 * * 7",
    "0,10,40,59 0-3 * * *",
    "0-59/7 0-23 * * *",
    "0,30 2,3 * * 0,6",
    "0 0 * * *",
    "30 0 * * 1-7/2",
    "15,45 1 */2 * 0",
    "0 12 1-7 * 0",
    "0 0 30,31 12 *",
    "30 2 8-14,25-31 3,4,10,11 */3",
    "45 23 1 * 6-7",
];

pub(super) const ZONES: [&str; 8] = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/St_Johns",
    "Antarctica/Troll",
];

pub(super) fn zone(name: &str) -> Zone {
    Zone::built_in(name).unwrap()
}

pub(super) fn at(year: i32, month: u32, day: u32, hour: u32, minute: u32) -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(year, month, day).unwrap().and_hms_opt(hour, minute, 0).unwrap().and_utc()
}

fn offset(zone: &Zone, at: DateTime<Utc>) -> i32 {
    zone.local(at).offset().local_minus_utc()
}

/// The hours that begin with a different offset than the hour before.
pub(super) fn shifts(
    zone: &Zone,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    step: TimeDelta,
) -> Vec<DateTime<Utc>> {
    let mut hours = Vec::new();
    let mut hour = from;
    while hour < until {
        if offset(zone, hour) != offset(zone, hour + step) {
            hours.push(hour + step);
        }
        hour += step;
    }
    hours
}

/// Compares the results from every slot, next to every slot, and at some instants in between, as after a restart.
fn compare(
    text: &str,
    zone: &Zone,
    slots: &BTreeSet<DateTime<Utc>>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) {
    let schedule = Schedule::parse(text, zone.clone()).unwrap();
    let beside = [-1, 0, 1].map(TimeDelta::seconds);
    let steps = (0..).map(|step| from + TimeDelta::minutes(53 * step)).take_while(|asked| *asked < until);
    let asked = slots.range(from..until).flat_map(|slot| beside.map(|by| *slot + by)).chain(steps);
    for asked in asked.collect::<BTreeSet<_>>() {
        let expected = slots.range(asked + TimeDelta::nanoseconds(1)..).next().filter(|next| **next < until);
        let next = schedule.next_after(asked).filter(|next| *next < until);
        assert_eq!(next, expected.copied(), "{text} in {zone}: next after {asked}");
        let expected = slots.range(..=asked).next_back().filter(|newest| **newest > from);
        let newest = schedule.newest_between(from, asked);
        assert_eq!(newest, expected.copied(), "{text} in {zone}: newest between {from} and {asked}");
    }
    let all: Vec<_> = schedule.upcoming(from).take_while(|slot| *slot < until).collect();
    let expected: Vec<_> = slots.range(from + TimeDelta::nanoseconds(1)..until).copied().collect();
    assert_eq!(all, expected, "{text} in {zone}: upcoming from {from}");
}

/// Checks the hours around a clock change closely, and the days around it for every job that rarely fires.
pub(super) fn compare_around(zone: &Zone, shift: DateTime<Utc>, texts: &[&str]) {
    let far = TimeDelta::hours(27);
    let minutes = Ticks::minutes(zone, shift - far, shift + far);
    for text in texts {
        let slots = minutes.slots(text);
        let often = slots.range(shift - far..shift + far).count() > 120;
        let reach = if often { TimeDelta::minutes(130) } else { far };
        compare(text, zone, &slots, shift - reach, shift + reach);
    }
}

fn compare_years(name: &str, years: std::ops::Range<i32>) {
    let zone = &zone(name);
    let shifts = shifts(zone, at(years.start, 1, 1, 0, 0), at(years.end, 1, 1, 0, 0), TimeDelta::hours(1));
    assert!(!shifts.is_empty(), "{zone} shifts its clock in {years:?}");
    for shift in shifts {
        compare_around(zone, shift, &JOBS);
    }
}

#[test]
fn new_york() {
    compare_years("America/New_York", 2024..2031);
}

#[test]
fn berlin() {
    compare_years("Europe/Berlin", 2024..2031);
}

#[test]
fn lord_howe_shifts_by_half_an_hour() {
    compare_years("Australia/Lord_Howe", 2024..2031);
}

#[test]
fn havana_loses_midnight() {
    compare_years("America/Havana", 2024..2031);
}

#[test]
fn casablanca_shifts_around_ramadan() {
    compare_years("Africa/Casablanca", 2024..2031);
}

#[test]
fn apia_lost_a_day() {
    compare_years("Pacific/Apia", 2011..2012);
}

#[test]
fn st_johns_shifted_a_minute_past_midnight() {
    compare_years("America/St_Johns", 2010..2012);
}

#[test]
fn troll_shifts_by_two_hours() {
    compare_years("Antarctica/Troll", 2024..2027);
}

#[test]
fn vostok_went_back_seven_hours() {
    compare_years("Antarctica/Vostok", 1994..1995);
}

/// `wall` looks for one clock change at a time; a new edition of the zones must not break that unnoticed.
#[test]
fn no_zone_shifts_twice_in_four_days() {
    for name in TimeZoneDatabase::bundled().available() {
        let Some(zone) = Zone::built_in(name.as_str()) else { continue };
        let shifts = shifts(&zone, at(2020, 1, 1, 0, 0), at(2032, 1, 1, 0, 0), TimeDelta::hours(8));
        let near = shifts.windows(2).find(|pair| pair[1] - pair[0] < TimeDelta::hours(96 + 16));
        assert_eq!(near, None, "{zone}");
    }
}

/// Jobs with six fields, second by second.
#[test]
fn seconds_agree_with_the_oracle() {
    let jobs = [
        "*/40 */25 * * * *",
        "0,59 * 1-2 * * *",
        "7-50/20 0-59/13 0-4 * * *",
        "30 59 1,2 * * *",
        "*/29 0 3 * * *",
    ];
    let near = TimeDelta::hours(3);
    for zone in ["Europe/Berlin", "Australia/Lord_Howe", "Antarctica/Troll"].map(zone) {
        for shift in shifts(&zone, at(2026, 1, 1, 0, 0), at(2027, 1, 1, 0, 0), TimeDelta::minutes(30)) {
            let seconds = Ticks::seconds(&zone, shift - near, shift + near);
            for text in jobs {
                compare(text, &zone, &seconds.slots(text), shift - near, shift + near);
            }
        }
    }
}

#[test]
fn seconds_follow_the_wall_and_collapse_in_the_gap() {
    let zone = zone("Europe/Berlin");
    let (spring, autumn) = (at(2026, 3, 29, 1, 0), at(2026, 10, 25, 1, 0));
    let minute = TimeDelta::minutes(1);

    let fixed = Schedule::parse("*/10 30-31 2 * * *", zone.clone()).unwrap();
    let slots: Vec<_> = fixed.upcoming(spring - minute * 60).take(2).collect();
    assert_eq!(
        slots,
        [spring, at(2026, 3, 30, 0, 30)],
        "twelve times inside the gap are one slot, without seconds"
    );
    let slots: Vec<_> = fixed.upcoming(autumn - minute * 60).take(13).collect();
    assert_eq!(slots[11], at(2026, 10, 25, 0, 31) + TimeDelta::seconds(50), "first pass");
    assert_eq!(slots[12], at(2026, 10, 26, 1, 30), "no second pass");

    let wild = Schedule::parse("30 * 2 * * *", zone).unwrap();
    let slots: Vec<_> = wild.upcoming(autumn - minute * 60).take(121).collect();
    assert!(
        slots.windows(2).take(119).all(|pair| pair[1] - pair[0] == minute),
        "both passes without a pause"
    );
    assert_eq!(slots[120], at(2026, 10, 26, 1, 0) + TimeDelta::seconds(30));
    assert_eq!(wild.next_after(spring - minute), Some(at(2026, 3, 30, 0, 0) + TimeDelta::seconds(30)));
}

#[test]
fn a_moved_slot_and_a_natural_one_are_one() {
    let schedule = Schedule::parse("0,30 2,3 * * *", zone("Europe/Berlin")).unwrap();
    let slots: Vec<_> = schedule.upcoming(at(2026, 3, 28, 12, 0)).take(3).collect();
    assert_eq!(slots, [at(2026, 3, 29, 1, 0), at(2026, 3, 29, 1, 30), at(2026, 3, 30, 0, 0)]);
}

#[test]
fn a_lost_day_fires_at_its_end() {
    let daily = Schedule::parse("0 12 * * *", zone("Pacific/Apia")).unwrap();
    let slots: Vec<_> = daily.upcoming(at(2011, 12, 29, 0, 0)).take(3).collect();
    assert_eq!(slots, [at(2011, 12, 29, 22, 0), at(2011, 12, 30, 10, 0), at(2011, 12, 30, 22, 0)]);
}

/// A slot half a year away is found across the clock changes in between, in both directions.
#[test]
fn seldom_jobs_that_follow_the_wall() {
    for zone in ["Europe/Berlin", "Africa/Casablanca", "Asia/Gaza", "Australia/Lord_Howe"].map(zone) {
        for month in 1..=12 {
            let schedule = Schedule::parse(&format!("*/59 12 20 {month} *"), zone.clone()).unwrap();
            let noon = at(2040, month, 20, 12, 0);
            let first = noon - TimeDelta::seconds(offset(&zone, noon).into());
            let last = first + TimeDelta::minutes(59);
            for days in (1..365).step_by(9) {
                let (before, after) = (first - TimeDelta::days(days), last + TimeDelta::days(days));
                assert_eq!(schedule.next_after(before), Some(first), "{zone}, month {month}, from {before}");
                assert_eq!(schedule.newest_between(before, after), Some(last), "{zone}, {month}, to {after}");
                assert_eq!(schedule.newest_between(last, after), None, "{zone}, month {month}, to {after}");
            }
        }
    }
}
