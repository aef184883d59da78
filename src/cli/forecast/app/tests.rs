//! Forecasts for apps, computed by hand. It is Thursday, 2026-03-05, 08:30 UTC, with five slots of `0 */3 * *
//! *` left today.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};

use super::{AppForecast, Apps, AverageEntry, PostRates};
use crate::config;
use crate::store::Spent;

/// Lines left in most poems.
const PLENTY: usize = 100_000;

/// An app with these keys; the first is on line 5.
fn app(keys: &str) -> String {
    format!(
        "[apps.x]\nnetwork = \"x\"\nconsumer_key = {{ env = \"K\" }}\nconsumer_secret = {{ env = \"S\" }}\n{keys}\n"
    )
}

/// This many bots of the app, with these keys.
fn bots(number: usize, schedule: &str, keys: &str) -> String {
    let mut text = String::new();
    for n in 1..=number {
        let poem = format!("poem = \"{n}.txt\"\nschedule = \"{schedule}\"");
        writeln!(text, "[bots.b{n}]\napp = \"x\"\n{poem}\n{keys}").unwrap();
    }
    text
}

struct Expected {
    app: AppForecast,
    /// Without the file name.
    complaints: Vec<String>,
}

/// The forecast for a flock whose bots have this many lines left, at this price per post.
#[track_caller]
fn expect(text: &str, left: usize, price: f64, spent: Spent) -> Expected {
    let now: DateTime<Utc> = "2026-03-05T08:30:00Z".parse().unwrap();
    let (flock, complaints, places) = config::read(text, Path::new("f"), now);
    let flock = flock.unwrap_or_else(|| panic!("{complaints:?}"));
    let (mut apps, mut rates) = (Apps::default(), PostRates::new(now));
    for bot in &flock.bots {
        apps.add(bot, left, AverageEntry { price, ..AverageEntry::default() }, &mut rates);
    }
    let (app, complaints) = apps.forecast("x", spent, &places, now).unwrap();
    Expected { app, complaints: complaints.iter().map(ToString::to_string).collect() }
}

fn day(month: u32, day: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(2026, month, day)
}

const SPENT: Spent = Spent { posts: 20, milli_dollars: 2_000 };

#[test]
fn a_month_of_posts_ends_on_the_day_that_wants_more() {
    let runs_out = |most: u32| {
        let text = app(&format!("[apps.x.budget]\nposts_per_month = {most}")) + &bots(1, "0 */3 * * *", "");
        let expected = expect(&text, PLENTY, 15.0, SPENT);
        assert_eq!(expected.complaints.len(), usize::from(expected.app.runs_out.posts_per_month.is_some()));
        (expected.app.runs_out.posts_per_month, expected.complaints)
    };
    // 20 were posted, 5 come today, 8 on each day after: 97 are reached on the 14th, 105 on the 15th.
    let (end, said) = runs_out(100);
    assert_eq!(end, day(3, 15));
    assert_eq!(
        said,
        [
            "f:6: app x: [budget]: `posts_per_month` = 100 is too little: the schedules want 244 posts a month, 20 were posted in this one, and it is used up on Sun 2026-03-15: raise it, or thin out the schedules"
        ]
    );
    assert_eq!(runs_out(20).0, day(3, 5), "it is used up already");
    // March takes 20 + 5 + 26 * 8; April wants 30 * 8.
    assert_eq!(runs_out(232).0, day(3, 31));
    assert_eq!(runs_out(233).0, day(4, 30));
    assert_eq!(runs_out(239).0, day(4, 30));
    assert_eq!(runs_out(240).0, None);
}

#[test]
fn a_month_of_money_goes_by_the_mean_price_of_the_lines() {
    let text = app("[apps.x.budget]\nmoney_per_month = 10") + &bots(1, "0 */3 * * *", "");
    // Spent: 2.0000. Today takes 5 * 0.1075, each later day 0.86: 9.4175 on the 13th, 10.2775 on the 14th.
    let Expected { app, complaints } = expect(&text, PLENTY, 107.5, SPENT);
    assert_eq!(app.runs_out.money_per_month, day(3, 14));
    assert_eq!(
        complaints,
        [
            "f:6: app x: [budget]: `money_per_month` = 10.00 is too little: the schedules want 26.176 US dollars a month, 2.00 were spent in this one, and it is used up on Sat 2026-03-14: raise it, or thin out the schedules"
        ]
    );
    // 8 * 0.1075 * 30.4375
    assert_eq!((app.posts_per_day, app.money_per_month), (8.0, 26.176));
    assert_eq!((app.spent_posts, app.spent_money, app.limit_per_day), (20, 2.0, Some(10_000)));
    let row = ["x", "8.00", "10000", "26.176", "20", "2.00", "Sat 2026-03-14"];
    assert_eq!(app.row, row);
}

#[test]
fn a_poem_that_ends_first_spares_the_budget() {
    let text = |at_end: &str| {
        app("[apps.x.budget]\nposts_per_month = 25\nmoney_per_month = 2.1")
            + &bots(1, "0 */3 * * *", &format!("at_end = \"{at_end}\""))
    };
    let stops = expect(&text("stop"), 5, 15.0, SPENT);
    assert!(stops.complaints.is_empty(), "{:?}", stops.complaints);
    assert_eq!(stops.app.row[6], "long enough");
    let again = expect(&text("again"), 5, 15.0, SPENT);
    assert_eq!((again.complaints.len(), again.app.runs_out.posts_per_month), (2, day(3, 6)));
    let exhausted = expect(&text("stop"), 0, 15.0, SPENT);
    assert_eq!((exhausted.app.posts_per_day, exhausted.app.money_per_month), (0.0, 0.0));
    assert!(exhausted.complaints.is_empty());
}

#[test]
fn a_day_of_posts_ends_at_an_hour() {
    let text = |schedule: &str, most: u32| {
        app(&format!("[apps.x.budget]\nposts_per_day = {most}")) + &bots(2, schedule, "")
    };
    let said = |schedule: &str, most: u32| expect(&text(schedule, most), PLENTY, 15.0, SPENT).complaints;
    assert_eq!(
        said("@hourly", 30),
        [
            "f:6: app x: [budget]: `posts_per_day` = 30 is less than the 48 posts wanted on Fri 2026-03-06; it is used up each day at about 14:00 UTC: raise it, or thin out the schedules"
        ]
    );
    let saturdays = said("0 * * * sat", 20);
    assert_eq!(saturdays.len(), 1);
    let when = "it is used up on some days, as on Sat 2026-03-07 at about 09:00 UTC";
    assert!(saturdays[0].contains(when), "{saturdays:?}");
    let where_the_mean_fits = "`posts_per_day` = 20 is less than the 48 posts wanted on Sat 2026-03-07;";
    assert!(saturdays[0].contains(where_the_mean_fits), "{saturdays:?}");
    let fridays = said("0 * * * fri", 20);
    assert!(
        fridays[0].contains("on some days, as on Fri 2026-03-06 at about 09:00 UTC"),
        "tomorrow: {fridays:?}"
    );
    assert!(said("@hourly", 48).is_empty());
    let ends = expect(&text("@hourly", 30), PLENTY, 15.0, SPENT).app;
    assert_eq!((ends.runs_out.posts_per_day, &*ends.row[6]), (day(3, 6), "part of a day"));
}

#[test]
fn a_poem_that_ends_today_may_want_too_much_of_today() {
    let text = app("[apps.x.budget]\nposts_per_day = 10") + &bots(1, "*/30 * * * *", "");
    let today = expect(&text, 30, 15.0, Spent::default());
    let what = "`posts_per_day` = 10 is less than the 30 posts wanted on Thu 2026-03-05; it is used up today";
    assert!(today.complaints[0].contains(what), "{:?}", today.complaints);
    assert_eq!(today.app.runs_out.posts_per_day, day(3, 5));
    assert!(expect(&text, 10, 15.0, Spent::default()).complaints.is_empty());
}

#[test]
fn an_app_without_a_budget_is_held_to_the_limits_of_its_network() {
    let said = |number: usize, schedule: &str, keys: &str| {
        expect(&(app("") + &bots(number, schedule, keys)), PLENTY, 15.0, Spent::default())
    };
    let fits = said(416, "@hourly", "");
    assert_eq!((&*fits.app.row[6], fits.complaints.len()), ("-", 0));
    assert_eq!(
        said(420, "@hourly", "").complaints,
        [
            "f:1: app x: its bots want more than the 10000 posts that x takes from an app in a day; they are used up each day at about 23:00 UTC: thin out the schedules"
        ]
    );
}

#[test]
fn a_bot_is_held_to_the_limit_of_one_account() {
    let said = |schedule: &str, max_per_hour: u32| {
        let text = app("") + &bots(1, schedule, &format!("max_per_hour = {max_per_hour}"));
        expect(&text, 50, 15.0, Spent::default()).complaints
    };
    assert_eq!(
        said("* * * * * *", 3_600),
        [
            "f:9: bot b1: the schedule wants more than the 100 posts in 15 minutes that x takes from one account: lower `max_per_hour`, or thin it out"
        ]
    );
    assert!(said("* * * * * *", 100).is_empty());
    assert_eq!(said("*/9 * * * * *", 3_600).len(), 1, "seven a minute");
    assert!(said("*/10 * * * * *", 3_600).is_empty(), "six a minute");
}

#[test]
fn posts_of_one_instant_that_cannot_all_leave_in_time_are_warned_of() {
    let said = |pace: &str, keys: &str| {
        let text = app(&format!("pace = \"{pace}\"")) + &bots(400, "30 9 * * *", keys);
        expect(&text, PLENTY, 15.0, Spent::default()).complaints
    };
    // The first leaves at once, the 121st after ten minutes.
    assert_eq!(
        said("5s", "max_late = \"10m\""),
        [
            "f:5: app x: 400 posts are due at about 09:30 UTC, and `pace` = 5s makes 279 of them later than `max_late` allows, so they are given up: shorten `pace`, or spread the schedules, with `jitter` for instance"
        ]
    );
    assert!(said("5s", "").is_empty(), "after 1,995 seconds all have left");
    assert!(said("1500ms", "max_late = \"10m\"").is_empty());
    assert!(said("0s", "max_late = \"1s\"").is_empty());
    assert!(said("5s", "max_late = \"10m\"\njitter = \"1h\"").is_empty(), "spread over an hour");
}

/// The sum of an empty list is -0.0, which must not be shown.
#[test]
fn an_app_whose_bots_post_nothing_has_no_posts_rather_than_less() {
    let expected = expect(&(app("") + &bots(2, "0 */3 * * *", "")), 0, 15.0, SPENT);
    let numbers = [expected.app.posts_per_day, expected.app.money_per_month];
    assert!(numbers.iter().all(|number| *number == 0.0 && number.is_sign_positive()), "{numbers:?}");
    assert!(!expected.app.row.iter().any(|cell| cell.starts_with("-0")), "{:?}", expected.app.row);
}
