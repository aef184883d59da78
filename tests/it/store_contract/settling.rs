//! Settling: known ids, money spent, pauses, and ledgers that were restored from a backup.

use std::collections::HashSet;
use std::sync::Arc;

use flockd::flock::NetworkKind;
use flockd::flock::post::{Cause, Move, PostId, State};
use flockd::store::{Behind, Draft, Find, Pause, Spent, Store};

use super::Ledger;
use crate::ledger::{
    at, bot, by_hand, entry, given_up, id_at, line, look, of_slot, planned, posted, returned, way_to, why,
};

/// A post of an app in a state, first sent at that second.
async fn sent(ledger: &Ledger, state: State, app: &str, price: u32, seconds: i64) -> PostId {
    let name = format!("bot-{seconds}");
    let draft = Draft { app: Some(app.to_owned()), price, ..by_hand(&name, "text", seconds) };
    ledger.one.upsert_bots(&[entry(&name)], at(0)).await.unwrap();
    let (begins, moves) = way_to(state);
    let post = ledger.one.open(&Draft { begins, ..draft }).await.unwrap();
    for step in &moves {
        ledger.one.advance(post.id, step, at(seconds)).await.unwrap();
    }
    post.id
}

pub(super) async fn posts_that_may_have_been_accepted_are_charged(ledger: Ledger) {
    for (seconds, state) in (10..).zip(State::ALL) {
        sent(&ledger, *state, "x", 100, seconds).await;
    }
    sent(&ledger, State::Posted, "other", 100, 30).await;
    sent(&ledger, State::Posted, "x", 7, 40).await;
    // The first ones (sending, posted, unknown and deleted), and the last.
    assert_eq!(ledger.other.spent("x", at(0)).await, Ok(Spent { posts: 5, milli_dollars: 407 }));
    assert_eq!(ledger.other.spent("x", at(40)).await, Ok(Spent { posts: 1, milli_dollars: 7 }));
    assert_eq!(ledger.other.spent("x", at(41)).await, Ok(Spent::default()));
    assert_eq!(ledger.other.spent("sylvia", at(0)).await, Ok(Spent::default()));
}

pub(super) async fn a_probe_is_charged_whatever_its_result(ledger: Ledger) {
    let id = sent(&ledger, State::Unknown, "x", 15, 10).await;
    ledger.one.advance(id, &look(true, None), at(20)).await.unwrap();
    ledger.one.advance(id, &look(false, Some(90)), at(30)).await.unwrap();
    assert_eq!(ledger.other.spent("x", at(0)).await, Ok(Spent { posts: 1, milli_dollars: 25 }));
    let step = Move::Release(why(Cause::Silence));
    assert_eq!(ledger.one.advance(id, &step, at(40)).await.unwrap().looks, 1);
    assert_eq!(ledger.other.spent("x", at(0)).await, Ok(Spent { posts: 0, milli_dollars: 10 }));
}

pub(super) async fn a_retry_is_charged_when_it_is_sent(ledger: Ledger) {
    let id = sent(&ledger, State::Sending, "x", 15, 10).await;
    ledger.one.advance(id, &returned(false, 90), at(11)).await.unwrap();
    assert_eq!(ledger.other.spent("x", at(0)).await, Ok(Spent::default()));
    ledger.one.advance(id, &Move::Send { record: None }, at(90)).await.unwrap();
    assert_eq!(
        ledger.other.spent("x", at(50)).await,
        Ok(Spent { posts: 1, milli_dollars: 15 }),
        "and not yesterday"
    );
}

pub(super) async fn a_probe_does_not_change_since_when_an_outcome_is_unknown(ledger: Ledger) {
    let id = sent(&ledger, State::Unknown, "x", 15, 10).await;
    let looked = ledger.one.advance(id, &look(true, Some(90)), at(20)).await.unwrap();
    assert_eq!((looked.settled_at, looked.moved_at, looked.retry_at), (Some(at(10)), at(20), Some(at(90))));
    // Sent again, it is probed afresh.
    ledger.one.advance(id, &returned(false, 30), at(30)).await.unwrap();
    ledger.one.advance(id, &Move::Send { record: None }, at(40)).await.unwrap();
    let again = ledger.one.advance(id, &Move::Doubt(why(Cause::Silence)), at(50)).await.unwrap();
    assert_eq!((again.looks, again.sent_at, again.retry_at), (0, Some(at(10)), None));
}

pub(super) async fn ids_of_the_network_are_known(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let ours = ledger.post_in(State::Posted, by_hand("walt", "text", 1)).await.remote_id.unwrap();
    let ids = [ours.clone(), "another".to_owned(), "\"; drop".to_owned()];
    let known = ledger.other.known_ids(NetworkKind::Paper, &ids).await.unwrap();
    assert_eq!(known, HashSet::from([ours]));
    assert_eq!(ledger.other.known_ids(NetworkKind::X, &ids).await.unwrap(), HashSet::new());
    assert_eq!(ledger.other.known_ids(NetworkKind::X, &[]).await.unwrap(), HashSet::new());
}

pub(super) async fn a_text_was_said_before_if_another_post_was_sent_with_it(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    let first = ledger.post_in(State::Posted, of_slot("walt", "Holy!", 1, 1)).await;
    assert!(!ledger.other.text_sent_before(&first).await.unwrap(), "itself is no other");
    ledger.post_in(State::Posted, by_hand("emily", "Moloch!", 2)).await;
    // Given up before it was sent.
    ledger.one.open(&Draft { text: Some("Moloch!".to_owned()), ..given_up("walt", 3) }).await.unwrap();
    let alone = ledger.one.open(&by_hand("walt", "Moloch!", 4)).await.unwrap();
    assert!(!ledger.other.text_sent_before(&alone).await.unwrap(), "by another bot, or never sent");
    ledger.one.advance(alone.id, &posted("4"), at(5)).await.unwrap();
    let refrain = Draft { entry: Some((1, line("Holy!", 2))), ..of_slot("walt", " Holy!", 1, 6) };
    let refrain = ledger.one.open(&refrain).await.unwrap();
    assert!(ledger.other.text_sent_before(&refrain).await.unwrap(), "the same line, spelt otherwise");
}

async fn pause_of(ledger: &Ledger, name: &str) -> Option<Pause> {
    ledger.other.bot_record(&bot(name), at(900)).await.unwrap().unwrap().paused
}

pub(super) async fn a_pause_lasts_until_it_is_ended(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    let walt = bot("walt");
    ledger.one.pause(&walt, None, at(10)).await.unwrap();
    assert_eq!(pause_of(&ledger, "walt").await, Some(Pause { since: at(10), why: None }));
    ledger.one.pause(&walt, Some("the reason"), at(20)).await.unwrap();
    ledger.one.pause(&walt, None, at(30)).await.unwrap();
    let kept = Pause { since: at(10), why: Some("the reason".to_owned()) };
    assert_eq!(pause_of(&ledger, "walt").await, Some(kept));
    assert_eq!(pause_of(&ledger, "emily").await, None);
    ledger.one.upsert_bots(&[entry("walt")], at(40)).await.unwrap();
    assert!(pause_of(&ledger, "walt").await.is_some(), "a restart ends no pause");
    ledger.one.resume(&walt, at(50)).await.unwrap();
    assert_eq!(pause_of(&ledger, "walt").await, None);
    let considered =
        async |name| ledger.other.bot_record(&bot(name), at(60)).await.unwrap().unwrap().last_slot;
    assert_eq!(considered("walt").await, at(50), "what passed meanwhile is over");
    ledger.one.resume(&walt, at(70)).await.unwrap();
    assert_eq!(considered("walt").await, at(50), "there was no pause to end");
    for unknown in
        [ledger.one.pause(&bot("sylvia"), None, at(1)).await, ledger.one.resume(&bot("sylvia"), at(1)).await]
    {
        assert!(unknown.unwrap_err().to_string().contains("sylvia"));
    }
}

/// A backup of the ledger, opened in its place.
async fn put_back(ledger: &Ledger, seconds: i64) -> Arc<dyn Store> {
    let path = ledger.folder().join(format!("backup-{seconds}.db"));
    ledger.other.back_up_to(&path, at(seconds)).await.unwrap();
    let copy = (ledger.open_copy)(path).await;
    copy.upsert_bots(&[entry("walt"), entry("emily")], at(500)).await.unwrap();
    copy
}

pub(super) async fn a_backup_knows_that_it_was_restored(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    let waiting = Draft { begins: planned(60), ..of_slot("walt", "one", 1, 40) };
    let waiting = ledger.one.open(&waiting).await.unwrap();
    let copy = put_back(&ledger, 100).await;
    let [doubted] = &copy.take_over(at(510)).await.unwrap()[..] else { panic!("one was to be sent") };
    // It may have been sent after the backup, and not before it was planned.
    assert_eq!((doubted.id, doubted.state), (waiting.id, State::Unknown));
    assert_eq!((doubted.sent_at, doubted.doubted), (Some(waiting.planned_at), true));
    for name in ["walt", "emily"] {
        let standing = copy.bot_record(&bot(name), at(520)).await.unwrap().unwrap();
        assert_eq!((standing.reconciliation, standing.last_slot), (behind(100), at(510)), "{name}");
    }
    assert_eq!(copy.take_over(at(600)).await.unwrap(), [], "it is noticed once");
    let standing = copy.bot_record(&bot("walt"), at(600)).await.unwrap().unwrap();
    assert_eq!((standing.reconciliation, standing.last_slot), (behind(100), at(510)));
    let behind_at =
        async |seconds| copy.bot_record(&bot("walt"), at(seconds)).await.unwrap().unwrap().reconciliation;
    copy.note_unreconciled(&bot("walt"), &why(Cause::Account)).await.unwrap();
    copy.pause(&bot("walt"), None, at(605)).await.unwrap();
    copy.resume(&bot("walt"), at(606)).await.unwrap();
    let tried = Behind { since: at(100), why: Some(why(Cause::Account)) };
    assert_eq!(behind_at(607).await, Some(tried), "a pause of a person's says nothing of the account");
    copy.pause(&bot("walt"), Some("it can't be read"), at(608)).await.unwrap();
    copy.resume(&bot("walt"), at(610)).await.unwrap();
    assert_eq!(behind_at(620).await, None);
    // A clock that was ahead during the backup hides nothing.
    let ahead = put_back(&ledger, 900).await;
    ahead.take_over(at(510)).await.unwrap();
    assert_eq!(ahead.bot_record(&bot("walt"), at(520)).await.unwrap().unwrap().reconciliation, behind(510));
    // The original ledger is not affected.
    let standing = ledger.one.bot_record(&bot("walt"), at(620)).await.unwrap().unwrap();
    assert_eq!((standing.reconciliation, ledger.one.take_over(at(630)).await), (None, Ok(Vec::new())));
}

pub(super) async fn a_backup_of_a_restored_ledger_needs_the_same_reconciliation(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let copy = put_back(&ledger, 100).await;
    let path = ledger.folder().join("again.db");
    copy.back_up_to(&path, at(300)).await.unwrap();
    let again = (ledger.open_copy)(path).await;
    again.take_over(at(600)).await.unwrap();
    let standing = again.bot_record(&bot("walt"), at(600)).await.unwrap().unwrap();
    assert_eq!(standing.reconciliation, behind(100), "it was not read since");
}

fn behind(since: i64) -> Option<Behind> {
    Some(Behind { since: at(since), why: None })
}

fn found(text: &str, occurrence: u32, seconds: i64) -> Find {
    Find {
        id: id_at(seconds),
        network: NetworkKind::Paper,
        entry: Some((1, line(text, occurrence))),
        continues: None,
        content: None,
        text: text.to_owned(),
        remote_id: format!("remote-{seconds}"),
        url: Some(format!("https://example.org/{seconds}")),
        at: at(seconds),
        app: Some("x".to_owned()),
        price: 15,
    }
}

pub(super) async fn reconciled_posts_are_recorded_and_use_their_lines(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    ledger.post_in(State::Posted, of_slot("walt", "one", 1, 10)).await;
    let copy = put_back(&ledger, 100).await;
    copy.take_over(at(510)).await.unwrap();
    // An open post does not prevent the recording.
    copy.open(&Draft { begins: planned(900), ..of_slot("walt", "three", 1, 520) }).await.unwrap();
    let finds = [found("one", 1, 150), found("two", 1, 160), found("one", 2, 170)];
    let written = copy.finish_reconciliation(&bot("walt"), &finds).await.unwrap();
    let ids: Vec<_> = written.iter().map(|post| (post.id, post.state)).collect();
    assert_eq!(ids, [(finds[1].id, State::Posted), (finds[2].id, State::Posted)], "one was used already");
    let two = &written[0];
    assert_eq!((two.sent_at, two.settled_at, two.slot), (Some(at(160)), Some(at(160)), None));
    assert_eq!((two.remote_id.as_deref(), two.attempts), (Some("remote-160"), 1));
    assert!(two.reason.as_ref().unwrap().contains("found on the account"), "how that is known");
    assert_eq!(copy.spent("x", at(0)).await, Ok(Spent { posts: 2, milli_dollars: 30 }), "it was paid for");
    let used = copy.used(&bot("walt"), 1).await.unwrap();
    assert_eq!(used, HashSet::from([line("one", 1), line("two", 1), line("one", 2), line("three", 1)]));
    let standing = copy.bot_record(&bot("walt"), at(520)).await.unwrap().unwrap();
    assert_eq!((standing.reconciliation, standing.last.map(|post| post.id)), (None, Some(finds[2].id)));
    assert_eq!(copy.finish_reconciliation(&bot("walt"), &finds).await, Ok(Vec::new()), "and nothing twice");
}

/// Spending dated by a clock that was ahead counts only toward the budget of its own month.
pub(super) async fn spending_dated_in_the_future_does_not_count_now(ledger: Ledger) {
    let year = 365 * 24 * 3_600;
    sent(&ledger, State::Posted, "x", 100, 10).await;
    sent(&ledger, State::Posted, "x", 7, year).await;
    assert_eq!(ledger.other.spent("x", at(0)).await, Ok(Spent { posts: 1, milli_dollars: 100 }));
    assert_eq!(ledger.other.spent("x", at(year)).await, Ok(Spent { posts: 1, milli_dollars: 7 }));
}
