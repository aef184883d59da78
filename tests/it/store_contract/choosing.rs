//! What decides which line comes next: seeds, the texts of earlier rounds, and lines that a person passes
//! over.

use std::collections::HashSet;

use flockd::flock::NetworkKind;
use flockd::flock::choose::Seed;
use flockd::flock::poem::EntryKey;
use flockd::flock::post::{Cause, Post, State};
use flockd::store::{Beginning, BotEntry, BotRecord, Draft, ScheduleState, Store, StoreError};

use super::Ledger;
use crate::ledger::{account, at, bot, by_hand, entry, given_up, id_at, line, of_slot, posted, why};

fn passed_over(text: &str, round: u32, seconds: i64) -> Draft {
    let begins = Beginning::PassedOver(why(Cause::Person));
    Draft { entry: Some((round, line(text, 1))), begins, ..by_hand("walt", text, seconds) }
}

async fn seed_of(store: &dyn Store, name: &str) -> Seed {
    store.bot_record(&bot(name), at(0)).await.unwrap().unwrap().seed
}

pub(super) async fn a_seed_is_drawn_once_and_follows_a_rename(ledger: Ledger) {
    // A preview may come before the daemon.
    let early = ledger.other.seed(&bot("walt")).await.unwrap();
    assert_eq!(ledger.one.seed(&bot("walt")).await.unwrap(), early);
    let ledger = ledger.with(&["walt", "emily"]).await;
    assert_eq!(seed_of(&*ledger.other, "walt").await, early);
    let emily = seed_of(&*ledger.other, "emily").await;
    assert_ne!(emily, early);
    ledger.one.open(&of_slot("walt", "a line", 1, 60)).await.unwrap();
    // The new name had its own seed.
    ledger.other.seed(&bot("whitman")).await.unwrap();
    let renamed = BotEntry { was: Some(bot("walt")), ..entry("whitman") };
    ledger.one.upsert_bots(&[renamed, entry("emily")], at(70)).await.unwrap();
    assert_eq!(seed_of(&*ledger.other, "whitman").await, early);
    assert_eq!(ledger.other.seed(&bot("whitman")).await.unwrap(), early);
    assert_eq!(seed_of(&*ledger.other, "emily").await, emily);
    // The old name is free for another bot, with another order.
    assert_ne!(ledger.other.seed(&bot("walt")).await.unwrap(), early);
}

pub(super) async fn texts_of_earlier_rounds_survive_a_rename(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "old"]).await;
    ledger.one.remember(&bot("old"), &account("7")).await.unwrap();
    let said = [
        ("old", "elsewhere", 1),
        ("old", "elsewhere, later", 2),
        ("walt", "one", 1),
        ("walt", "two", 2),
        ("walt", "three", 3),
    ];
    for (seconds, (name, text, round)) in (60..).step_by(60).zip(said) {
        let draft = Draft { network: NetworkKind::X, ..of_slot(name, text, round, seconds) };
        let post = ledger.one.open(&draft).await.unwrap();
        ledger.one.advance(post.id, &posted(text), at(seconds)).await.unwrap();
    }
    ledger
        .one
        .open(&Draft {
            text: Some("given up".into()),
            entry: Some((1, line("given up", 1))),
            ..given_up("walt", 900)
        })
        .await
        .unwrap();
    let before = async |round| ledger.other.used_before(&bot("walt"), round).await.unwrap();
    let texts = |texts: &[&str]| texts.iter().map(|text| EntryKey::of(text)).collect::<HashSet<_>>();
    assert_eq!(before(1).await, texts(&[]));
    assert_eq!(before(3).await, texts(&["one", "two"]));
    ledger.one.remember(&bot("walt"), &account("7")).await.unwrap();
    assert_eq!(before(2).await, texts(&["one", "elsewhere", "elsewhere, later"]));
    assert_eq!(before(9).await, texts(&["one", "two", "three", "elsewhere", "elsewhere, later"]));
}

pub(super) async fn passing_a_line_over_only_uses_that_line(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let failed = Draft { begins: Beginning::Released(why(Cause::Unreachable)), ..given_up("walt", 60) };
    ledger.one.open(&failed).await.unwrap();
    // Also while another post is open.
    ledger.one.open(&of_slot("walt", "open", 1, 120)).await.unwrap();
    let before = ledger.other.bot_record(&bot("walt"), at(130)).await.unwrap().unwrap();
    let passed = ledger.one.open(&passed_over("a line", 1, 130)).await.unwrap();
    let Post { state, slot, attempts, sent_at, settled_at, .. } = passed.clone();
    assert_eq!((state, slot, attempts, sent_at, settled_at), (State::Refused, None, 0, None, Some(at(130))));
    let after = ledger.other.bot_record(&bot("walt"), at(130)).await.unwrap().unwrap();
    assert_eq!(BotRecord { ..after }, before);
    assert_eq!(
        ledger.other.used(&bot("walt"), 1).await.unwrap(),
        HashSet::from([line("open", 1), line("a line", 1)])
    );
    let stalled = |states: Vec<ScheduleState>| states[0].stalled;
    assert!(stalled(ledger.other.schedule_states().await.unwrap()), "it is still in vain");
    assert_eq!(ledger.one.open(&passed_over("a line", 1, 140)).await, Err(StoreError::LineTaken));
    // A person passes over a line, and not a slot or a text.
    for draft in [
        Draft { slot: Some(at(180)), ..passed_over("two", 1, 150) },
        Draft { entry: None, ..passed_over("two", 1, 150) },
        Draft { begins: Beginning::PassedOver(why(Cause::Text)), ..passed_over("two", 1, 150) },
    ] {
        assert!(matches!(ledger.one.open(&draft).await, Err(StoreError::Refused(_))), "{draft:?}");
    }
}

pub(super) async fn only_a_passed_over_line_can_be_restored(ledger: Ledger) {
    for &state in State::ALL {
        let post = ledger.post_in(state, of_slot(state.as_str(), "a line", 1, 60)).await;
        let undone = ledger.other.undo_pass(&post.bot, Some((1, line("a line", 1))), id_at(61), at(61)).await;
        assert_eq!(undone, Ok(None), "{state}");
        assert_eq!(ledger.other.post(post.id).await.unwrap(), Some(post), "{state}");
    }
    let ledger = ledger.with(&["walt"]).await;
    let passed = ledger.one.open(&passed_over("a line", 1, 70)).await.unwrap();
    let walt = bot("walt");
    for other in [(2, line("a line", 1)), (1, line("a line", 2)), (1, line("another", 1))] {
        assert_eq!(ledger.other.undo_pass(&walt, Some(other), id_at(71), at(71)).await, Ok(None));
    }
    let undone = ledger
        .other
        .undo_pass(&walt, Some((1, line("a line", 1))), id_at(80), at(80))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((undone.id, undone.state, undone.settled_at), (passed.id, State::Released, Some(at(80))));
    assert_eq!(ledger.one.undo_pass(&walt, Some((1, line("a line", 1))), id_at(81), at(81)).await, Ok(None));
    assert_eq!(ledger.other.bot_record(&walt, at(82)).await.unwrap().unwrap().last, None);
    assert_eq!(ledger.other.passed_over(&walt, 1).await.unwrap(), []);
    // The line is free again: to be posted, or to be passed over once more.
    let again = Draft { id: id_at(90), ..passed_over("a line", 1, 90) };
    ledger.one.open(&again).await.unwrap();
    ledger.one.open(&passed_over("another", 2, 91)).await.unwrap();
    let passed = [(2, line("another", 1)), (1, line("a line", 1))];
    assert_eq!(ledger.other.passed_over(&walt, 1).await.unwrap(), passed);
    assert_eq!(ledger.other.passed_over(&walt, 2).await.unwrap(), passed[..1]);
    let command = id_at(92);
    let undo = async |line| ledger.other.undo_pass(&walt, line, command, at(92)).await.unwrap();
    let undone = undo(Some(passed[1])).await.unwrap();
    assert_eq!(undone.id, again.id);
    // The same command once more, after a crash: what it has undone, and nothing else.
    for line in [Some(passed[0]), None] {
        assert_eq!(undo(line).await.as_ref(), Some(&undone));
    }
    assert_eq!(ledger.other.passed_over(&walt, 1).await.unwrap(), passed[..1]);
    ledger.one.open(&of_slot("walt", "a line", 1, 120)).await.unwrap();
}
