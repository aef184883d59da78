//! A ledger that another program has locked. That takes ten seconds, in which it might let go.

use std::time::Duration;

use flockd::flock::event::Event;
use flockd::store::{Store, StoreError};
use sqlx::{Connection, Executor};
use tokio::time::timeout;

use super::{Place, count, stranger};
use crate::support::clock::{minutes, seconds};
use crate::support::fixture::House;
use crate::support::flock::{bot, poem};

/// More than ten seconds, and less than for ever.
const BOUND: Duration = crate::support::PATIENCE;
const LOCKED: &str = "is locked by another program: close what has it open";

#[tokio::test]
async fn who_would_hold_it_is_told_within_a_bounded_time() {
    let told = async |lock: &'static str| {
        let place = Place::new();
        place.hold().await.unwrap().close().await;
        let mut other = stranger(&place.path).await;
        other.execute(lock).await.unwrap();
        let error = timeout(BOUND, place.hold()).await.expect("it waited for ever").unwrap_err();
        assert!(matches!(error, StoreError::Unusable(_)) && error.to_string().contains(LOCKED), "{error}");
        other.close().await.unwrap();
        assert_eq!(count(&place.hold().await.unwrap()).await, 0);
    };
    tokio::join!(
        told("begin immediate"),
        told("pragma locking_mode = exclusive; begin exclusive; update meta set value = value"),
    );
}

#[tokio::test]
async fn a_flock_waits_and_goes_on_by_itself() {
    let house = House::of([(bot("walt"), poem("w", 9))]).await;
    house.pass(minutes(1)).await;
    let mut other = house.stranger().await;
    other.execute("begin immediate").await.unwrap();
    house.pass(minutes(1)).await;
    house
        .wait_for(|event| matches!(event, Event::LedgerTrouble { problem, .. } if problem.contains(LOCKED)))
        .await;
    assert_eq!(house.net("walt").texts(), ["w1"], "it was sent, and that was not recorded");
    other.close().await.unwrap();
    house.pass(seconds(30)).await;
    assert_eq!(house.story("walt").await, ["12:01:00 posted w1", "12:02:00 posted w2"]);
}
