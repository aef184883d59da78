//! Rejected schedules and their error messages. The messages are compared in full, because people read them.

use super::{Schedule, ScheduleError, Zone};

fn error(text: &str) -> String {
    Schedule::parse(text, Zone::utc()).expect_err(text).to_string()
}

fn check(text: &str, expected: &str) {
    assert_eq!(error(text), expected, "{text:?}");
}

const FIELDS: &str = "5 fields (minute, hour, day of month, month, day of week), 6 with the second first, or a word such as @daily";

#[test]
fn the_number_of_fields() {
    for text in ["", " \t\n "] {
        check(text, &format!("the schedule is empty: write {FIELDS}"));
    }
    check("daily", &format!("the schedule has 1 field: write {FIELDS}"));
    check("0 9 * *", &format!("the schedule has 4 fields: write {FIELDS}"));
    check("0 0 9 * * * 2026", &format!("the schedule has 7 fields: write {FIELDS}"));
    check("0 0 9 * * * 2026 *", &format!("the schedule has 8 fields: write {FIELDS}"));
}

#[test]
fn values_out_of_range() {
    check("60 * * * *", r#"minute "60" is out of range: write 0-59"#);
    check("60 * * * * *", r#"second "60" is out of range: write 0-59"#);
    check("0 24 * * *", r#"hour "24" is out of range: write 0-23"#);
    check("0 0 0 * *", r#"day of month "0" is out of range: write 1-31"#);
    check("0 0 32 * *", r#"day of month "32" is out of range: write 1-31"#);
    check("0 0 1 0 *", r#"month "0" is out of range: write 1-12 or a name from jan to dec"#);
    check("0 0 1 13 *", r#"month "13" is out of range: write 1-12 or a name from jan to dec"#);
    check("0 0 * * 8", r#"day of week "8" is out of range: write 0-7 or a name from sun to sat"#);
    check("0,10-61 * * * *", r#"minute "10-61" is out of range: write 0-59"#);
    check("256 * * * *", r#"minute "256" is out of range: write 0-59"#);
    check(
        "99999999999999999999999 * * * *",
        r#"minute "99999999999999999999999" is out of range: write 0-59"#,
    );
}

#[test]
fn names() {
    check(
        "0 0 * * montag",
        r#"day of week "montag" is an unknown name: write 0-7 or a name from sun to sat"#,
    );
    check("0 0 * foo *", r#"month "foo" is an unknown name: write 1-12 or a name from jan to dec"#);
    check("0 0 * mon *", r#"month "mon" is an unknown name: write 1-12 or a name from jan to dec"#);
    check("mon * * * *", r#"minute "mon" is an unknown name: write 0-59"#);
    check("0 0 L * *", r#"day of month "L" is an unknown name: write 1-31"#);
    check("0 0 * * mo", r#"day of week "mo" is an unknown name: write 0-7 or a name from sun to sat"#);
    check(
        "0 0 * * mon-xyz",
        r#"day of week "mon-xyz" is an unknown name: write 0-7 or a name from sun to sat"#,
    );
}

#[test]
fn empty_parts() {
    check("1,,2 * * * *", r#"minute "1,,2" has an empty entry in its list: remove a comma"#);
    check(", * * * *", r#"minute "," has an empty entry in its list: remove a comma"#);
    check("0 1, * * *", r#"hour "1," has an empty entry in its list: remove a comma"#);
    check("0 1- * * *", r#"hour "1-" lacks a value: write 0-23"#);
    check("-5 * * * *", r#"minute "-5" lacks a value: write 0-59"#);
    check("/5 * * * *", r#"minute "/5" lacks a value: write 0-59"#);
}

#[test]
fn steps() {
    check("*/0 * * * *", r#"minute "*/0" has the step "0": write one from 1 to 59"#);
    check("*/ * * * *", r#"minute "*/" has the step "": write one from 1 to 59"#);
    check("*/90 * * * *", r#"minute "*/90" has the step "90": write one from 1 to 59"#);
    check("0 */24 * * *", r#"hour "*/24" has the step "24": write one from 1 to 23"#);
    check("*/x * * * *", r#"minute "*/x" has the step "x": write one from 1 to 59"#);
    check("*/+5 * * * *", r#"minute "*/+5" has the step "+5": write one from 1 to 59"#);
    check("*/5/2 * * * *", r#"minute "*/5/2" has the step "5/2": write one from 1 to 59"#);
    check("5/15 * * * *", r#"minute "5/15" has a step after a single value: write 5-59/15"#);
    check("0 0 * * mon/2", r#"day of week "mon/2" has a step after a single value: write mon-7/2"#);
    check("77/15 * * * *", r#"minute "77/15" is out of range: write 0-59"#);
}

#[test]
fn ranges_that_run_backwards() {
    check("0 22-2 * * *", r#"hour "22-2" runs backwards: write it in two parts, 22-23,0-2"#);
    check("30-10/5 * * * *", r#"minute "30-10/5" runs backwards: write it in two parts, 30-59,0-10"#);
    check("0 0 * * fri-mon", r#"day of week "fri-mon" runs backwards: write it in two parts, 5-7,0-1"#);
    check("0 0 * * 7-3", r#"day of week "7-3" runs backwards: write it in two parts, 7-7,0-3"#);
    check("0 0 * * 5-0", r#"day of week "5-0" runs backwards: write it in two parts, 5-7,0-0"#);
    check("0 0 * nov-feb *", r#"month "nov-feb" runs backwards: write it in two parts, 11-12,1-2"#);
}

#[test]
fn other_dialects() {
    check("0 0 ? * *", r#"day of month "?" is no crontab: write * for any value"#);
    check("0~59 * * * *", r#"minute "0~59" is random: write 0-59, and let jitter spread the posts"#);
    check(
        "0 0 * * 5#3",
        r#"day of week "5#3" can't be read: write 0-7 or a name from sun to sat, a range 1-5, a step */2 or a list 1,3"#,
    );
    check("*5 * * * *", r#"minute "*5" can't be read: write 0-59, a range 1-5, a step */2 or a list 1,3"#);
    check("*-5 * * * *", r#"minute "*-5" can't be read: write 0-59, a range 1-5, a step */2 or a list 1,3"#);
    check(
        "1-2-3 * * * *",
        r#"minute "1-2-3" can't be read: write 0-59, a range 1-5, a step */2 or a list 1,3"#,
    );
    check("+5 * * * *", r#"minute "+5" can't be read: write 0-59, a range 1-5, a step */2 or a list 1,3"#);
}

#[test]
fn words() {
    check("@reboot", &format!("the schedule @reboot names no time: a restart must not post, write {FIELDS}"));
    for text in ["@", "@every 5m", "@daily 5", "@fortnightly"] {
        let known = "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly";
        check(
            text,
            &format!("the schedule {text:?} is unknown: write one of {known}, or five or six fields"),
        );
    }
}

#[test]
fn characters_and_length() {
    let plain = "write it in plain ASCII letters, digits and * , - / @";
    check("0 9 * * \0", &format!(r"the schedule contains the character '\0': {plain}"));
    check("0 9 * * ６", &format!("the schedule contains the character '６': {plain}"));
    check("0\u{a0}9 * * *", &format!(r"the schedule contains the character '\u{{a0}}': {plain}"));
    check("0 9 * * \u{7f}", &format!(r"the schedule contains the character '\u{{7f}}': {plain}"));

    let list = |length: usize| format!("{} * * * *", "1,".repeat(length) + "1");
    assert!(Schedule::parse(&list(123), Zone::utc()).is_ok(), "255 characters");
    assert!(Schedule::parse(&(list(123) + " "), Zone::utc()).is_ok(), "256 characters");
    let long = "the schedule has more than 256 characters: write steps and ranges instead of long lists";
    check(&list(124), long);
    check(&"é".repeat(1_000_000), long);
}

#[test]
fn schedules_that_never_fire() {
    for text in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 0 30-31 feb *", "* * 31 4 */2"] {
        let remedy = "no month it names has such a day, change day of month or month";
        check(text, &format!("the schedule {text:?} never fires: {remedy}"));
    }
    assert!(Schedule::parse("0 0 30 2 mon", Zone::utc()).is_ok(), "it fires on Mondays");
}

#[test]
fn the_kinds_of_errors_can_be_told_apart() {
    let error = |text| Schedule::parse(text, Zone::utc()).unwrap_err();
    assert_eq!(error("* * *"), ScheduleError::FieldCount { found: 3 });
    assert!(matches!(error("0 0 30 2 *"), ScheduleError::NeverFires { .. }));
    assert!(matches!(error("* 99 * * *"), ScheduleError::Field { field: "hour", .. }));
}
