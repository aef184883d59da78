//! Delivery of alerts: retries and backoff, and targets that fail, hang or redirect without affecting the
//! others.

use std::fs;
use std::io::Read;
use std::process::Command;

use flockd::clock::Clock;
use flockd::flock::event::Event;
use flockd::flock::{Bot, NetworkKind};
use tokio::sync::oneshot::channel;

use crate::ledger;
use crate::support::alert_fixture::{AlertFixture, PATH};
use crate::support::clock::{minutes, seconds};
use crate::support::flock::{bot, cron};
use crate::support::hook::Next;
use crate::support::patiently;

/// The delays before the next attempt and before the next round, in seconds.
const PAUSES: [u64; 3] = [5, 20, 60];
const ROUND: u64 = 10;

/// A monitor with a bot that causes no alert.
async fn quiet() -> AlertFixture {
    let walt = Bot { schedule: cron("@yearly"), network: NetworkKind::Paper, ..bot("walt") };
    AlertFixture::over("2027-01-15T08:00:00Z", [(walt, "one\n")]).await
}

/// Causes an alert.
fn panic(fixture: &AlertFixture) {
    fixture.tell(&Event::Panicked { bot: "walt".parse().unwrap() });
}

async fn delivered(fixture: &AlertFixture) {
    let is_it =
        |event: &Event| matches!(event, Event::Alerted { about, cause: "panic", .. } if about == "walt");
    fixture.wait_for(is_it).await;
}

async fn failed(fixture: &AlertFixture) -> String {
    match fixture.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await {
        Event::AlertFailed { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_webhook_gets_json_at_exactly_its_url() {
    let mut fixture = quiet().await;
    fixture.watch_by_webhook().await;
    panic(&fixture);
    let told = fixture.hook.next().await;
    assert_eq!((told.method.as_str(), &*told.path), ("POST", PATH));
    assert_eq!(told.headers["content-type"], "application/json");
    assert!(told.json()["text"].as_str().unwrap().starts_with("walt on paper hit a bug in flockd: "));
    delivered(&fixture).await;
}

#[tokio::test]
async fn a_webhook_that_fails_twice_gets_the_alert_at_the_third_attempt() {
    let mut fixture = quiet().await;
    fixture.hook.then(Next::Echo(500));
    fixture.hook.then(Next::Echo(503));
    fixture.watch_by_webhook().await;
    panic(&fixture);
    for pause in &PAUSES[..2] {
        fixture.hook.next().await;
        fixture.after(seconds(*pause)).await;
    }
    fixture.hook.next().await;
    delivered(&fixture).await;
    assert!(!fixture.told().iter().any(|event| matches!(event, Event::AlertFailed { .. })));
}

#[tokio::test]
async fn a_failing_webhook_is_retried_later_and_its_secret_is_not_shown() {
    let mut fixture = quiet().await;
    for _ in 0..=PAUSES.len() {
        fixture.hook.then(Next::Echo(500));
    }
    fixture.watch_by_webhook().await;
    panic(&fixture);
    for pause in PAUSES {
        fixture.hook.next().await;
        fixture.after(seconds(pause)).await;
    }
    fixture.hook.next().await;
    assert!(failed(&fixture).await.contains("HTTP 500"));
    assert!(!format!("{:?} {:?}", fixture.told(), fixture.webhook()).contains("sesame"));
    for _ in 0..ROUND {
        assert!(fixture.hook.more().is_none());
        fixture.after(minutes(1)).await;
    }
    fixture.hook.next().await;
    delivered(&fixture).await;
}

#[tokio::test]
async fn a_webhook_that_hangs_redirects_or_never_ends_does_no_harm() {
    let mut fixture = quiet().await;
    for next in [Next::Hang, Next::Elsewhere, Next::Long] {
        fixture.hook.then(next);
    }
    fixture.watch(vec![fixture.webhook_in_haste()]).await;
    panic(&fixture);
    for pause in &PAUSES[..2] {
        assert_eq!(fixture.hook.next().await.path, PATH);
        fixture.after(seconds(*pause)).await;
    }
    assert_eq!(fixture.hook.next().await.path, PATH, "a webhook's redirect is not followed");
    delivered(&fixture).await;
}

#[tokio::test]
async fn a_webhook_that_is_gone_is_reported() {
    let mut fixture = quiet().await;
    let gone = fixture.webhook();
    fixture.hook = crate::support::hook::Hook::start().await;
    fixture.watch(vec![gone]).await;
    panic(&fixture);
    for pause in PAUSES {
        fixture.after(seconds(pause)).await;
    }
    let problem = failed(&fixture).await;
    assert!(problem.contains("the webhook ") && !problem.contains("sesame"), "{problem}");
}

#[tokio::test]
async fn a_failing_target_does_not_delay_the_other() {
    let mut fixture = quiet().await;
    fixture.watch_by_command("exit 1").await;
    let broken = flockd::alerts::AlertCommand::new(&["/nonexistent/program".to_owned()]).unwrap();
    fixture.watch(vec![flockd::alerts::AlertTarget::Command(broken), fixture.webhook()]).await;
    panic(&fixture);
    fixture.hook.next().await;
    for pause in PAUSES {
        fixture.after(seconds(pause)).await;
    }
    let problem = failed(&fixture).await;
    assert!(problem.starts_with("the command can't be run: No such file"), "{problem}");
    delivered(&fixture).await;
    // The target that already has the alert does not get it again because of the other.
    for _ in 0..ROUND {
        fixture.after(minutes(1)).await;
    }
    for pause in PAUSES {
        fixture.after(seconds(pause)).await;
    }
    failed(&fixture).await;
    assert!(fixture.hook.more().is_none());
}

/// Causes an alert about another bot.
fn hold(fixture: &AlertFixture, app: &str) {
    let (app, until) = (app.to_owned(), fixture.clock.now());
    fixture.tell(&Event::AppCooldown { app, until, reason: "credits".to_owned() });
}

#[tokio::test]
async fn a_refused_alert_blocks_no_other_and_is_dropped_after_a_day() {
    let mut fixture = quiet().await;
    fixture.hook.refuse("walt on paper");
    fixture.watch_by_webhook().await;
    panic(&fixture);
    hold(&fixture, "one");
    for pause in PAUSES {
        assert_eq!(fixture.hook.next().await.json()["bot"], "walt");
        fixture.after(seconds(pause)).await;
    }
    for cause in ["panic", "held"] {
        assert_eq!(fixture.hook.next().await.json()["cause"], cause);
    }
    // One alert was accepted, so another round follows before the backoff.
    for pause in PAUSES {
        assert_eq!(fixture.hook.next().await.json()["bot"], "walt");
        fixture.after(seconds(pause)).await;
    }
    assert_eq!(fixture.hook.next().await.json()["bot"], "walt");
    fixture.asleep(minutes(1)).await;
    assert!(fixture.hook.more().is_none());
    fixture.later(minutes(24 * 60)).await;
    let expect = Event::AlertDropped { receiver: "webhook", about: "walt".to_owned(), cause: "panic" };
    fixture.wait_for(|event| *event == expect).await;
    hold(&fixture, "two");
    let text = fixture.hook.next().await.json()["text"].to_string();
    assert!(text.contains("app two"), "{text}");
}

#[tokio::test]
async fn a_target_backs_off_once_every_waiting_alert_was_tried() {
    let mut fixture = quiet().await;
    for _ in 0..=PAUSES.len() + 2 {
        fixture.hook.then(Next::Echo(500));
    }
    fixture.watch_by_webhook().await;
    for app in ["one", "two", "three"] {
        hold(&fixture, app);
    }
    let mut tried = Vec::new();
    for pause in PAUSES {
        fixture.hook.next().await;
        fixture.after(seconds(pause)).await;
    }
    for _ in 0..3 {
        failed(&fixture).await;
        tried.push(fixture.hook.next().await.json()["text"].to_string());
    }
    for _ in 1..ROUND {
        fixture.after(minutes(1)).await;
    }
    fixture.asleep(minutes(1)).await;
    assert!(fixture.hook.more().is_none());
    fixture.after(minutes(1)).await;
    for text in tried {
        assert_eq!(fixture.hook.next().await.json()["text"].to_string(), text);
    }
}

#[tokio::test]
async fn after_a_restart_each_target_gets_what_it_has_not_had() {
    let mut fixture = quiet().await;
    fixture.store.pause(&ledger::bot("walt"), Some("the ledger was put back"), ledger::at(0)).await.unwrap();
    for _ in 0..=PAUSES.len() {
        fixture.hook.then(Next::Echo(500));
    }
    fixture.watch_by_both("echo told >> FOLDER/got").await;
    // A command runs in real time: moving the clock before it ends would exceed its timeout.
    fixture.wait_for(|event| matches!(event, Event::Alerted { receiver: "command", .. })).await;
    for pause in PAUSES {
        fixture.hook.next().await;
        fixture.after(seconds(pause)).await;
    }
    fixture.hook.next().await;
    failed(&fixture).await;
    fixture.watch_by_both("echo told >> FOLDER/got").await;
    assert_eq!(fixture.hook.next().await.json()["bot"], "walt");
    fixture.asleep(minutes(1)).await;
    assert_eq!(fs::read_to_string(fixture.folder().join("got")).unwrap(), "told\n");
}

#[tokio::test]
async fn a_command_gets_the_alert_on_its_standard_input() {
    let mut fixture = quiet().await;
    fixture.watch_by_command("cat > FOLDER/got; echo much; echo more >&2").await;
    panic(&fixture);
    delivered(&fixture).await;
    let got: serde_json::Value =
        serde_json::from_slice(&fs::read(fixture.folder().join("got")).unwrap()).unwrap();
    assert_eq!((&got["bot"], &got["cause"]), (&"walt".into(), &"panic".into()));
}

#[tokio::test]
async fn one_line_of_a_failed_commands_output_is_logged() {
    let mut fixture = quiet().await;
    fixture
        .watch_by_command("echo aloud; echo 'no route to you' >&2; yes more | head -100000 >&2; exit 7")
        .await;
    panic(&fixture);
    for pause in PAUSES {
        fixture.after(seconds(pause)).await;
    }
    assert_eq!(failed(&fixture).await, "the command failed (exit status: 7): no route to you");
}

#[tokio::test]
async fn a_command_is_done_when_it_exits_even_if_a_child_remains() {
    let mut fixture = quiet().await;
    fixture.watch_by_command("sleep 1000 & echo $! > FOLDER/behind").await;
    panic(&fixture);
    delivered(&fixture).await;
    let behind = fs::read_to_string(fixture.folder().join("behind")).unwrap();
    assert!(Command::new("kill").arg(behind.trim()).status().unwrap().success(), "it was left alone");
}

#[tokio::test]
async fn a_hanging_command_is_killed_with_its_whole_process_group() {
    let mut fixture = quiet().await;
    let fifo = fixture.folder().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let ((tell_begun, begun), (tell_ended, ended)) = (channel(), channel());
    // `open` waits for a writer, and reading ends when the last writer is gone.
    std::thread::spawn(move || {
        let mut fifo = fs::File::open(fifo).unwrap();
        tell_begun.send(()).unwrap();
        tell_ended.send(fifo.read_to_end(&mut Vec::new()).unwrap()).unwrap();
    });
    fixture.watch_by_command("sleep 1000 > FOLDER/fifo & wait").await;
    panic(&fixture);
    patiently("the command to start", begun).await.unwrap();
    for pause in PAUSES {
        fixture.after(seconds(30)).await;
        fixture.after(seconds(pause)).await;
    }
    fixture.after(seconds(30)).await;
    assert_eq!(failed(&fixture).await, "the command took longer than 30 s and was killed");
    patiently("the end of the whole group", ended).await.unwrap();
}
