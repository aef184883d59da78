//! Uniqueness: a slot, a line in a round, a bot's open post. Also with two clients at the same time.

use flockd::flock::post::{Cause, Move, Post, State};
use flockd::store::{Beginning, BotRecord, Draft, Filter, StoreError};
use futures_util::future::join_all;

use super::Ledger;
use crate::ledger::{at, bot, by_hand, given_up, id_at, line, of_slot, planned, posted, why};

/// How many times two clients race for one thing: enough that a check before the insert, without an index,
/// would fail.
const RACES: i64 = 200;

pub(super) async fn a_slot_is_used_once_whatever_its_outcome(ledger: Ledger) {
    for &state in State::ALL {
        let name = state.as_str();
        ledger.post_in(state, of_slot(name, "a line", 1, 60)).await;
        assert_eq!(ledger.other.open(&given_up(name, 60)).await, Err(StoreError::SlotTaken), "{state}");
        ledger.other.open(&given_up(name, 120)).await.unwrap();
    }
    // A slot that was given up is used too, and other bots have their own slots.
    let ledger = ledger.with(&["walt", "emily"]).await;
    ledger.one.open(&given_up("walt", 60)).await.unwrap();
    let again = ledger.one.open(&of_slot("walt", "a line", 1, 60)).await;
    assert_eq!(again, Err(StoreError::SlotTaken));
    ledger.one.open(&of_slot("emily", "a line", 1, 60)).await.unwrap();
    // A manual post has no slot, so there may be many.
    for _ in 0..2 {
        let post = ledger.one.open(&by_hand("walt", "text", 60)).await.unwrap();
        ledger.one.advance(post.id, &posted("1"), at(61)).await.unwrap();
    }
}

/// A slot that a person skips ahead of time is used, counts as skipped until its time has come, and affects
/// nothing else.
pub(super) async fn a_slot_can_be_skipped_ahead_of_time(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let skipped = |seconds| {
        let begins = Beginning::Skipped(why(Cause::Person));
        Draft { begins, ..given_up("walt", seconds) }
    };
    for seconds in [180, 120] {
        ledger.one.open(&skipped(seconds)).await.unwrap();
    }
    let post = ledger.one.open(&of_slot("walt", "a line", 1, 60)).await.unwrap();
    ledger.one.advance(post.id, &posted("1"), at(61)).await.unwrap();
    let standing = ledger.other.bot_record(&post.bot, at(62)).await.unwrap().unwrap();
    assert_eq!((standing.last_slot, standing.skipped), (at(60), vec![at(120), at(180)]));
    assert_eq!(ledger.other.open(&of_slot("walt", "another", 1, 120)).await, Err(StoreError::SlotTaken));
    ledger.one.open(&given_up("walt", 150)).await.unwrap();
    let standing = ledger.other.bot_record(&post.bot, at(151)).await.unwrap().unwrap();
    assert_eq!((standing.last_slot, standing.skipped), (at(150), vec![at(180)]));
}

pub(super) async fn only_a_skip_is_undone_and_frees_its_slot(ledger: Ledger) {
    for &state in State::ALL {
        let name = state.as_str();
        let post = ledger.post_in(state, of_slot(name, "a line", 1, 60)).await;
        let undone = ledger.other.undo_skip(&post.bot, Some(at(60)), id_at(61), at(61)).await;
        assert_eq!(undone, Ok(None), "{state}");
        assert_eq!(ledger.other.open(&given_up(name, 60)).await, Err(StoreError::SlotTaken), "{state}");
    }
    let ledger = ledger.with(&["walt"]).await;
    let walt = bot("walt");
    // A slot that was given up for another reason was not skipped by a person.
    ledger.one.open(&given_up("walt", 60)).await.unwrap();
    assert_eq!(ledger.other.undo_skip(&walt, Some(at(60)), id_at(61), at(61)).await, Ok(None));
    let skip =
        |seconds| Draft { begins: Beginning::Skipped(why(Cause::Person)), ..given_up("walt", seconds) };
    for seconds in [120, 180] {
        ledger.one.open(&skip(seconds)).await.unwrap();
    }
    let command = id_at(70);
    let undone = ledger.other.undo_skip(&walt, Some(at(180)), command, at(70)).await.unwrap().unwrap();
    assert_eq!((undone.slot, undone.state), (Some(at(180)), State::Released));
    // The same command again, after a crash: it affects what it has undone, and nothing else.
    let again = ledger.one.undo_skip(&walt, Some(at(120)), command, at(71)).await.unwrap().unwrap();
    assert_eq!(again, undone);
    assert_eq!(ledger.one.undo_skip(&walt, Some(at(180)), id_at(72), at(72)).await, Ok(None));
    let standing = ledger.other.bot_record(&walt, at(72)).await.unwrap().unwrap();
    assert_eq!((standing.last_slot, standing.skipped), (at(60), vec![at(120)]));
    // The slot is free for one draft, and only one.
    assert_eq!(ledger.other.open(&of_slot("walt", "a line", 1, 120)).await, Err(StoreError::SlotTaken));
    let post = ledger.one.open(&of_slot("walt", "a line", 1, 180)).await.unwrap();
    ledger.one.advance(post.id, &posted("1"), at(181)).await.unwrap();
    assert_eq!(ledger.other.open(&of_slot("walt", "another", 1, 180)).await, Err(StoreError::SlotTaken));
    assert_eq!(ledger.one.undo_skip(&walt, Some(at(180)), id_at(182), at(182)).await, Ok(None));
}

/// Passing a slot over says nothing about the bot's state.
pub(super) async fn a_skip_does_not_change_a_bots_state(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let failed = Draft { begins: Beginning::Released(why(Cause::SignIn)), ..given_up("walt", 60) };
    let failed = ledger.one.open(&failed).await.unwrap();
    let before = ledger.one.bot_record(&bot("walt"), at(90)).await.unwrap().unwrap();
    let skip = Draft { begins: Beginning::Skipped(why(Cause::Person)), ..given_up("walt", 120) };
    ledger.one.open(&skip).await.unwrap();
    let standing = ledger.other.bot_record(&bot("walt"), at(90)).await.unwrap().unwrap();
    assert_eq!(standing.last.as_ref(), Some(&failed));
    assert!(standing.ailing_since.is_some());
    assert_eq!(BotRecord { skipped: vec![], ..standing }, before);
}

pub(super) async fn a_line_is_used_once_in_a_round(ledger: Ledger) {
    for &state in State::ALL {
        let name = state.as_str();
        let first = ledger.post_in(state, of_slot(name, "a line", 1, 60)).await;
        let again = ledger.other.open(&of_slot(name, "a line", 1, 120)).await;
        match again {
            Ok(post) => assert_eq!((state, post.entry), (State::Released, first.entry)),
            Err(StoreError::LineTaken) => assert!(!matches!(state, State::Released), "{state}"),
            Err(StoreError::PostOpen) => assert!(state.is_open(), "{state}"),
            Err(error) => panic!("{state}: {error}"),
        }
        let used = ledger.other.used(&first.bot, 1).await.unwrap();
        assert_eq!(used.into_iter().collect::<Vec<_>>(), [line("a line", 1)], "{state}");
    }
    // Another occurrence is another line, and another round starts afresh.
    for (seconds, used) in [(180, (1, line("a line", 2))), (240, (2, line("a line", 1)))] {
        let draft = Draft { entry: Some(used), ..of_slot("posted", "a line", 1, seconds) };
        let post = ledger.one.open(&draft).await.unwrap();
        ledger.one.advance(post.id, &posted("1"), at(seconds)).await.unwrap();
    }
}

pub(super) async fn a_bot_has_one_open_post(ledger: Ledger) {
    for &state in State::ALL {
        let name = state.as_str();
        let first = ledger.post_in(state, by_hand(name, "first", 10)).await;
        for begins in [planned(30), Beginning::Sending] {
            let second = ledger.other.open(&Draft { begins, ..by_hand(name, "second", 20) }).await;
            if state.is_open() {
                assert_eq!(second, Err(StoreError::PostOpen), "{state}");
                assert_eq!(ledger.one.post(first.id).await.unwrap(), Some(first.clone()));
            } else {
                let id = second.unwrap().id;
                ledger.one.advance(id, &Move::Release(why(Cause::Late)), at(40)).await.unwrap();
            }
        }
        // A slot may be given up meanwhile: that opens no post.
        ledger.other.open(&given_up(name, 60)).await.unwrap();
    }
}

/// Many write at once, and some of them write invalid drafts.
pub(super) async fn an_invalid_draft_does_not_affect_others(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    ledger.one.open(&given_up("walt", 1)).await.unwrap();
    let id = id_at(2);
    let good = (100..160).map(|seconds| given_up("walt", seconds));
    let bad = [
        given_up("walt", 1),
        given_up("sylvia", 3),
        Draft { text: None, ..by_hand("walt", "", 4) },
        Draft { id, ..given_up("walt", 200) },
        Draft { id, ..given_up("walt", 201) },
    ];
    let drafts: Vec<Draft> = good.clone().take(30).chain(bad).chain(good.skip(30)).collect();
    let results = join_all(drafts.iter().map(|draft| ledger.one.open(draft))).await;
    let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(failed.len(), 4, "{failed:?}");
    assert!(failed.contains(&&StoreError::SlotTaken));
    assert!(failed.contains(&&StoreError::NotFound("bot sylvia".to_owned())));
    let kept = ledger.other.posts(&Filter::default()).await.unwrap();
    assert_eq!(kept.len(), 1 + 60 + 1);
    let considered = ledger.other.bot_record(&kept[0].bot, at(0)).await.unwrap().unwrap().last_slot;
    assert_eq!(considered, at(200), "a draft that failed counts no slot as considered");
}

pub(super) async fn of_two_concurrent_drafts_one_gets_the_slot(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    for seconds in 1..=RACES {
        let error = race(&ledger, given_up("walt", seconds), given_up("walt", seconds)).await.1;
        assert_eq!(error, StoreError::SlotTaken);
    }
}

pub(super) async fn of_two_concurrent_drafts_one_gets_the_line(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    for round in 1..=RACES {
        let draft = |text, seconds| of_slot("walt", text, u32::try_from(round).unwrap(), seconds);
        let same = (draft("a line", 2 * round), draft("a line", 2 * round + 1));
        let (winner, error) = race(&ledger, same.0, same.1).await;
        assert!(matches!(error, StoreError::LineTaken | StoreError::PostOpen), "{error}");
        // The loser tries again when the winner is done, and must still not get the line.
        let done = ledger.one.advance(winner.id, &posted("1"), at(round)).await.unwrap();
        let late = Draft { slot: None, ..draft("a line", 2 * round) };
        assert_eq!(ledger.other.open(&late).await, Err(StoreError::LineTaken));
        assert_eq!(ledger.other.used(&done.bot, u32::try_from(round).unwrap()).await.unwrap().len(), 1);
    }
}

/// Both at once; the winner's post and the loser's error.
async fn race(ledger: &Ledger, one: Draft, other: Draft) -> (Post, StoreError) {
    let (one, other) = tokio::join!(ledger.one.open(&one), ledger.other.open(&other));
    match (one, other) {
        (Ok(post), Err(error)) | (Err(error), Ok(post)) => (post, error),
        both => panic!("one should have won: {both:?}"),
    }
}
