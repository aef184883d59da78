//! What the bots of an app share: its budget and its pace.

use std::sync::Arc;
use std::time::Duration;

use flockd::flock::account::App;
use flockd::flock::budget::Budget;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State};
use flockd::flock::{Bot, NetworkKind, OnMiss};
use flockd::net::Outcome;

use crate::support::clock::{delta, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};

/// How many bots are due at once.
const CROWD: usize = 20;

fn app(pace: Duration, budget: Budget) -> Arc<App> {
    Arc::new(App {
        name: "x".to_owned(),
        network: NetworkKind::X,
        api_url: "http://127.0.0.1:9".to_owned(),
        site_url: "http://127.0.0.1:9".to_owned(),
        directory_url: String::new(),
        consumer: None,
        client: None,
        callback_port: 7_881,
        looks: Vec::new(),
        pace,
        budget,
    })
}

fn posts_per_day(most: u32) -> Arc<App> {
    app(Duration::ZERO, Budget { posts_per_day: Some(most), ..Budget::default() })
}

/// A bot of that app that gives a slot up after five minutes.
fn member(name: &str, schedule: &str, app: &Arc<App>) -> Bot {
    Bot { app: Some(app.clone()), schedule: cron(schedule), max_late: minutes(5), ..bot(name) }
}

fn crowd(app: &Arc<App>) -> Vec<(Bot, String)> {
    let member = |n| (member(&format!("b{n}"), "1 12 * * *", app), poem(&format!("b{n}-"), 3));
    (1..=CROWD).map(member).collect()
}

/// When each bot sent.
fn sent(fixture: &EngineFixture) -> Vec<chrono::DateTime<chrono::Utc>> {
    let of = |n| fixture.net(&format!("b{n}")).sent().into_iter().map(|sent| sent.at);
    let mut sent: Vec<_> = (1..=CROWD).flat_map(of).collect();
    sent.sort();
    sent
}

fn gave_up_for(cause: Cause) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Released(post) if post.cause == Some(cause))
}

#[tokio::test]
async fn bots_due_at_once_never_overspend_the_budget() {
    let fixture = EngineFixture::of(crowd(&posts_per_day(3))).await;
    fixture.pass(minutes(2)).await;
    assert_eq!(sent(&fixture).len(), 3);
    assert_eq!(fixture.count(gave_up_for(Cause::Budget)), CROWD - 3);
}

#[tokio::test]
async fn bots_due_at_once_keep_the_pace() {
    let pace = Duration::from_millis(200);
    let fixture = EngineFixture::of(crowd(&app(pace, Budget::default()))).await;
    fixture.pass(minutes(2)).await;
    let sent = sent(&fixture);
    assert_eq!(sent.len(), CROWD);
    for (earlier, later) in sent.iter().zip(&sent[1..]) {
        assert!(*later - *earlier >= delta(pace), "{sent:?}");
    }
    assert!(sent[CROWD - 1] - sent[0] < delta(seconds(5)), "and dawdles not: {sent:?}");
}

#[tokio::test]
async fn a_daily_budget_survives_a_crash_and_resets_at_midnight_utc() {
    let app = posts_per_day(3);
    let mut fixture = EngineFixture::of([
        (member("walt", "*/10 * * * *", &app), poem("w", 300)),
        (member("emily", "5 13 * * *", &app), poem("e", 9)),
    ])
    .await;
    fixture.pass(minutes(45)).await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2", "w3"]);
    fixture.crash().await;
    fixture.start().await;
    fixture.pass(minutes(45)).await;
    let emily = fixture.last("emily").await;
    assert_eq!((emily.state, emily.cause, emily.attempts), (State::Released, Some(Cause::Budget), 0));
    let reason = emily.reason.unwrap();
    for part in ["app x", "3 posts", "2024-03-06"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    fixture.pass_until("2024-03-06T00:25:00Z").await;
    assert_eq!(fixture.net("walt").texts(), ["w1", "w2", "w3", "w4", "w5", "w6"]);
    assert!(fixture.net("emily").sent().is_empty());
}

#[tokio::test]
async fn posts_with_links_use_the_budget_up_sooner() {
    let budget = Budget { milli_dollars_per_month: Some(250), ..Budget::default() };
    let poem = "see example.com\nplain\nplainer\nplainest\nend\n";
    let app = app(Duration::ZERO, budget);
    let fixture = EngineFixture::of([(member("walt", "*/10 * * * *", &app), poem)]).await;
    fixture.pass(minutes(55)).await;
    // 0.200 and three times 0.015; a fourth would make 0.260.
    assert_eq!(fixture.net("walt").texts(), ["see example.com", "plain", "plainer", "plainest"]);
    let reason = fixture.last("walt").await.reason.unwrap();
    for part in ["0.245", "0.25 ", "0.015"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
}

#[tokio::test]
async fn a_post_without_an_answer_counts_until_it_is_settled() {
    let app = posts_per_day(1);
    let fixture = EngineFixture::of([
        (member("walt", "10 12 * * *", &app), poem("w", 9)),
        (member("emily", "15,45 12 * * *", &app), poem("e", 9)),
    ])
    .await;
    fixture.net("walt").then(Outcome::Unknown { reason: "silence".to_owned() });
    fixture.pass(minutes(20)).await;
    assert_eq!(fixture.last("walt").await.state, State::Unknown);
    assert_eq!(fixture.history("emily").await, ["12:15:00 released (budget) e1"]);
    assert!(fixture.settle("walt", false).await.done);
    fixture.pass(minutes(30)).await;
    assert_eq!(fixture.history("emily").await[1..], ["12:45:00 posted e1"], "an unsent post costs nothing");
}

#[tokio::test]
async fn waiting_for_a_turn_is_no_missed_slot() {
    let (names, app) = (["a", "b", "c"], app(seconds(50), Budget::default()));
    let flock = names.map(|name| {
        let bot = member(name, "*/10 * * * *", &app);
        (Bot { on_miss: OnMiss::Skip, ..bot }, poem("w", 9))
    });
    let fixture = EngineFixture::of(flock).await;
    fixture.pass(minutes(39)).await;
    let sent: Vec<usize> = names.iter().map(|name| fixture.net(name).sent().len()).collect();
    assert_eq!(sent, [3, 3, 3]);
}
