//! How an alert reaches people, and that no receiver does harm.

use std::fs;
use std::io::Read;
use std::process::Command;

use flockd::clock::Clock;
use flockd::flock::event::Event;
use flockd::flock::{Bot, NetworkKind};
use tokio::sync::oneshot::channel;

use crate::ledger;
use crate::support::clock::{minutes, seconds};
use crate::support::flock::{bot, cron};
use crate::support::hook::Next;
use crate::support::tower::{PATH, Tower};

/// The pauses before another attempt, and before another round, in seconds.
const PAUSES: [u64; 3] = [5, 20, 60];
const ROUND: u64 = 10;

/// A tower over a bot of which there is nothing to tell.
async fn quiet() -> Tower {
    let walt = Bot { schedule: cron("@yearly"), network: NetworkKind::Paper, ..bot("walt") };
    Tower::over("2027-01-15T08:00:00Z", [(walt, "one\n")]).await
}

/// Has something happen of which a person is told.
fn panic(tower: &Tower) {
    tower.tell(&Event::Panicked { bot: "walt".parse().unwrap() });
}

async fn delivered(tower: &Tower) {
    let is_it =
        |event: &Event| matches!(event, Event::Alerted { about, cause: "panic", .. } if about == "walt");
    tower.wait_for(is_it).await;
}

async fn failed(tower: &Tower) -> String {
    match tower.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await {
        Event::AlertFailed { problem, .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_webhook_is_told_as_json_at_its_very_url() {
    let mut tower = quiet().await;
    tower.watch_by_webhook().await;
    panic(&tower);
    let told = tower.hook.next().await;
    assert_eq!((told.method.as_str(), &*told.path), ("POST", PATH));
    assert_eq!(told.headers["content-type"], "application/json");
    assert!(told.json()["text"].as_str().unwrap().starts_with("walt on paper has met a bug in flockd: "));
    delivered(&tower).await;
}

#[tokio::test]
async fn a_webhook_that_fails_twice_is_told_by_the_third_attempt() {
    let mut tower = quiet().await;
    tower.hook.then(Next::Echo(500));
    tower.hook.then(Next::Echo(503));
    tower.watch_by_webhook().await;
    panic(&tower);
    for pause in &PAUSES[..2] {
        tower.hook.next().await;
        tower.after(seconds(*pause)).await;
    }
    tower.hook.next().await;
    delivered(&tower).await;
    assert!(!tower.told().iter().any(|event| matches!(event, Event::AlertFailed { .. })));
}

#[tokio::test]
async fn a_webhook_that_goes_on_failing_is_tried_again_later_and_its_secret_is_not_shown() {
    let mut tower = quiet().await;
    for _ in 0..=PAUSES.len() {
        tower.hook.then(Next::Echo(500));
    }
    tower.watch_by_webhook().await;
    panic(&tower);
    for pause in PAUSES {
        tower.hook.next().await;
        tower.after(seconds(pause)).await;
    }
    tower.hook.next().await;
    assert!(failed(&tower).await.contains("HTTP 500"));
    assert!(!format!("{:?} {:?}", tower.told(), tower.webhook()).contains("sesame"));
    for _ in 0..ROUND {
        assert!(tower.hook.more().is_none());
        tower.after(minutes(1)).await;
    }
    tower.hook.next().await;
    delivered(&tower).await;
}

#[tokio::test]
async fn a_webhook_that_hangs_redirects_or_talks_on_does_no_harm() {
    let mut tower = quiet().await;
    for next in [Next::Hang, Next::Elsewhere, Next::Long] {
        tower.hook.then(next);
    }
    tower.watch(vec![tower.webhook_in_haste()]).await;
    panic(&tower);
    for pause in &PAUSES[..2] {
        assert_eq!(tower.hook.next().await.path, PATH);
        tower.after(seconds(*pause)).await;
    }
    assert_eq!(tower.hook.next().await.path, PATH, "a webhook's redirect is not followed");
    delivered(&tower).await;
}

#[tokio::test]
async fn a_webhook_that_is_gone_is_said_to_be() {
    let mut tower = quiet().await;
    let gone = tower.webhook();
    tower.hook = crate::support::hook::Hook::start().await;
    tower.watch(vec![gone]).await;
    panic(&tower);
    for pause in PAUSES {
        tower.after(seconds(pause)).await;
    }
    let problem = failed(&tower).await;
    assert!(problem.contains("the webhook ") && !problem.contains("sesame"), "{problem}");
}

#[tokio::test]
async fn one_receiver_that_fails_keeps_nothing_from_the_other() {
    let mut tower = quiet().await;
    tower.watch_by_command("exit 1").await;
    let broken = flockd::alerts::AlertCommand::new(&["/nonexistent/program".to_owned()]).unwrap();
    tower.watch(vec![flockd::alerts::AlertTarget::Command(broken), tower.webhook()]).await;
    panic(&tower);
    tower.hook.next().await;
    for pause in PAUSES {
        tower.after(seconds(pause)).await;
    }
    let problem = failed(&tower).await;
    assert!(problem.starts_with("the command can't be run: No such file"), "{problem}");
    delivered(&tower).await;
    // The one who was told is not told twice because the other was not.
    for _ in 0..ROUND {
        tower.after(minutes(1)).await;
    }
    for pause in PAUSES {
        tower.after(seconds(pause)).await;
    }
    failed(&tower).await;
    assert!(tower.hook.more().is_none());
}

/// Has something happen to another bot of which a person is told.
fn hold(tower: &Tower, app: &str) {
    let (app, until) = (app.to_owned(), tower.clock.now());
    tower.tell(&Event::Held { app, until, reason: "credits".to_owned() });
}

#[tokio::test]
async fn what_is_refused_keeps_nothing_back_and_is_dropped_after_a_day() {
    let mut tower = quiet().await;
    tower.hook.refuse("walt on paper");
    tower.watch_by_webhook().await;
    panic(&tower);
    hold(&tower, "one");
    for pause in PAUSES {
        assert_eq!(tower.hook.next().await.json()["bot"], "walt");
        tower.after(seconds(pause)).await;
    }
    for cause in ["panic", "held"] {
        assert_eq!(tower.hook.next().await.json()["cause"], cause);
    }
    // The round was not in vain, so there is another one before there is a rest.
    for pause in PAUSES {
        assert_eq!(tower.hook.next().await.json()["bot"], "walt");
        tower.after(seconds(pause)).await;
    }
    assert_eq!(tower.hook.next().await.json()["bot"], "walt");
    tower.asleep(minutes(1)).await;
    assert!(tower.hook.more().is_none());
    tower.later(minutes(24 * 60)).await;
    let expect = Event::AlertDropped { receiver: "webhook", about: "walt".to_owned(), cause: "panic" };
    tower.wait_for(|event| *event == expect).await;
    hold(&tower, "two");
    let text = tower.hook.next().await.json()["text"].to_string();
    assert!(text.contains("app two"), "{text}");
}

#[tokio::test]
async fn a_receiver_rests_when_all_that_waits_was_tried() {
    let mut tower = quiet().await;
    for _ in 0..=PAUSES.len() + 2 {
        tower.hook.then(Next::Echo(500));
    }
    tower.watch_by_webhook().await;
    for app in ["one", "two", "three"] {
        hold(&tower, app);
    }
    let mut tried = Vec::new();
    for pause in PAUSES {
        tower.hook.next().await;
        tower.after(seconds(pause)).await;
    }
    for _ in 0..3 {
        failed(&tower).await;
        tried.push(tower.hook.next().await.json()["text"].to_string());
    }
    for _ in 1..ROUND {
        tower.after(minutes(1)).await;
    }
    tower.asleep(minutes(1)).await;
    assert!(tower.hook.more().is_none());
    tower.after(minutes(1)).await;
    for text in tried {
        assert_eq!(tower.hook.next().await.json()["text"].to_string(), text);
    }
}

#[tokio::test]
async fn what_one_receiver_was_told_the_other_hears_after_a_restart() {
    let mut tower = quiet().await;
    tower.store.pause(&ledger::bot("walt"), Some("the ledger was put back"), ledger::at(0)).await.unwrap();
    for _ in 0..=PAUSES.len() {
        tower.hook.then(Next::Echo(500));
    }
    tower.watch_by_both("echo told >> FOLDER/got").await;
    // A command runs in real time: if the clock is moved before it has ended, it took longer than it may.
    tower.wait_for(|event| matches!(event, Event::Alerted { receiver: "command", .. })).await;
    for pause in PAUSES {
        tower.hook.next().await;
        tower.after(seconds(pause)).await;
    }
    tower.hook.next().await;
    failed(&tower).await;
    tower.watch_by_both("echo told >> FOLDER/got").await;
    assert_eq!(tower.hook.next().await.json()["bot"], "walt");
    tower.asleep(minutes(1)).await;
    assert_eq!(fs::read_to_string(tower.folder().join("got")).unwrap(), "told\n");
}

#[tokio::test]
async fn a_command_gets_the_alert_on_its_standard_input() {
    let mut tower = quiet().await;
    tower.watch_by_command("cat > FOLDER/got; echo much; echo more >&2").await;
    panic(&tower);
    delivered(&tower).await;
    let got: serde_json::Value =
        serde_json::from_slice(&fs::read(tower.folder().join("got")).unwrap()).unwrap();
    assert_eq!((&got["bot"], &got["cause"]), (&"walt".into(), &"panic".into()));
}

#[tokio::test]
async fn of_a_command_that_fails_one_line_is_shown() {
    let mut tower = quiet().await;
    tower
        .watch_by_command("echo aloud; echo 'no route to you' >&2; yes more | head -100000 >&2; exit 7")
        .await;
    panic(&tower);
    for pause in PAUSES {
        tower.after(seconds(pause)).await;
    }
    assert_eq!(failed(&tower).await, "the command has failed (exit status: 7): no route to you");
}

#[tokio::test]
async fn a_command_that_leaves_a_child_behind_is_done_when_it_ends() {
    let mut tower = quiet().await;
    tower.watch_by_command("sleep 1000 & echo $! > FOLDER/behind").await;
    panic(&tower);
    delivered(&tower).await;
    let behind = fs::read_to_string(tower.folder().join("behind")).unwrap();
    assert!(Command::new("kill").arg(behind.trim()).status().unwrap().success(), "it was left alone");
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_that_it_has_started() {
    let mut tower = quiet().await;
    let fifo = tower.folder().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let ((tell_begun, begun), (tell_ended, ended)) = (channel(), channel());
    // Opening waits for a writer, and reading ends when the last writer is gone.
    std::thread::spawn(move || {
        let mut fifo = fs::File::open(fifo).unwrap();
        tell_begun.send(()).unwrap();
        tell_ended.send(fifo.read_to_end(&mut Vec::new()).unwrap()).unwrap();
    });
    tower.watch_by_command("sleep 1000 > FOLDER/fifo & wait").await;
    panic(&tower);
    begun.await.unwrap();
    for pause in PAUSES {
        tower.after(seconds(30)).await;
        tower.after(seconds(pause)).await;
    }
    tower.after(seconds(30)).await;
    assert_eq!(failed(&tower).await, "the command took longer than 30 s and was ended");
    let heard = tokio::time::timeout(crate::support::PATIENCE, ended).await;
    heard.expect("it goes on").unwrap();
}
