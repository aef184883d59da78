//! Of what a person is told, and how often.

use flockd::clock::Clock as _;
use flockd::flock::NetworkKind;
use flockd::flock::changes::Changes;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, Move, Post, Why};
use flockd::flock::{AtEnd, Bot};
use flockd::store::{Beginning, Draft};
use serde_json::Value;

use crate::ledger;
use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::fixture::House;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::Next;
use crate::support::tower::Tower;

/// In the words of `ledger`, the instant from which seconds are counted there.
const START: &str = "2027-01-15T08:00:00Z";

/// A bot that has long to go until its next slot.
fn seldom(name: &str) -> Bot {
    Bot { schedule: cron("@yearly"), network: NetworkKind::Paper, ..bot(name) }
}

async fn over(bots: &[&str]) -> Tower {
    Tower::over(START, bots.iter().map(|name| (seldom(name), "one\ntwo\n"))).await
}

fn why(cause: Cause, reason: &str) -> Why {
    Why::new(cause, reason)
}

/// Gives up a slot of a bot.
async fn give_up(tower: &Tower, name: &str, cause: Cause, reason: &str) -> Post {
    let begins = Beginning::Released(why(cause, reason));
    tower.store.open(&Draft { begins, ..ledger::given_up(name, 5) }).await.unwrap()
}

/// Has a bot wait for a person who settles its post.
async fn ask(tower: &Tower, name: &str) -> Post {
    let post = tower.store.open(&ledger::by_hand(name, "text", 1)).await.unwrap();
    let doubt = Move::Doubt(why(Cause::Ask, "no answer came, and the account may not be read"));
    tower.store.advance(post.id, &doubt, ledger::at(2)).await.unwrap()
}

/// Has a bot use up its poem.
async fn exhaust(tower: &Tower, name: &str) {
    for (second, line) in [(1, "one"), (2, "two")] {
        let post = tower.store.open(&ledger::of_slot(name, line, 1, second)).await.unwrap();
        tower
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

/// Everything that a bot may be that needs a person, by the ledger alone.
async fn all_ill() -> Tower {
    let mut robin = bot("robin");
    robin.schedule = cron("@yearly");
    let names = ["credits", "asks", "done", "paused", "fine", "resting"];
    let bots = names.map(seldom).into_iter().chain([robin]).map(|bot| (bot, "one\ntwo\n"));
    let tower = Tower::over(START, bots).await;
    give_up(&tower, "credits", Cause::Credits, "the app's credits are used up: buy some").await;
    ask(&tower, "asks").await;
    exhaust(&tower, "done").await;
    let put_back = "the ledger was put back: look, then `flockd resume paused`";
    tower.store.pause(&ledger::bot("paused"), Some(put_back), ledger::at(0)).await.unwrap();
    tower.store.pause(&ledger::bot("resting"), None, ledger::at(0)).await.unwrap();
    tower
}

#[tokio::test]
async fn a_flock_that_cant_be_reloaded_is_told_each_day_until_it_can() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    let refused = Event::NotReloaded { complaints: vec!["flock.toml:7: odd".to_owned()] };
    tower.tell(&refused);
    let expect = "the flock could not be reloaded and goes on as it was: flock.toml:7: odd";
    assert_eq!(tower.hook.next().await.json()["text"], expect);
    tower.tell(&refused);
    tower.later(hours(24)).await;
    assert_eq!(tower.hook.next().await.json()["text"], expect, "the next day");
    tower.tell(&Event::Reloaded(Changes::default()));
    assert_eq!(tower.hook.next().await.json()["resolved"], true);
    tower.later(hours(24)).await;
    tower.asleep(minutes(1)).await;
    assert!(tower.hook.more().is_none());
}

#[tokio::test]
async fn how_many_need_a_person_is_known_and_who_is_new_to_it_is_told_of_all() {
    let mut tower = all_ill().await;
    tower.watch(Vec::new()).await;
    tower.needy(5).await;
    tower.store.resume(&ledger::bot("paused"), ledger::at(9)).await.unwrap();
    tower.after(minutes(1)).await;
    tower.needy(4).await;
    assert!(tower.hook.more().is_none());
    tower.tell_these(vec![tower.webhook()]);
    tower.after(minutes(1)).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(tower.hook.next().await.json()["bot"].as_str().unwrap().to_owned());
    }
    assert_eq!(told, ["credits", "asks", "done", "robin"]);
}

#[tokio::test]
async fn each_bot_that_needs_a_person_is_told_once_a_day_with_the_remedy() {
    let mut tower = all_ill().await;
    for _ in 0..2 {
        tower.watch_by_webhook().await;
        check(
            &tower.hook.next().await.json(),
            ["credits", "credits", "suspended"],
            &["since 2027", "buy some"],
        );
        check(
            &tower.hook.next().await.json(),
            ["asks", "unknown", "unknown"],
            &["flockd settle ", "--not-posted"],
        );
        check(&tower.hook.next().await.json(), ["done", "exhausted", "exhausted"], &["add lines"]);
        check(&tower.hook.next().await.json(), ["paused", "paused", "paused"], &["`flockd resume paused`"]);
        check(&tower.hook.next().await.json(), ["robin", "sign-in", "suspended"], &["`flockd enroll robin`"]);
        for _ in 0..5 {
            tower.wait_for(|event| matches!(event, Event::Alerted { .. })).await;
        }
        // Neither an hour later nor after a restart.
        tower.later(hours(1)).await;
        tower.asleep(minutes(1)).await;
        tower.watch_by_webhook().await;
        tower.asleep(minutes(1)).await;
        assert!(tower.hook.more().is_none());
        tower.leave().await;
        tower.clock.advance(hours(24));
    }
    assert!(!tower.told().iter().any(|event| matches!(event, Event::AlertFailed { .. })));
}

#[tokio::test]
async fn what_lasts_is_told_again_the_next_day_by_itself() {
    let mut tower = over(&["walt"]).await;
    exhaust(&tower, "walt").await;
    tower.watch_by_webhook().await;
    assert_eq!(tower.hook.next().await.json()["at"], START);
    tower.later(hours(15)).await;
    tower.asleep(minutes(1)).await;
    assert!(tower.hook.more().is_none());
    tower.later(hours(1)).await;
    check(&tower.hook.next().await.json(), ["walt", "exhausted", "exhausted"], &[]);
    assert!(tower.hook.more().is_none());
}

#[tokio::test]
async fn an_alert_that_comes_late_is_of_the_day_on_which_it_was_noticed() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    tower.later(minutes(16 * 60 - 1)).await;
    tower.asleep(minutes(1)).await;
    for _ in 0..4 {
        tower.hook.then(crate::support::hook::Next::Echo(500));
    }
    let panicked = Event::Panicked { bot: ledger::bot("walt") };
    tower.tell(&panicked);
    for pause in [5, 20, 60] {
        tower.hook.next().await;
        tower.after(seconds(pause)).await;
    }
    tower.hook.next().await;
    tower.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await;
    tower.later(minutes(10)).await;
    assert_eq!(tower.hook.next().await.json()["at"], "2027-01-15T23:59:00Z");
    tower.tell(&panicked);
    assert_eq!(tower.hook.next().await.json()["at"], "2027-01-16T00:10:25Z");
    tower.tell(&panicked);
    tower.asleep(minutes(1)).await;
    assert!(tower.hook.more().is_none());
}

#[tokio::test]
async fn an_event_has_its_bot_looked_at() {
    let mut tower = over(&["walt", "emily"]).await;
    tower.watch_by_webhook().await;
    let walt = give_up(&tower, "walt", Cause::App, "the app may only read: set it to Read and write").await;
    tower.tell(&Event::Released(walt.clone()));
    tower.tell(&Event::Released(walt));
    check(&tower.hook.next().await.json(), ["walt", "app", "suspended"], &["Read and write"]);
    let emily = ask(&tower, "emily").await;
    tower.tell(&Event::Looked(emily));
    check(&tower.hook.next().await.json(), ["emily", "unknown", "unknown"], &["flockd settle"]);
    // A second cause on one day is another alert.
    exhaust(&tower, "walt").await;
    tower.tell(&Event::Exhausted { bot: ledger::bot("walt"), remedy: "add lines" });
    check(&tower.hook.next().await.json(), ["walt", "exhausted", "exhausted"], &["add lines"]);
}

#[tokio::test]
async fn what_happens_to_a_bot_that_goes_on_is_told_once_a_day() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    let flood =
        give_up(&tower, "walt", Cause::Flood, "60 posts in sixty minutes: thin out the schedule").await;
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
        tower.tell(event);
        tower.tell(event);
        check(&tower.hook.next().await.json(), ["walt", cause, "ok"], &[part]);
    }
}

#[tokio::test]
async fn a_bot_that_can_not_read_its_account_after_a_copy_was_put_back_is_told() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    tower.tamper("update bot set behind_since = considered").await;
    let locked = why(Cause::Account, "the account is locked: sign in to it");
    tower.store.note_unreconciled(&ledger::bot("walt"), &locked).await.unwrap();
    tower.tell(&Event::NotCaughtUp { bot: ledger::bot("walt"), reason: locked.reason });
    let parts = &["comes from a copy", "the account is locked"];
    check(&tower.hook.next().await.json(), ["walt", "account", "suspended"], parts);
}

#[tokio::test]
async fn an_app_that_is_held_is_told_by_its_name() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    let reason = "the app's credits are used up".to_owned();
    tower.tell(&Event::Held { app: "x".to_owned(), until: at("2027-01-15T09:30:00Z"), reason });
    let alert = tower.hook.next().await.json();
    assert_eq!(
        alert["text"],
        "app x sends nothing until 2027-01-15 09:30 UTC: the app's credits are used up"
    );
    assert_eq!((&alert["bot"], &alert["cause"]), (&Value::Null, &"held".into()));
}

#[tokio::test]
async fn trouble_with_the_ledger_is_told_when_it_lasts() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    let trouble =
        Event::LedgerTrouble { bot: Some(ledger::bot("walt")), problem: "the disk is full".to_owned() };
    // It comes and goes without an alert; then it stays.
    for minute in 0..9 {
        if ![2, 3].contains(&minute) {
            tower.tell(&trouble);
        }
        tower.after(minutes(1)).await;
        assert!(tower.hook.more().is_none(), "minute {minute}");
    }
    tower.tell(&trouble);
    let alert = tower.hook.next().await.json();
    assert_eq!(alert["text"], "the flock can't use its ledger: the disk is full");
}

#[tokio::test]
async fn trouble_with_the_ledger_lasts_while_no_alert_can_be_sent_either() {
    let mut tower = over(&["walt"]).await;
    tower.watch_by_webhook().await;
    for _ in 0..4 {
        tower.hook.then(crate::support::hook::Next::Echo(500));
    }
    tower.tell(&Event::Panicked { bot: ledger::bot("walt") });
    for _ in 0..3 {
        tower.hook.next().await;
        tower.tell(&Event::LedgerTrouble { bot: None, problem: "the disk is full".to_owned() });
        tower.later(minutes(2)).await;
    }
    tower.hook.next().await;
    tower.tell(&Event::LedgerTrouble { bot: None, problem: "the disk is full".to_owned() });
    tower.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await;
    tower.later(minutes(10)).await;
    let told = [tower.hook.next().await.json(), tower.hook.next().await.json()];
    assert_eq!(told.map(|alert| alert["cause"].clone()), ["panic", "ledger"]);
}

#[tokio::test]
async fn an_overdue_bot_is_told_when_it_stays_so() {
    let mut walt = seldom("walt");
    (walt.schedule, walt.max_late) = (cron("@hourly"), seconds(600));
    let mut tower = Tower::over(START, [(walt, "one\n"), (seldom("emily"), "one\n")]).await;
    tower.watch_by_webhook().await;
    // As after a night of sleep: the engine sees to it between two looks.
    tower.later(hours(8)).await;
    tower.asleep(minutes(1)).await;
    tower.store.advance_cursor(&ledger::bot("walt"), at("2027-01-15T16:00:00Z"), 8).await.unwrap();
    tower.after(minutes(1)).await;
    tower.after(minutes(1)).await;
    tower.asleep(minutes(1)).await;
    assert!(tower.hook.more().is_none());
    // Now it does not.
    tower.later(hours(2)).await;
    tower.after(minutes(1)).await;
    check(
        &tower.hook.next().await.json(),
        ["walt", "overdue", "overdue"],
        &["2027-01-15 17:00:00 UTC", "log"],
    );
}

/// A machine that boots may have a clock that is about to be set; one that stays behind is told of.
#[tokio::test]
async fn a_last_slot_that_is_ahead_of_the_clock_is_told_when_it_stays_so() {
    let walt = Bot { schedule: cron("@hourly"), ..seldom("walt") };
    let mut tower = Tower::over(START, [(walt, "one\n")]).await;
    tower.store.advance_cursor(&ledger::bot("walt"), at("2037-01-15T09:00:00Z"), 0).await.unwrap();
    tower.watch_by_webhook().await;
    tower.after(minutes(1)).await;
    tower.after(minutes(1)).await;
    let alert = tower.hook.next().await.json();
    check(
        &alert,
        ["walt", "clock", "suspended"],
        &["2037-01-15 09:00 UTC", "ahead of this machine's clock", "`flockd resume walt`"],
    );
    tower.store.resume(&ledger::bot("walt"), tower.clock.now()).await.unwrap();
    tower.after(minutes(1)).await;
    tower.after(minutes(1)).await;
    let end = tower.hook.next().await.json();
    assert_eq!((&end["cause"], &end["resolved"]), (&"clock".into(), &true.into()), "{end}");
}

#[tokio::test]
async fn what_is_mended_before_it_could_be_told_is_not_told() {
    let mut tower = over(&["walt", "emily"]).await;
    let walt = ask(&tower, "walt").await;
    for _ in 0..4 {
        tower.hook.then(crate::support::hook::Next::Echo(500));
    }
    tower.watch_by_webhook().await;
    for pause in [5, 20, 60] {
        tower.hook.next().await;
        tower.after(seconds(pause)).await;
    }
    tower.hook.next().await;
    tower.wait_for(|event| matches!(event, Event::AlertFailed { .. })).await;
    tower.store.advance(walt.id, &ledger::posted("1"), ledger::at(9)).await.unwrap();
    exhaust(&tower, "emily").await;
    tower.tell(&Event::Exhausted { bot: ledger::bot("emily"), remedy: "add lines" });
    tower.later(minutes(10)).await;
    check(&tower.hook.next().await.json(), ["emily", "exhausted", "exhausted"], &[]);
}

#[tokio::test]
async fn a_panic_is_told_and_stops_no_other_bot() {
    let mut robin = bot("robin");
    robin.at_end = AtEnd::Again;
    let house = House::of([(bot("walt"), poem("w", 9)), (robin, poem("r", 9))]).await;
    house.net("walt").then(Next::Panic);
    house.pass(minutes(1)).await;
    let event = house.wait_for(|event| matches!(event, Event::Panicked { .. })).await;
    let mut tower = over(&["walt", "robin"]).await;
    tower.watch_by_webhook().await;
    tower.tell(&event);
    check(&tower.hook.next().await.json(), ["walt", "panic", "ok"], &["the other bots go on"]);
    house.pass(minutes(1)).await;
    assert_eq!(house.net("robin").texts(), ["r1", "r2"]);
}
