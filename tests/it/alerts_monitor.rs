//! Which events cause an alert, and how often.

use flockd::clock::Clock as _;
use flockd::flock::NetworkKind;
use flockd::flock::changes::Changes;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, Move, Post, Why};
use flockd::flock::{AtEnd, Bot};
use flockd::store::{Beginning, Draft};
use serde_json::Value;

use crate::ledger;
use crate::support::alert_fixture::AlertFixture;
use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::Next;

/// The instant from which `ledger::at` counts seconds.
const START: &str = "2027-01-15T08:00:00Z";

/// A bot whose next slot is far away.
fn seldom(name: &str) -> Bot {
    Bot { schedule: cron("@yearly"), network: NetworkKind::Paper, ..bot(name) }
}

async fn over(bots: &[&str]) -> AlertFixture {
    AlertFixture::over(START, bots.iter().map(|name| (seldom(name), "one\ntwo\n"))).await
}

fn why(cause: Cause, reason: &str) -> Why {
    Why::new(cause, reason)
}

/// Gives up a slot of a bot.
async fn give_up(fixture: &AlertFixture, name: &str, cause: Cause, reason: &str) -> Post {
    let begins = Beginning::Released(why(cause, reason));
    fixture.store.open(&Draft { begins, ..ledger::given_up(name, 5) }).await.unwrap()
}

/// Leaves a post of a bot with an unknown outcome that a person has to settle.
async fn ask(fixture: &AlertFixture, name: &str) -> Post {
    let post = fixture.store.open(&ledger::by_hand(name, "text", 1)).await.unwrap();
    let doubt = Move::Doubt(why(Cause::Ask, "no answer came, and the account may not be read"));
    fixture.store.advance(post.id, &doubt, ledger::at(2)).await.unwrap()
}

/// Exhausts the poem of a bot.
async fn exhaust(fixture: &AlertFixture, name: &str) {
    for (second, line) in [(1, "one"), (2, "two")] {
        let post = fixture.store.open(&ledger::of_slot(name, line, 1, second)).await.unwrap();
        fixture
            .store
            .advance(post.id, &ledger::posted(&format!("{name}-{line}")), ledger::at(3))
            .await
            .unwrap();
    }
}

#[track_caller]
fn check(alert: &Value, [bot, cause, state]: [&str; 3], parts: &[&str]) {
    assert_eq!(
        (&alert["bot"], &alert["cause"], &alert["state"]),
        (&bot.into(), &cause.into(), &state.into())
    );
    let (text, message) = (alert["text"].as_str().unwrap(), alert["message"].as_str().unwrap());
    assert!(text.starts_with(&format!("{bot} on ")) && text.ends_with(message), "{text}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
}

/// Every state that needs a person and can be read from the ledger.
async fn all_ill() -> AlertFixture {
    let mut robin = bot("robin");
    robin.schedule = cron("@yearly");
    let names = ["credits", "asks", "done", "paused", "fine", "resting"];
    let bots = names.map(seldom).into_iter().chain([robin]).map(|bot| (bot, "one\ntwo\n"));
    let fixture = AlertFixture::over(START, bots).await;
    give_up(&fixture, "credits", Cause::Credits, "the app's credits are used up: buy some").await;
    ask(&fixture, "asks").await;
    exhaust(&fixture, "done").await;
    let put_back = "the ledger was put back: look, then `flockd resume paused`";
    fixture.store.pause(&ledger::bot("paused"), Some(put_back), ledger::at(0)).await.unwrap();
    fixture.store.pause(&ledger::bot("resting"), None, ledger::at(0)).await.unwrap();
    fixture
}

#[tokio::test]
async fn a_failed_reload_alerts_once_a_day_until_it_succeeds() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    let refused = Event::NotReloaded { complaints: vec!["flock.toml:7: odd".to_owned()] };
    fixture.tell(&refused);
    let expect = "the flock could not be reloaded and keeps running as before: flock.toml:7: odd";
    assert_eq!(fixture.hook.next().await.json()["text"], expect);
    fixture.tell(&refused);
    fixture.later(hours(24)).await;
    assert_eq!(fixture.hook.next().await.json()["text"], expect, "the next day");
    fixture.tell(&Event::Reloaded(Changes::default()));
    assert_eq!(fixture.hook.next().await.json()["resolved"], true);
    fixture.later(hours(24)).await;
    fixture.asleep(minutes(1)).await;
    assert!(fixture.hook.more().is_none());
}

#[tokio::test]
async fn bots_that_need_a_person_are_counted_and_a_new_target_is_told_of_all() {
    let mut fixture = all_ill().await;
    fixture.watch(Vec::new()).await;
    fixture.needy(5).await;
    fixture.store.resume(&ledger::bot("paused"), ledger::at(9)).await.unwrap();
    fixture.after(minutes(1)).await;
    fixture.needy(4).await;
    assert!(fixture.hook.more().is_none());
    fixture.tell_these(vec![fixture.webhook()]);
    fixture.after(minutes(1)).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(fixture.hook.next().await.json()["bot"].as_str().unwrap().to_owned());
    }
    assert_eq!(told, ["credits", "asks", "done", "robin"]);
}

#[tokio::test]
async fn a_bot_that_needs_a_person_alerts_once_a_day_with_the_remedy() {
    let mut fixture = all_ill().await;
    for _ in 0..2 {
        fixture.watch_by_webhook().await;
        check(
            &fixture.hook.next().await.json(),
            ["credits", "credits", "suspended"],
            &["since 2027", "buy some"],
        );
        check(
            &fixture.hook.next().await.json(),
            ["asks", "unknown", "unknown"],
            &["flockd settle ", "--not-posted"],
        );
        check(&fixture.hook.next().await.json(), ["done", "exhausted", "exhausted"], &["add lines"]);
        check(&fixture.hook.next().await.json(), ["paused", "paused", "paused"], &["`flockd resume paused`"]);
        check(
            &fixture.hook.next().await.json(),
            ["robin", "sign-in", "suspended"],
            &["`flockd enroll robin`"],
        );
        for _ in 0..5 {
            fixture.wait_for(|event| matches!(event, Event::Alerted { .. })).await;
        }
        // Not an hour later, and not after a restart.
        fixture.later(hours(1)).await;
        fixture.asleep(minutes(1)).await;
        fixture.watch_by_webhook().await;
        fixture.asleep(minutes(1)).await;
        assert!(fixture.hook.more().is_none());
        fixture.leave().await;
        fixture.clock.advance(hours(24));
    }
    assert!(!fixture.told().iter().any(|event| matches!(event, Event::AlertFailed { .. })));
}

#[tokio::test]
async fn a_lasting_problem_alerts_again_the_next_day() {
    let mut fixture = over(&["walt"]).await;
    exhaust(&fixture, "walt").await;
    fixture.watch_by_webhook().await;
    assert_eq!(fixture.hook.next().await.json()["at"], START);
    fixture.later(hours(15)).await;
    fixture.asleep(minutes(1)).await;
    assert!(fixture.hook.more().is_none());
    fixture.later(hours(1)).await;
    check(&fixture.hook.next().await.json(), ["walt", "exhausted", "exhausted"], &[]);
    assert!(fixture.hook.more().is_none());
}

#[tokio::test]
async fn a_late_alert_counts_for_the_day_of_its_problem() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    fixture.later(minutes(16 * 60 - 1)).await;
    fixture.asleep(minutes(1)).await;
    for _ in 0..4 {
        fixture.hook.then(crate::support::hook::Next::Echo(500));
    }
    let panicked = Event::Panicked { bot: ledger::bot("walt") };
    fixture.tell(&panicked);
    for pause in [5, 20, 60] {
        fixture.hook.next().await;
        fixture.after(seconds(pause)).await;
    }
    fixture.hook.next().await;
    fixture.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await;
    fixture.later(minutes(10)).await;
    assert_eq!(fixture.hook.next().await.json()["at"], "2027-01-15T23:59:00Z");
    fixture.tell(&panicked);
    assert_eq!(fixture.hook.next().await.json()["at"], "2027-01-16T00:10:25Z");
    fixture.tell(&panicked);
    fixture.asleep(minutes(1)).await;
    assert!(fixture.hook.more().is_none());
}

#[tokio::test]
async fn an_event_triggers_a_check_of_its_bot() {
    let mut fixture = over(&["walt", "emily"]).await;
    fixture.watch_by_webhook().await;
    let walt = give_up(&fixture, "walt", Cause::App, "the app may only read: set it to Read and write").await;
    fixture.tell(&Event::Released(walt.clone()));
    fixture.tell(&Event::Released(walt));
    check(&fixture.hook.next().await.json(), ["walt", "app", "suspended"], &["Read and write"]);
    let emily = ask(&fixture, "emily").await;
    fixture.tell(&Event::Looked(emily));
    check(&fixture.hook.next().await.json(), ["emily", "unknown", "unknown"], &["flockd settle"]);
    // A second cause on the same day is another alert.
    exhaust(&fixture, "walt").await;
    fixture.tell(&Event::Exhausted { bot: ledger::bot("walt"), remedy: "add lines" });
    check(&fixture.hook.next().await.json(), ["walt", "exhausted", "exhausted"], &["add lines"]);
}

#[tokio::test]
async fn a_problem_of_a_bot_that_keeps_posting_alerts_once_a_day() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    let flood =
        give_up(&fixture, "walt", Cause::Flood, "60 posts in sixty minutes: thin out the schedule").await;
    let budget =
        Post { cause: Some(Cause::Budget), reason: Some("the budget is used up".into()), ..flood.clone() };
    let assumed = Post { reason: Some("assumed: no answer came".into()), ..flood.clone() };
    let panicked = Event::Panicked { bot: ledger::bot("walt") };
    let story = [
        (Event::Released(flood), "flood", "thin out"),
        (Event::Released(budget), "budget", "used up"),
        (Event::Posted(assumed), "assumed", "no answer"),
        (panicked, "panic", "please report it"),
    ];
    for (event, cause, part) in &story {
        fixture.tell(event);
        fixture.tell(event);
        check(&fixture.hook.next().await.json(), ["walt", cause, "ok"], &[part]);
    }
}

#[tokio::test]
async fn a_bot_that_cannot_reconcile_after_a_restore_alerts() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    fixture.tamper("update bot set behind_since = considered").await;
    let locked = why(Cause::Account, "the account is locked: sign in to it");
    fixture.store.note_unreconciled(&ledger::bot("walt"), &locked).await.unwrap();
    fixture.tell(&Event::NotCaughtUp { bot: ledger::bot("walt"), reason: locked.reason });
    let parts = &["comes from a copy", "the account is locked"];
    check(&fixture.hook.next().await.json(), ["walt", "account", "suspended"], parts);
}

#[tokio::test]
async fn an_app_on_hold_alerts_under_its_own_name() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    let reason = "the app's credits are used up".to_owned();
    fixture.tell(&Event::AppCooldown { app: "x".to_owned(), until: at("2027-01-15T09:30:00Z"), reason });
    let alert = fixture.hook.next().await.json();
    assert_eq!(
        alert["text"],
        "app x sends nothing until 2027-01-15 09:30 UTC: the app's credits are used up"
    );
    assert_eq!((&alert["bot"], &alert["cause"]), (&Value::Null, &"held".into()));
}

#[tokio::test]
async fn a_ledger_error_alerts_once_it_lasts() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    let trouble =
        Event::LedgerTrouble { bot: Some(ledger::bot("walt")), problem: "the disk is full".to_owned() };
    // It comes and goes without an alert; then it lasts.
    for minute in 0..9 {
        if ![2, 3].contains(&minute) {
            fixture.tell(&trouble);
        }
        fixture.after(minutes(1)).await;
        assert!(fixture.hook.more().is_none(), "minute {minute}");
    }
    fixture.tell(&trouble);
    let alert = fixture.hook.next().await.json();
    assert_eq!(alert["text"], "the flock can't use its ledger: the disk is full");
}

#[tokio::test]
async fn a_ledger_error_lasts_even_while_no_alert_can_be_sent() {
    let mut fixture = over(&["walt"]).await;
    fixture.watch_by_webhook().await;
    for _ in 0..4 {
        fixture.hook.then(crate::support::hook::Next::Echo(500));
    }
    fixture.tell(&Event::Panicked { bot: ledger::bot("walt") });
    for _ in 0..3 {
        fixture.hook.next().await;
        fixture.tell(&Event::LedgerTrouble { bot: None, problem: "the disk is full".to_owned() });
        fixture.later(minutes(2)).await;
    }
    fixture.hook.next().await;
    fixture.tell(&Event::LedgerTrouble { bot: None, problem: "the disk is full".to_owned() });
    fixture.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await;
    fixture.later(minutes(10)).await;
    let told = [fixture.hook.next().await.json(), fixture.hook.next().await.json()];
    assert_eq!(told.map(|alert| alert["cause"].clone()), ["panic", "ledger"]);
}

#[tokio::test]
async fn a_bot_alerts_once_it_stays_overdue() {
    let mut walt = seldom("walt");
    (walt.schedule, walt.max_late) = (cron("@hourly"), seconds(600));
    let mut fixture = AlertFixture::over(START, [(walt, "one\n"), (seldom("emily"), "one\n")]).await;
    fixture.watch_by_webhook().await;
    // As after a night's sleep: the engine posts between two checks.
    fixture.later(hours(8)).await;
    fixture.asleep(minutes(1)).await;
    fixture.store.advance_last_slot(&ledger::bot("walt"), at("2027-01-15T16:00:00Z"), 8).await.unwrap();
    fixture.after(minutes(1)).await;
    fixture.after(minutes(1)).await;
    fixture.asleep(minutes(1)).await;
    assert!(fixture.hook.more().is_none());
    // Now it does not post.
    fixture.later(hours(2)).await;
    fixture.after(minutes(1)).await;
    check(
        &fixture.hook.next().await.json(),
        ["walt", "overdue", "overdue"],
        &["2027-01-15 17:00:00 UTC", "log"],
    );
}

/// A booting machine's clock may be about to be set, so only a lasting difference causes an alert.
#[tokio::test]
async fn a_last_slot_ahead_of_the_clock_alerts_once_it_lasts() {
    let walt = Bot { schedule: cron("@hourly"), ..seldom("walt") };
    let mut fixture = AlertFixture::over(START, [(walt, "one\n")]).await;
    fixture.store.advance_last_slot(&ledger::bot("walt"), at("2037-01-15T09:00:00Z"), 0).await.unwrap();
    fixture.watch_by_webhook().await;
    fixture.after(minutes(1)).await;
    fixture.after(minutes(1)).await;
    let alert = fixture.hook.next().await.json();
    check(
        &alert,
        ["walt", "clock", "suspended"],
        &["2037-01-15 09:00 UTC", "ahead of this machine's clock", "`flockd resume walt`"],
    );
    fixture.store.resume(&ledger::bot("walt"), fixture.clock.now()).await.unwrap();
    fixture.after(minutes(1)).await;
    fixture.after(minutes(1)).await;
    let end = fixture.hook.next().await.json();
    assert_eq!((&end["cause"], &end["resolved"]), (&"clock".into(), &true.into()), "{end}");
}

#[tokio::test]
async fn a_problem_fixed_before_its_alert_was_sent_is_not_sent() {
    let mut fixture = over(&["walt", "emily"]).await;
    let walt = ask(&fixture, "walt").await;
    for _ in 0..4 {
        fixture.hook.then(crate::support::hook::Next::Echo(500));
    }
    fixture.watch_by_webhook().await;
    for pause in [5, 20, 60] {
        fixture.hook.next().await;
        fixture.after(seconds(pause)).await;
    }
    fixture.hook.next().await;
    fixture.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await;
    fixture.store.advance(walt.id, &ledger::posted("1"), ledger::at(9)).await.unwrap();
    exhaust(&fixture, "emily").await;
    fixture.tell(&Event::Exhausted { bot: ledger::bot("emily"), remedy: "add lines" });
    fixture.later(minutes(10)).await;
    check(&fixture.hook.next().await.json(), ["emily", "exhausted", "exhausted"], &[]);
}

#[tokio::test]
async fn a_panic_alerts_and_stops_no_other_bot() {
    let mut robin = bot("robin");
    robin.at_end = AtEnd::Again;
    let engine = EngineFixture::of([(bot("walt"), poem("w", 9)), (robin, poem("r", 9))]).await;
    engine.net("walt").then(Next::Panic);
    engine.pass(minutes(1)).await;
    let event = engine.wait_for(|event| matches!(event, Event::Panicked { .. })).await;
    let mut fixture = over(&["walt", "robin"]).await;
    fixture.watch_by_webhook().await;
    fixture.tell(&event);
    check(&fixture.hook.next().await.json(), ["walt", "panic", "ok"], &["the other bots keep posting"]);
    engine.pass(minutes(1)).await;
    assert_eq!(engine.net("robin").texts(), ["r1", "r2"]);
}
