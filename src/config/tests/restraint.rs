use std::time::Duration;

use super::*;
use crate::flock::account::App;
use crate::flock::budget::Budget;

/// A bot with its app on X, whose keys start on line 12.
fn app(keys: &str) -> String {
    on_x("app = \"x\"") + keys
}

#[track_caller]
fn read_app(keys: &str) -> App {
    App::clone(walt(&app(keys)).app.as_deref().unwrap())
}

#[test]
fn an_app_is_patient_and_polite_unless_told() {
    let one = read_app("");
    assert_eq!(one.looks, [10, 60, 300].map(Duration::from_secs));
    assert_eq!((one.pace, one.budget), (Duration::from_millis(200), Budget::default()));
    let told = read_app("looks = [\"10ms\", \"10ms\"]\npace = \"1m\"");
    assert_eq!(told.looks, [10, 10].map(Duration::from_millis));
    assert_eq!(told.pace, Duration::from_secs(60));
    let told = read_app("looks = [\"1s\", \"1m\", \"1h\"]\npace = \"0s\"");
    assert_eq!(told.looks, [1, 60, 3_600].map(Duration::from_secs));
    assert_eq!(told.pace, Duration::ZERO);
}

#[test]
fn looks_are_two_or_three_and_do_not_shrink() {
    let list = "a list of two or three durations, like [\"10s\", \"1m\", \"5m\"]";
    let check = |value: &str, expect: &str| {
        check(
            app(&format!("looks = {value}")),
            &[&format!("error: flock.toml:12: app x: {}", expect.replace("LIST", list))],
        );
    };
    check("\"10s\"", "`looks` must be LIST, not a string");
    check("[]", "`looks` must be LIST, and this one has 0");
    check("[\"10s\"]", "`looks` must be LIST, and this one has 1");
    check("[\"1s\", \"2s\", \"3s\", \"4s\"]", "`looks` must be LIST, and this one has 4");
    check("[\"10s\", 60]", "`looks` must be LIST, not a number");
    check("[\"1m\", \"10s\"]", "`looks` must not decrease: write the shortest delay first");
    check("[\"9ms\", \"10s\"]", "`looks`: each delay must be from 10ms to 1h");
    check("[\"10s\", \"61m\"]", "`looks`: each delay must be from 10ms to 1h");
    check(
        "[\"10s\", \"soon\"]",
        "`looks` must be a quoted duration, like \"90s\", \"10m\" or \"1h 30m\", not \"soon\"",
    );
}

#[test]
fn every_slip_in_a_list_of_looks_is_named_at_its_line() {
    check(
        app("looks = [\n\"soon\",\n\"2h\",\n]\npace = \"61s\""),
        &[
            "error: flock.toml:13: app x: `looks` must be a quoted duration, like \"90s\", \"10m\" or \"1h 30m\", not \"soon\"",
            "error: flock.toml:14: app x: `looks`: each delay must be from 10ms to 1h",
            "error: flock.toml:16: app x: `pace` must be at most 1m: spread the schedules instead",
        ],
    );
    check(
        app("pace = 1"),
        &[
            "error: flock.toml:12: app x: `pace` must be a quoted duration, like \"90s\", \"10m\" or \"1h 30m\", not a number",
        ],
    );
}

#[test]
fn a_budget_has_three_limits_of_which_none_is_needed() {
    let budget = |keys: &str| read_app(&format!("[apps.x.budget]\n{keys}")).budget;
    assert_eq!(budget(""), Budget::default());
    let posts = budget("posts_per_day = 50\nposts_per_month = 1_500");
    assert_eq!((posts.posts_per_day, posts.posts_per_month), (Some(50), Some(1_500)));
    assert!(posts.milli_dollars_per_month.is_none() && posts.is_limited());
    let money = |value: &str| budget(&format!("money_per_month = {value}")).milli_dollars_per_month;
    assert_eq!(money("25"), Some(25_000));
    assert_eq!(money("12.50"), Some(12_500));
    assert_eq!(money("0.015"), Some(15));
    assert_eq!(money("1_000.5"), Some(1_000_500));
    assert_eq!(money("1000000000"), Some(1_000_000_000_000));
}

#[test]
fn a_budget_that_cannot_be_is_named_at_its_line() {
    let check = |key: &str, value: &str, expect: &str| {
        let expect = format!("error: flock.toml:13: app x: [budget]: `{key}` must be {expect}");
        check(app(&format!("[apps.x.budget]\n{key} = {value}")), &[&expect]);
    };
    for value in ["0", "-1", "1000000001", "99999999999999999999"] {
        check("posts_per_day", value, "from 1 to 1000000000");
        check("posts_per_month", value, "from 1 to 1000000000");
    }
    check("posts_per_day", "1.5", "a whole number, not a number");
    check("posts_per_month", "\"many\"", "a whole number, not a string");
    let dollars = "US dollars from 0.001 to 1000000000, with up to 3 decimals";
    for value in ["0", "0.0", "-1", "-1.0", "0.0015", "1e3", "inf", "1000000000.001"] {
        check("money_per_month", value, dollars);
    }
    check("money_per_month", "\"25\"", "an amount of US dollars, like 25 or 12.50, not a string");
}

#[test]
fn a_budget_is_a_table_with_known_keys() {
    super::check(
        app("budget = 25"),
        &[
            "error: flock.toml:12: app x: `budget` must be a table: write [apps.x.budget] on a line of its own, not a number",
        ],
    );
    super::check(
        app("[apps.x.budget]\nposts_per_dya = 5"),
        &[
            "error: flock.toml:13: app x: [budget]: unknown key `posts_per_dya`: did you mean `posts_per_day`?",
        ],
    );
    super::check(
        app("[apps.x.budget]\nposts_per_day = 5\n[apps.x.budget]\nposts_per_month = 5"),
        &[
            "error: flock.toml:14: [apps.x.budget] is written twice, first on line 12: write its keys in one place",
        ],
    );
}

#[test]
fn places_know_where_a_budget_stands() {
    let input = app("pace = \"1s\"\n[apps.x.budget]\nposts_per_day = 5");
    let (_, _, places) = read(&input, Path::new("flock.toml"), now());
    let lines = [
        "apps.x",
        "apps.x.pace",
        "apps.x.budget",
        "apps.x.budget.posts_per_day",
        "apps.x.budget.money_per_month",
    ];
    assert_eq!(lines.map(|path| places.line_of(path)), [Some(8), Some(12), Some(13), Some(14), Some(13)]);
}
