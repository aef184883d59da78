//! `flockd check` for an app with a budget: what its bots will post and pay, and when the budget ends.

use chrono::{Datelike, NaiveDate, TimeDelta, Utc};
use flockd::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::support::fake_x::FakeX;
use crate::support::program::Folder;
use crate::support::signing::{OAUTH1, enroll_with_tokens, flock};

/// Two hourly bots of an app with this budget. Only walt is signed in. Half of walt's lines have a
/// link.
fn hourly(fake: &FakeX, budget: &str) -> Folder {
    let folder = flock(&fake.url, OAUTH1, &[("walt", "@hourly"), ("emily", "@hourly")]);
    folder.configure(&format!("[defaults]\nat_end = \"again\"\n[apps.x.budget]\n{budget}"));
    folder.write("walt.txt", b"plain\nsee example.com\n");
    enroll_with_tokens(fake, &folder, "walt");
    folder
}

fn check(folder: &Folder) -> (Value, Vec<String>) {
    let check = folder.json(&["check", "--json"]);
    let said = |complaint: &Value| {
        let (line, message) = (&complaint["line"], complaint["message"].as_str().unwrap());
        format!("{}:{line}: {message}", complaint["severity"].as_str().unwrap())
    };
    let complaints = check["complaints"].as_array().unwrap().iter().map(said).collect();
    (check, complaints)
}

fn today() -> NaiveDate {
    SystemClock.now().with_timezone(&Utc).date_naive()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_shows_what_an_app_costs_and_when_its_budget_ends() {
    let fake = FakeX::start().await;
    let folder = hourly(&fake, "posts_per_day = 30\nposts_per_month = 1\nmoney_per_month = 2000\n");
    let said = folder.run(&["post", "walt", "by hand"]);
    assert_eq!(said.code, 0, "{said:?}");
    let (before, (report, complaints)) = (today(), check(&folder));

    let mut app = report["apps"][0].clone();
    let runs_out = app["runs_out"].take();
    let expected = json!({
        "app": "x", "network": "x", "posts_per_day": 48.0, "limit_per_day": 10_000,
        // 24 * (0.1075 + 0.015) * 30.4375
        "money_per_month": 89.486, "spent_posts": 1, "spent_money": 0.015,
        "budget": {"posts_per_day": 30, "posts_per_month": 1, "money_per_month": 2000.0}, "runs_out": null,
    });
    assert_eq!(app, expected);
    assert_eq!(report["apps"].as_array().unwrap().len(), 1);
    let date = |key: &str| runs_out[key].as_str().map(|day| day.parse::<NaiveDate>().unwrap());
    assert_eq!(date("money_per_month"), None);
    assert_eq!(date("posts_per_day"), before.succ_opt(), "tomorrow is the first whole day");
    // One was posted, and one is the limit: the next slot is one too many, or the second in a new month.
    let end = date("posts_per_month").unwrap();
    assert!(end == before || Some(end) == before.succ_opt(), "{end}");

    let line = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    let line = line.lines().position(|line| line.starts_with("posts_per_day")).unwrap() + 1;
    let told = |start: String, parts: &[&str]| {
        let is_it = |said: &&String| said.starts_with(&start) && parts.iter().all(|part| said.contains(part));
        assert!(complaints.iter().any(|said| is_it(&said)), "{start}: {complaints:?}");
    };
    told(format!("warning:{line}: app x: "), &["`posts_per_day` = 30", "48", "14:00 UTC"]);
    told(format!("warning:{}: app x: ", line + 1), &["`posts_per_month` = 1"]);
    assert!(!complaints.iter().any(|said| said.contains("money_per_month")), "{complaints:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_shows_apps_in_a_table_of_their_own() {
    let fake = FakeX::start().await;
    let folder = hourly(&fake, "money_per_month = 100.5\n");
    let said = folder.run(&["check"]);
    assert_eq!(said.code, 0, "{said:?}");
    let table: Vec<&str> = said.out.lines().skip_while(|line| !line.contains("$ a month")).collect();
    let words: Vec<&str> = table[1].split_whitespace().collect();
    assert_eq!(words, ["x", "48", "10000", "89.486", "0", "0.00", "long", "enough"], "{table:?}");

    let lonely = Folder::with("[bots.a]\nnetwork = \"paper\"\npoem = \"a.txt\"\nschedule = \"@daily\"\n");
    lonely.write("a.txt", b"a\n");
    let said = lonely.run(&["check"]);
    assert!(said.code == 0 && !said.out.contains("$ a month"), "{said:?}");
    assert_eq!(lonely.json(&["check", "--json"])["apps"], json!([]));
}

/// A monthly budget ends on a day that a person can look up: computed here slot by slot.
#[tokio::test(flavor = "multi_thread")]
async fn the_day_on_which_a_budget_ends_matches_the_slots() {
    let fake = FakeX::start().await;
    let folder = hourly(&fake, "posts_per_month = 100\n");
    let (before, (report, _)) = (SystemClock.now(), check(&folder));
    let mut slot = before;
    let mut posts = 0;
    while posts <= 100 {
        let next = slot + TimeDelta::hours(1);
        if next.month() != slot.month() {
            posts = 0;
        }
        slot = next;
        posts += 2;
    }
    let end: NaiveDate = report["apps"][0]["runs_out"]["posts_per_month"].as_str().unwrap().parse().unwrap();
    // The hour may change while the program runs.
    assert!((end - slot.date_naive()).num_days().abs() <= 1, "{end}, and not {slot}");
}
