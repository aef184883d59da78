//! Keys open the dashboard once, and sessions keep it open until they are over.

use chrono::{DateTime, TimeDelta, Utc};
use flockd::store::sessions::{KEY_LASTS, SESSION_LASTS, TokenHash};

use super::Ledger;
use crate::ledger::at;

fn later(by: TimeDelta) -> DateTime<Utc> {
    at(0) + by
}

pub(super) async fn a_key_opens_once_and_a_session_lasts(ledger: Ledger) {
    let [key, one, two] = ["key", "one", "two"].map(TokenHash::of);
    ledger.other.keep_login_link(key, at(0)).await.unwrap();
    assert!(!ledger.one.is_session(key, at(1)).await.unwrap(), "a key is no session");
    assert!(ledger.one.redeem(key, one, at(1)).await.unwrap());
    assert!(!ledger.one.redeem(key, two, at(1)).await.unwrap(), "it opens once");
    assert!(!ledger.one.redeem(one, two, at(1)).await.unwrap(), "a session is no key");
    assert!(ledger.other.is_session(one, at(2)).await.unwrap());
    assert!(!ledger.other.is_session(two, at(2)).await.unwrap());
    assert!(!ledger.one.is_session(one, at(1) + SESSION_LASTS).await.unwrap(), "it has run out");
}

pub(super) async fn a_key_runs_out(ledger: Ledger) {
    let [key, session] = ["key", "session"].map(TokenHash::of);
    ledger.one.keep_login_link(key, at(0)).await.unwrap();
    assert!(!ledger.one.redeem(key, session, later(KEY_LASTS)).await.unwrap());
    assert!(!ledger.one.is_session(session, at(1)).await.unwrap());
    assert!(ledger.one.redeem(key, session, later(KEY_LASTS - TimeDelta::seconds(1))).await.unwrap());
}

pub(super) async fn sessions_end_one_by_one_or_all_with_the_keys(ledger: Ledger) {
    let [one, two, three, key] = ["one", "two", "three", "key"].map(TokenHash::of);
    for session in [one, two] {
        ledger.one.begin_session(session, at(0)).await.unwrap();
    }
    ledger.one.keep_login_link(key, at(0)).await.unwrap();
    ledger.one.end_session(one).await.unwrap();
    ledger.one.end_session(key).await.unwrap();
    assert!(!ledger.one.is_session(one, at(1)).await.unwrap());
    assert!(ledger.one.is_session(two, at(1)).await.unwrap());
    ledger.other.end_sessions().await.unwrap();
    assert!(!ledger.one.is_session(two, at(1)).await.unwrap());
    assert!(!ledger.one.redeem(key, three, at(1)).await.unwrap());
}
