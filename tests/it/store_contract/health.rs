//! What health and alerts need: which bots are late, and which alerts were delivered.

use std::collections::{BTreeMap, HashSet};

use chrono::{Days, NaiveDate};

use super::Ledger;
use flockd::flock::post::{Cause, State};
use flockd::store::{Beginning, Draft};

use crate::ledger::{at, bot, by_hand, given_up, of_slot, planned, why};

fn day(number: u64) -> NaiveDate {
    at(0).date_naive().checked_add_days(Days::new(number)).unwrap()
}

pub(super) async fn each_bots_schedule_cursor_is_listed(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily", "sylvia"]).await;
    ledger.one.open(&given_up("walt", 300)).await.unwrap();
    ledger.one.pause(&bot("emily"), None, at(20)).await.unwrap();
    let read = async || {
        let all = ledger.other.schedule_states().await.unwrap().into_iter();
        all.map(|it| (it.bot.to_string(), (it.last_slot, it.is_paused))).collect::<BTreeMap<_, _>>()
    };
    let of = |name: &str, seconds, rests| (name.to_owned(), (at(seconds), rests));
    let expect = [of("emily", 0, true), of("sylvia", 0, false), of("walt", 300, false)];
    assert_eq!(read().await, expect.into());
    ledger.one.resume(&bot("emily"), at(40)).await.unwrap();
    let expect = [of("emily", 40, false), of("sylvia", 0, false), of("walt", 300, false)];
    assert_eq!(read().await, expect.into());
}

pub(super) async fn bots_whose_last_slot_failed_are_listed(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily", "sylvia"]).await;
    let in_vain = async || {
        let all = ledger.other.schedule_states().await.unwrap().into_iter();
        all.filter(|it| it.stalled).map(|it| it.bot.to_string()).collect::<HashSet<_>>()
    };
    let released = |cause| Beginning::Released(why(cause));
    for (name, cause) in [("walt", Cause::Unreachable), ("emily", Cause::Budget)] {
        ledger.one.open(&Draft { begins: released(cause), ..of_slot(name, "a", 1, 10) }).await.unwrap();
    }
    // Manual, so the person who asked knows.
    ledger.one.open(&Draft { begins: released(Cause::Late), ..by_hand("sylvia", "a", 10) }).await.unwrap();
    assert_eq!(in_vain().await, HashSet::from(["walt".to_owned()]));
    ledger.one.open(&Draft { begins: planned(90), ..of_slot("walt", "a", 1, 20) }).await.unwrap();
    assert_eq!(in_vain().await.len(), 1, "the next one is only tried so far");
    ledger.post_in(State::Posted, of_slot("emily", "b", 1, 30)).await;
    assert_eq!(in_vain().await.len(), 1);
}

pub(super) async fn an_alert_is_remembered_for_its_day(ledger: Ledger) {
    assert_eq!(ledger.other.alerts_of("webhook", day(0)).await.unwrap(), HashSet::new());
    for (about, cause) in [("walt", "panic"), ("walt", "flood"), ("app x", "held"), ("walt", "panic")] {
        ledger.one.remember_alert("webhook", about, cause, day(0)).await.unwrap();
    }
    ledger.one.remember_alert("webhook", "walt", "panic", day(1)).await.unwrap();
    let expect = [("walt", "panic"), ("walt", "flood"), ("app x", "held")];
    let expect = expect.map(|(about, cause)| (about.to_owned(), cause.to_owned()));
    assert_eq!(ledger.other.alerts_of("webhook", day(0)).await.unwrap(), expect.into());
    assert_eq!(ledger.other.alerts_of("webhook", day(1)).await.unwrap().len(), 1);
    // The other target has not had it until it is delivered there.
    assert_eq!(ledger.other.alerts_of("command", day(0)).await.unwrap(), HashSet::new());
    ledger.one.remember_alert("command", "walt", "panic", day(0)).await.unwrap();
    assert_eq!(ledger.other.alerts_of("command", day(0)).await.unwrap().len(), 1);
}

pub(super) async fn alerts_are_forgotten_after_a_week(ledger: Ledger) {
    ledger.one.remember_alert("webhook", "walt", "panic", day(0)).await.unwrap();
    ledger.one.remember_alert("webhook", "walt", "panic", day(7)).await.unwrap();
    assert_eq!(ledger.other.alerts_of("webhook", day(0)).await.unwrap().len(), 1);
    ledger.one.remember_alert("webhook", "walt", "panic", day(8)).await.unwrap();
    assert_eq!(ledger.other.alerts_of("webhook", day(0)).await.unwrap().len(), 0);
    assert_eq!(ledger.other.alerts_of("webhook", day(7)).await.unwrap().len(), 1);
}

pub(super) async fn the_write_check_can_be_repeated(ledger: Ledger) {
    for second in [1, 2] {
        ledger.one.check_writable(at(second)).await.unwrap();
    }
}
