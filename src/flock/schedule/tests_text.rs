//! The meaning of schedules, worked out by hand from crontab(5). All in UTC, where the clock never changes.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use super::{Schedule, Zone, tests_zones::zone};

fn at(time: &str) -> DateTime<Utc> {
    let minutes = NaiveDateTime::parse_from_str(time, "%F %R");
    minutes.or_else(|_| NaiveDateTime::parse_from_str(time, "%F %T")).expect(time).and_utc()
}

fn parse(text: &str) -> Schedule {
    Schedule::parse(text, Zone::utc()).unwrap()
}

/// The first slots after midnight of Thursday, 1 January 2026; dates without a year are in 2026.
fn check(text: &str, expected: &[&str]) {
    let schedule = parse(text);
    let slots: Vec<_> = schedule.upcoming(at("2026-01-01 00:00")).take(expected.len()).collect();
    let full = |time: &&str| at(&if time.len() > 14 { (*time).to_owned() } else { format!("2026-{time}") });
    let expected: Vec<_> = expected.iter().map(full).collect();
    assert_eq!(slots, expected, "{text}");
    let last = slots[slots.len() - 1];
    assert_eq!(schedule.newest_between(slots[0] - TimeDelta::seconds(1), last), Some(last), "{text}");
    assert_eq!(schedule.newest_between(at("2026-01-01 00:00"), slots[0]), Some(slots[0]), "{text}");
}

/// Every day at midnight, given as days of January 2026.
fn check_days(text: &str, days: &[u32]) {
    let times: Vec<_> = days.iter().map(|day| format!("01-{day:02} 00:00")).collect();
    check(text, &times.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn minutes() {
    check("* * * * *", &["01-01 00:01", "01-01 00:02", "01-01 00:03"]);
    check("17 * * * *", &["01-01 00:17", "01-01 01:17"]);
    check("*/5 * * * *", &["01-01 00:05", "01-01 00:10"]);
    check("*/25 * * * *", &["01-01 00:25", "01-01 00:50", "01-01 01:00", "01-01 01:25"]);
    check("*/59 * * * *", &["01-01 00:59", "01-01 01:00", "01-01 01:59"]);
    check("2-10/3 * * * *", &["01-01 00:02", "01-01 00:05", "01-01 00:08", "01-01 01:02"]);
    check("0-59/20 * * * *", &["01-01 00:20", "01-01 00:40", "01-01 01:00"]);
    check("10-10 * * * *", &["01-01 00:10", "01-01 01:10"]);
    check("10-12/9 * * * *", &["01-01 00:10", "01-01 01:10"]);
    check("58-59,0 * * * *", &["01-01 00:58", "01-01 00:59", "01-01 01:00"]);
    check("35,5 * * * *", &["01-01 00:05", "01-01 00:35", "01-01 01:05"]);
    check("1,1,1-1 * * * *", &["01-01 00:01", "01-01 01:01"]);
    check("*/30,7 * * * *", &["01-01 00:07", "01-01 00:30", "01-01 01:00"]);
    check("07 008 * * *", &["01-01 08:07", "01-02 08:07"]);
}

#[test]
fn hours() {
    check("0 9 * * *", &["01-01 09:00", "01-02 09:00"]);
    check("0 0 * * *", &["01-02 00:00", "01-03 00:00"]);
    check("30 */6 * * *", &["01-01 00:30", "01-01 06:30", "01-01 12:30", "01-01 18:30", "01-02 00:30"]);
    check("0 */5 * * *", &["01-01 05:00", "01-01 10:00", "01-01 15:00", "01-01 20:00", "01-02 00:00"]);
    check("0 1-23/11 * * *", &["01-01 01:00", "01-01 12:00", "01-01 23:00", "01-02 01:00"]);
    check("0 9-11,23 * * *", &["01-01 09:00", "01-01 10:00", "01-01 11:00", "01-01 23:00"]);
    check("*/30 22-23 * * *", &["01-01 22:00", "01-01 22:30", "01-01 23:00", "01-01 23:30", "01-02 22:00"]);
    check("59 23 31 12 *", &["12-31 23:59", "2027-12-31 23:59"]);
}

#[test]
fn days_and_months() {
    check("0 0 1 * *", &["02-01 00:00", "03-01 00:00"]);
    check("0 0 31 * *", &["01-31 00:00", "03-31 00:00", "05-31 00:00", "07-31 00:00"]);
    check("0 0 30 1-3 *", &["01-30 00:00", "03-30 00:00", "2027-01-30 00:00"]);
    check("0 0 28-31 2 *", &["02-28 00:00", "2027-02-28 00:00", "2028-02-28 00:00", "2028-02-29 00:00"]);
    check("0 0 29 2 *", &["2028-02-29 00:00", "2032-02-29 00:00"]);
    check("0 0 1 1 *", &["2027-01-01 00:00", "2028-01-01 00:00"]);
    check("0 0 */15 * *", &["01-16 00:00", "01-31 00:00", "02-01 00:00", "02-16 00:00", "03-01 00:00"]);
    check("0 0 1 */5 *", &["06-01 00:00", "11-01 00:00", "2027-01-01 00:00"]);
    check("0 0 1 2-12/5 *", &["02-01 00:00", "07-01 00:00", "12-01 00:00", "2027-02-01 00:00"]);
    check("0 0 1 feb-apr *", &["02-01 00:00", "03-01 00:00", "04-01 00:00", "2027-02-01 00:00"]);
    check("0 0 2 jan,JUL,Dec *", &["01-02 00:00", "07-02 00:00", "12-02 00:00"]);
    check("0 0 1 2,oct-11 *", &["02-01 00:00", "10-01 00:00", "11-01 00:00"]);
    check("0 0 1 may-december/7 *", &["05-01 00:00", "12-01 00:00"]);
}

#[test]
fn weekdays_count_from_sunday_which_is_0_and_7() {
    check_days("0 0 * * 0", &[4, 11, 18]);
    check_days("0 0 * * 7", &[4, 11, 18]);
    check_days("0 0 * * 0,7", &[4, 11, 18]);
    check_days("0 0 * * 1", &[5, 12, 19]);
    check_days("0 0 * * 4", &[8, 15]);
    check_days("0 0 * * 6", &[3, 10, 17]);
    check_days("0 0 * * 5-7", &[2, 3, 4, 9]);
    check_days("0 0 * * 6-7", &[3, 4, 10]);
    check_days("0 0 * * 7-7", &[4, 11]);
    check_days("0 0 * * 0-3", &[4, 5, 6, 7, 11]);
    check_days("0 0 * * 1-5", &[2, 5, 6, 7, 8, 9, 12]);
    check_days("0 0 * * 7,1", &[4, 5, 11, 12]);
    check_days("0 0 * * 0-7", &[2, 3, 4, 5]);
    check_days("0 0 * * 1-7", &[2, 3, 4, 5]);
    check_days("0 0 * * 1-7/2", &[2, 4, 5, 7, 9]);
    check_days("0 0 * * 0-6/3", &[3, 4, 7, 10]);
    check_days("0 0 * * */2", &[3, 4, 6, 8, 10]);
    check_days("0 0 * * */5", &[2, 4, 9, 11]);
    check_days("0 0 * * */6", &[3, 4, 10]);
    check_days("0 0 * * */7", &[4, 11]);
}

#[test]
fn weekdays_by_name() {
    check_days("0 0 * * sun", &[4, 11]);
    check_days("0 0 * * MON", &[5, 12]);
    check_days("0 0 * * Thursday", &[8, 15]);
    check_days("0 0 * * mon-fri", &[2, 5, 6, 7, 8, 9, 12]);
    check_days("0 0 * * fri-sun", &[2, 3, 4, 9]);
    check_days("0 0 * * mon-Sun", &[2, 3, 4, 5]);
    check_days("0 0 * * sun-tue", &[4, 5, 6, 11]);
    check_days("0 0 * * sun-sun", &[4, 11]);
    check_days("0 0 * * mon,wed-fri", &[2, 5, 7, 8, 9, 12]);
    check_days("0 0 * * mon-sun/3", &[4, 5, 8, 11]);
    check_days("0 0 * * 5-sat", &[2, 3, 9]);
}

#[test]
fn two_restricted_day_fields_match_either() {
    check_days("0 0 13 * 5", &[2, 9, 13, 16]);
    check_days("0 0 13 * Fri", &[2, 9, 13, 16]);
    check_days("0 0 1,15 * mon", &[5, 12, 15, 19]);
    check_days("0 0 1-7 * 0", &[2, 3, 4, 5, 6, 7, 11]);
    check_days("0 0 1-31 * mon", &[2, 3, 4]);
    check_days("0 0 13 * 1-7", &[2, 3, 4]);
    check_days("0 0 13,* * 5", &[2, 3, 4]);
    check("0 0 31 2 mon", &["02-02 00:00", "02-09 00:00", "02-16 00:00"]);
    check(
        "0 0 1 January Monday",
        &["01-05 00:00", "01-12 00:00", "01-19 00:00", "01-26 00:00", "2027-01-01 00:00"],
    );
}

#[test]
fn a_day_field_that_begins_with_a_star_restricts_the_other() {
    check_days("0 0 * * 5", &[2, 9, 16]);
    check_days("0 0 13 * *", &[13]);
    check_days("0 0 */1 * mon", &[5, 12]);
    check_days("0 0 *,13 * 5", &[2, 9, 16]);
    check("0 0 */2 * Mon", &["01-05 00:00", "01-19 00:00", "02-09 00:00", "02-23 00:00"]);
    check("0 0 13 * */2", &["01-13 00:00", "06-13 00:00"]);
    check("0 0 8-14 * */7", &["01-11 00:00", "02-08 00:00", "03-08 00:00"]);
    check("0 0 */31 * 0", &["02-01 00:00", "03-01 00:00", "11-01 00:00"]);
    check("0 0 29 2 */7", &["2032-02-29 00:00", "2060-02-29 00:00"]);
}

#[test]
fn six_fields_begin_with_the_second() {
    check("* * * * * *", &["01-01 00:00:01", "01-01 00:00:02"]);
    check("*/10 * * * * *", &["01-01 00:00:10", "01-01 00:00:20"]);
    check("30 * * * * *", &["01-01 00:00:30", "01-01 00:01:30"]);
    check("0 0 9 * * *", &["01-01 09:00", "01-02 09:00"]);
    check("0 0 0 * * 7", &["01-04 00:00", "01-11 00:00"]);
    check("0 0 0 13 * fri", &["01-02 00:00", "01-09 00:00", "01-13 00:00"]);
    check("15,45 0 12 * * 1-5", &["01-01 12:00:15", "01-01 12:00:45", "01-02 12:00:15", "01-02 12:00:45"]);
    check("5-10/5 59 23 31 12 *", &["12-31 23:59:05", "12-31 23:59:10", "2027-12-31 23:59:05"]);
    check("59 59 23 31 12 *", &["12-31 23:59:59", "2027-12-31 23:59:59"]);
}

#[test]
fn words() {
    check("@yearly", &["2027-01-01 00:00", "2028-01-01 00:00"]);
    check("@annually", &["2027-01-01 00:00", "2028-01-01 00:00"]);
    check("@monthly", &["02-01 00:00", "03-01 00:00"]);
    check("@weekly", &["01-04 00:00", "01-11 00:00"]);
    check("@daily", &["01-02 00:00", "01-03 00:00"]);
    check("@midnight", &["01-02 00:00", "01-03 00:00"]);
    check("@hourly", &["01-01 01:00", "01-01 02:00"]);
    check(" @Daily ", &["01-02 00:00", "01-03 00:00"]);
}

#[test]
fn white_space_is_folded_and_the_rest_kept() {
    let schedule = Schedule::parse("  0\t9  *\r\n* Mon ", zone("Europe/Berlin")).unwrap();
    assert_eq!(schedule.text(), "0 9 * * Mon");
    assert_eq!(*schedule.zone(), zone("Europe/Berlin"));
    assert_eq!(format!("{schedule:?}"), r#"Schedule("0 9 * * Mon" in Europe/Berlin)"#);
}

#[test]
fn equal_are_text_and_zone() {
    assert_eq!(parse("0 9 * * *"), parse(" 0 9  * * *"));
    assert_ne!(parse("0 0 * * *"), parse("@daily"));
    assert_ne!(parse("0 9 * * *"), Schedule::parse("0 9 * * *", zone("Europe/Berlin")).unwrap());
}

#[test]
fn parts_of_a_second_count() {
    let schedule = parse("* * * * * *");
    let part = TimeDelta::milliseconds(1);
    let (now, next) = (at("2026-01-01 00:00:05"), at("2026-01-01 00:00:06"));
    assert_eq!(schedule.next_after(now - part), Some(now));
    assert_eq!(schedule.next_after(now), Some(next));
    assert_eq!(schedule.next_after(now + part), Some(next));
    assert_eq!(schedule.newest_between(now - part, next - part), Some(now));
    assert_eq!(schedule.newest_between(now, next - part), None);
    assert_eq!(schedule.newest_between(now, next), Some(next));
}

#[test]
fn years_begin_in_1970() {
    let schedule = parse("* * * * *");
    assert_eq!(schedule.next_after(DateTime::<Utc>::MIN_UTC), Some(at("1970-01-01 00:00")));
    assert_eq!(schedule.newest_between(DateTime::<Utc>::MIN_UTC, at("1969-12-31 23:59:59")), None);
}

#[test]
fn years_end_without_a_panic() {
    let (never, forever) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    for (text, last) in [("0 0 31 12 *", "2100-12-31 00:00"), ("5 */13 * * *", "2100-12-31 13:05")] {
        for zone in ["UTC", "Etc/GMT+12", "Pacific/Kiritimati"].map(zone) {
            let schedule = Schedule::parse(text, zone.clone()).unwrap();
            let offset = zone.local(at(last)).offset().local_minus_utc();
            let last = at(last) - TimeDelta::seconds(offset.into());
            assert!(schedule.next_after(never).unwrap() < at("1971-01-01 00:00"), "{text}");
            assert_eq!(schedule.next_after(last - TimeDelta::seconds(1)), Some(last), "{text}");
            assert_eq!(schedule.next_after(last), None, "{text}");
            assert_eq!(schedule.next_after(forever), None, "{text}");
            assert_eq!(schedule.newest_between(never, forever), Some(last), "{text}");
            assert_eq!(schedule.newest_between(last, forever), None, "{text}");
            assert_eq!(schedule.newest_between(forever, last), None, "{text}");
            assert_eq!(schedule.newest_between(never, at("1969-12-31 00:00")), None, "{text}");
            assert_eq!(schedule.shortest_gap(forever), Duration::MAX, "{text}");
        }
    }
}

/// Visiting every slot would take minutes.
#[test]
fn the_newest_of_ten_years_is_found_at_once() {
    let (after, until) = (at("2020-05-05 05:05:05"), at("2030-05-05 05:05:05"));
    for zone in ["UTC", "Europe/Berlin", "Africa/Casablanca"].map(zone) {
        let newest = |text: &str| Schedule::parse(text, zone.clone()).unwrap().newest_between(after, until);
        assert_eq!(newest("* * * * * *"), Some(until));
        assert_eq!(newest("0-59 0-59 0-23 * * *"), Some(until));
        assert!(newest("* 12 1 1 *").unwrap() > at("2030-01-01 00:00"));
        assert!(newest("0 12 1 1 *").unwrap() > at("2030-01-01 00:00"));
        assert!(newest("* 12 29 2 *").unwrap() < at("2028-03-01 00:00"));
    }
}

#[test]
fn the_shortest_gap_ignores_shifts_of_the_clock() {
    let gap =
        |text: &str, zone: Zone| Schedule::parse(text, zone).unwrap().shortest_gap(at("2026-03-28 00:00"));
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    assert_eq!(gap("* * * * * *", Zone::utc()), Duration::from_secs(1));
    assert_eq!(gap("*/25 * * * *", Zone::utc()), minutes(10));
    assert_eq!(gap("0 9,17 * * *", Zone::utc()), minutes(8 * 60));
    assert_eq!(gap("0 9 * * *", zone("Europe/Berlin")), minutes(24 * 60));
    assert_eq!(gap("0,30 2 * * *", zone("Europe/Berlin")), minutes(30));
    assert_eq!(gap("@yearly", zone("Europe/Berlin")), minutes(365 * 24 * 60));
}
