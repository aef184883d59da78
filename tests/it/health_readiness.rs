//! Readiness and liveness, on a clock that only the test moves.

use std::sync::Arc;

use flockd::flock::event::Event;
use flockd::flock::post::{Cause, Move, Why};
use flockd::flock::{Bot, NetworkKind};
use flockd::health::{HealthCache, Phase, Readiness, health};
use flockd::store::Refusal;
use tokio::sync::watch;

use crate::ledger;
use crate::support::alert_fixture::AlertFixture;
use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::flock::{bot, cron, flock};
use flockd::clock::Clock as _;

/// Two bots that post every hour, and their health cache.
async fn seen() -> (AlertFixture, HealthCache, Arc<Phase>) {
    let hourly = |name| Bot { schedule: cron("@hourly"), network: NetworkKind::Paper, ..bot(name) };
    let walt = Bot { max_late: minutes(10), ..hourly("walt") };
    let fixture =
        AlertFixture::over("2027-01-15T08:00:00Z", [(walt, "one\n"), (hourly("emily"), "two\n")]).await;
    let (sender, phase) =
        (watch::Sender::new(Arc::new(flock(fixture.bots.clone()))), Arc::new(Phase::default()));
    let idle = fixture.idle.clone();
    let loop_age = Arc::new(move || *idle.lock().unwrap());
    let health_cache = HealthCache::new(
        sender.subscribe(),
        fixture.store.clone(),
        fixture.clock.clone(),
        loop_age,
        phase.clone(),
    );
    phase.hear(&Event::Started { bots: 2 });
    (fixture, health_cache, phase)
}

fn about(readiness: &Readiness) -> (Vec<&str>, Vec<&str>) {
    let names = |troubles: &'_ [flockd::health::Trouble]| {
        troubles.iter().map(|trouble| trouble.about.clone()).collect::<Vec<_>>()
    };
    let known = ["walt", "emily", "flock", "flock.toml", "ledger", "loop"];
    let find = |names: Vec<String>| {
        names.iter().map(|name| *known.iter().find(|known| *known == name).unwrap()).collect()
    };
    (find(names(&readiness.obstacles)), find(names(&readiness.troubles)))
}

#[tokio::test]
async fn an_overdue_bot_makes_the_flock_unready_and_a_paused_one_does_not() {
    let (fixture, health_cache, _) = seen().await;
    assert_eq!(about(&health_cache.ready().await), (vec![], vec![]));
    fixture.clock.advance(minutes(69));
    assert_eq!(about(&health_cache.ready().await), (vec![], vec![]));
    fixture.clock.advance(minutes(2));
    let late = health_cache.ready().await;
    assert_eq!(about(&late), (vec!["walt"], vec![]), "emily may be an hour late");
    assert!(late.obstacles[0].message.contains("2027-01-15 09:00:00 UTC"), "{late:?}");
    fixture.store.pause(&ledger::bot("walt"), None, fixture.clock.now()).await.unwrap();
    assert!(!health_cache.ready().await.is_ready(), "what was found out is good for a second");
    fixture.clock.advance(seconds(1));
    let rests = health_cache.ready().await;
    assert_eq!(about(&rests), (vec![], vec!["walt"]));
    assert_eq!(rests.troubles[0].state, Some("paused"));
    fixture.clock.advance(hours(1));
    assert_eq!(about(&health_cache.ready().await), (vec!["emily"], vec!["walt"]));
}

#[tokio::test]
async fn a_stuck_loop_fails_readiness_and_liveness_at_once() {
    let (fixture, health_cache, _) = seen().await;
    assert!(health_cache.alive().is_ok() && health_cache.ready().await.is_ready());
    *fixture.idle.lock().unwrap() = seconds(121);
    assert!(health_cache.alive().unwrap_err().contains("stuck"));
    assert_eq!(about(&health_cache.ready().await).0, ["loop"]);
    *fixture.idle.lock().unwrap() = seconds(30);
    assert!(health_cache.alive().is_ok() && health_cache.ready().await.is_ready());
}

#[tokio::test]
async fn a_flock_is_not_ready_while_starting_or_stopping() {
    let (_tower, health_cache, phase) = seen().await;
    phase.hear(&Event::Stopping { in_flight: 1 });
    let stopping = health_cache.ready().await;
    assert!(about(&stopping).0 == ["flock"] && stopping.obstacles[0].message.contains("stopping"));
    assert!(health_cache.alive().is_ok());
}

#[tokio::test]
async fn an_unusable_ledger_makes_the_flock_unready() {
    let (fixture, health_cache, _) = seen().await;
    assert!(health_cache.ready().await.is_ready());
    fixture.clock.advance(seconds(1));
    fixture
        .tamper("create trigger spoilt before update on meta begin select raise(abort, 'spoilt'); end")
        .await;
    let unwritable = health_cache.ready().await;
    assert_eq!(about(&unwritable).0, ["ledger"]);
    assert!(unwritable.obstacles[0].message.contains("spoilt"));
    std::fs::remove_file(fixture.folder().join("flock.db")).unwrap();
    fixture.clock.advance(seconds(1));
    assert_eq!(about(&health_cache.ready().await).0, ["ledger"], "once");
}

#[tokio::test]
async fn a_refused_reload_is_listed_and_does_not_affect_readiness() {
    let (fixture, health_cache, _) = seen().await;
    let complaints = vec!["flock.toml:3: unknown key".to_owned(), "flock.toml:9: no such zone".to_owned()];
    let refusal = Refusal { at: at("2027-01-15T08:00:00Z"), complaints };
    fixture.store.keep_refused_reload(Some(&refusal)).await.unwrap();
    let readiness = health_cache.ready().await;
    assert_eq!(about(&readiness), (vec![], vec!["flock.toml", "flock.toml"]));
    assert_eq!(readiness.troubles[1].message, "not reloaded: flock.toml:9: no such zone");
}

#[tokio::test]
async fn bots_are_counted_at_most_once_a_second() {
    let (fixture, health_cache, _) = seen().await;
    let count = async || {
        let snapshot = health_cache.snapshot().await.unwrap();
        (snapshot.states.get(&("paper", "ok")).copied(), snapshot.states.get(&("paper", "paused")).copied())
    };
    assert_eq!(count().await, (Some(2), None));
    fixture.store.pause(&ledger::bot("walt"), None, fixture.clock.now()).await.unwrap();
    assert_eq!(count().await, (Some(2), None));
    fixture.clock.advance(seconds(1));
    assert_eq!(count().await, (Some(1), Some(1)));
}

#[tokio::test]
async fn poem_counts_are_cached_until_something_changes() {
    let (fixture, health_cache, _phase) = seen().await;
    let walt = &fixture.bots[0];
    let same = async |left: usize| {
        let remembered = health_cache.health(walt).await.unwrap().lines.unwrap();
        let counted = health(Some(&*fixture.store), walt, fixture.clock.now()).await.unwrap().lines.unwrap();
        assert_eq!((remembered, remembered.left), (counted, left));
    };
    std::fs::write(&walt.poem, "one\ntwo\nthree\n").unwrap();
    same(3).await;
    let used = fixture.store.open(&ledger::of_slot("walt", "one", 1, 1)).await.unwrap();
    same(2).await;
    // If one line is freed at the moment another is taken, the count stays the same.
    let release = Move::Release(Why::new(Cause::Duplicate, "again"));
    fixture.store.advance(used.id, &release, fixture.clock.now()).await.unwrap();
    fixture.store.open(&ledger::of_slot("walt", "of another poem", 1, 2)).await.unwrap();
    same(3).await;
    std::fs::write(&walt.poem, "one\ntwo\nthree\nfour\n").unwrap();
    same(4).await;
}
