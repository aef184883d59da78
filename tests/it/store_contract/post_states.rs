//! The states of a post: every legal transition works, no other does, and attempts and errors are counted.

use std::collections::HashSet;

use flockd::flock::post::{Cause, Move, Post, State};
use flockd::store::{Beginning, Draft, StoreError};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::runtime::Handle;

use super::Ledger;
use crate::ledger::{
    at, by_hand, entry, every_move, given_up, id_at, line, of_slot, planned, posted, returned, way_to, why,
};

pub(super) async fn every_illegal_transition_is_refused(ledger: Ledger) {
    let mut number = 0;
    for &from in State::ALL {
        for step in every_move() {
            number += 1;
            let draft = of_slot(&format!("bot-{number}"), "a line", 1, 60);
            let before = ledger.post_in(from, draft).await;
            let moved = ledger.one.advance(before.id, &step, at(70)).await;
            let kept = ledger.other.post(before.id).await.unwrap().unwrap();
            if step.may_leave(from) {
                assert_eq!(moved, Ok(kept.clone()), "{from} {step:?}");
                assert_eq!(kept.state, step.to());
                assert_eq!(fixed(&kept), fixed(&before), "{from} {step:?}");
            } else {
                let to = step.to();
                assert_eq!(moved, Err(StoreError::IllegalMove { id: before.id, from, to }));
                assert_eq!(kept, before, "a refused move left its mark");
            }
        }
    }
}

/// The columns of a post that do not change once it is planned.
fn fixed(post: &Post) -> impl PartialEq + std::fmt::Debug {
    let Post { id, bot, network, slot, due_at, entry, text, planned_at, .. } = post.clone();
    (id, bot, network, slot, due_at, entry, text, planned_at)
}

/// A new kind of move must be added to the table.
pub(super) async fn the_transition_table_has_every_move(_: Ledger) {
    let ends: HashSet<State> = every_move().iter().map(Move::to).collect();
    assert!(State::ALL.iter().all(|state| ends.contains(state)), "{ends:?}");
}

pub(super) async fn a_deleted_post_keeps_its_details(ledger: Ledger) {
    let before = ledger.post_in(State::Posted, of_slot("walt", "a line", 1, 40)).await;
    let gone = ledger.one.advance(before.id, &Move::Delete, at(99)).await.unwrap();
    assert_eq!(gone.reason.as_deref(), Some("deleted by hand"));
    let (state, reason, moved_at) = (State::Deleted, gone.reason.clone(), at(99));
    assert_eq!(gone, Post { state, reason, moved_at, ..before });
    let walt = &gone.bot;
    assert_eq!(
        ledger.other.used(walt, 1).await.unwrap(),
        HashSet::from([line("a line", 1)]),
        "used permanently"
    );
    let standing = ledger.other.bot_record(walt, at(100)).await.unwrap().unwrap();
    assert_eq!((standing.open, standing.last, standing.last_posted), (None, Some(gone.clone()), Some(gone)));
}

pub(super) async fn each_transition_is_timestamped(ledger: Ledger) {
    let mut number = 0;
    for &from in State::ALL {
        for step in every_move().iter().filter(|step| step.may_leave(from)) {
            number += 1;
            let post = ledger.post_in(from, by_hand(&format!("bot-{number}"), "text", 40)).await;
            let (_, moves) = way_to(from);
            assert_eq!(post.moved_at, if moves.is_empty() { at(40) } else { at(50) }, "{from}");
            let moved = ledger.one.advance(post.id, step, at(70)).await.unwrap();
            assert_eq!(moved.moved_at, at(70), "{from} {step:?}");
        }
    }
    ledger.one.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    assert_eq!(ledger.one.open(&given_up("walt", 80)).await.unwrap().moved_at, at(80));
    ledger.one.open(&by_hand("walt", "text", 90)).await.unwrap();
    let taken = ledger.one.take_over(at(91)).await.unwrap();
    assert!(taken.iter().all(|post| post.moved_at == at(91)), "{taken:?}");
}

pub(super) async fn attempts_and_errors_are_counted(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let draft = Draft { begins: planned(5), ..of_slot("walt", "a line", 1, 1) };
    let post = ledger.one.open(&draft).await.unwrap();
    let counts = |post: &Post| (post.attempts, post.errors, post.doubted);
    assert_eq!((counts(&post), post.sent_at, post.retry_at), ((0, 0, false), None, Some(at(5))));
    let go = async |step: &Move, seconds| ledger.one.advance(post.id, step, at(seconds)).await.unwrap();

    let sent = go(&Move::Send { record: None }, 10).await;
    assert_eq!((counts(&sent), sent.sent_at, sent.retry_at), ((1, 0, false), Some(at(10)), None));
    assert_eq!((sent.cause, sent.reason), (None, None), "what is being sent has no reason not to be");
    let back = go(&returned(true, 30), 11).await;
    assert_eq!(
        (counts(&back), back.retry_at, back.cause),
        ((1, 1, false), Some(at(30)), Some(Cause::Limits))
    );
    assert_eq!(
        (counts(&go(&Move::Send { record: None }, 30).await), sent.sent_at),
        ((2, 1, false), Some(at(10)))
    );
    assert_eq!(counts(&go(&returned(false, 60), 31).await), (2, 1, false), "silence is no error answer");
    go(&Move::Send { record: None }, 60).await;
    let doubted = go(&Move::Doubt(why(Cause::Silence)), 61).await;
    assert_eq!((counts(&doubted), doubted.settled_at), ((3, 1, true), Some(at(61))));
    let back = go(&returned(false, 90), 80).await;
    assert_eq!((counts(&back), back.settled_at), ((3, 1, true), None));
    go(&Move::Send { record: None }, 90).await;
    let end = go(&posted("42"), 91).await;
    assert_eq!((counts(&end), end.settled_at, end.sent_at), ((4, 1, true), Some(at(91)), Some(at(10))));
    assert_eq!((end.remote_id.as_deref(), end.cause, end.reason), (Some("42"), None, None));
    assert_eq!(end.url.as_deref(), Some("https://example.net/42"));
}

pub(super) async fn a_post_created_in_a_final_state_has_a_reason(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let gone = ledger.one.open(&given_up("walt", 10)).await.unwrap();
    assert_eq!((gone.state, gone.cause, gone.text.clone()), (State::Released, Some(Cause::Flood), None));
    assert_eq!((gone.reason.as_deref(), gone.settled_at), (Some("because of flood"), Some(at(10))));
    let waits = ledger.one.open(&Draft { begins: planned(40), ..by_hand("walt", "t", 20) }).await.unwrap();
    assert_eq!(
        (waits.state, waits.cause, waits.retry_at),
        (State::Planned, Some(Cause::Limits), Some(at(40)))
    );
    let gone = ledger.one.advance(waits.id, &Move::Release(why(Cause::Late)), at(50)).await.unwrap();
    assert_eq!((gone.retry_at, gone.settled_at), (None, Some(at(50))), "what is given up waits for nothing");
    let sent = ledger.one.open(&by_hand("walt", "t", 60)).await.unwrap();
    assert_eq!((sent.attempts, sent.sent_at, sent.settled_at), (1, Some(at(60)), None));
    // Anything that may be sent needs a text.
    let textless = Draft { text: None, ..given_up("walt", 70) };
    for begins in [Beginning::Sending, planned(80)] {
        assert!(ledger.one.open(&Draft { begins, ..textless.clone() }).await.is_err());
    }
}

pub(super) async fn the_payload_is_fixed_before_the_first_attempt(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    let send = |record: &str| Move::Send { record: Some(record.to_owned()) };
    let back = Move::Return { why: why(Cause::Limits), retry_at: at(20), answered: true };
    let at_once = Draft { record: Some("one".to_owned()), ..by_hand("walt", "t", 1) };
    let waits = Draft { begins: planned(5), ..by_hand("emily", "t", 2) };
    for (draft, step) in [(at_once, &back), (waits, &send("one"))] {
        let post = ledger.one.open(&draft).await.unwrap();
        assert_eq!(post.record, draft.record);
        let mut post = ledger.one.advance(post.id, step, at(10)).await.unwrap();
        if post.state == State::Sending {
            post = ledger.one.advance(post.id, &back, at(15)).await.unwrap();
        }
        let again = ledger.one.advance(post.id, &send("two"), at(30)).await.unwrap();
        assert_eq!(again.record.as_deref(), Some("one"), "each attempt sends the same");
        assert_eq!(ledger.other.post(post.id).await.unwrap(), Some(again));
    }
}

pub(super) async fn an_unknown_post_has_no_transitions(ledger: Ledger) {
    let id = id_at(1);
    let moved = ledger.one.advance(id, &Move::Send { record: None }, at(1)).await;
    assert_eq!(moved, Err(StoreError::NotFound(format!("post {id}"))));
    assert_eq!(ledger.one.post(id).await.unwrap(), None);
}

pub(super) async fn after_a_takeover_posts_being_sent_have_an_unknown_outcome(ledger: Ledger) {
    for &state in State::ALL {
        ledger.post_in(state, by_hand(state.as_str(), "text", 10)).await;
    }
    let taken = ledger.one.take_over(at(80)).await.unwrap();
    let [post] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!((post.bot.as_str(), post.state, post.doubted), ("sending", State::Unknown, true));
    assert_eq!((post.cause, post.settled_at), (Some(Cause::Interrupted), Some(at(80))));
    assert_eq!(ledger.one.take_over(at(90)).await.unwrap(), []);
}

/// What the ledger should know about a post.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    state: State,
    attempts: u32,
    errors: u32,
    doubted: bool,
    looks: u32,
    waits: bool,
    rests: bool,
}

impl Model {
    fn begin(begins: &Beginning) -> Self {
        let state = begins.state();
        let attempts = u32::from(state == State::Sending);
        let (waits, rests) = (state == State::Planned, state == State::Released);
        Self { state, attempts, errors: 0, doubted: false, looks: 0, waits, rests }
    }

    fn go(&mut self, step: &Move) {
        self.state = step.to();
        self.attempts += u32::from(matches!(step, Move::Send { .. }));
        self.errors += u32::from(matches!(step, Move::Refuse(_) | Move::Return { answered: true, .. }));
        self.doubted |= matches!(step, Move::Doubt(_));
        self.looks = match step {
            Move::Doubt(_) => 0,
            Move::Look { counts, .. } => self.looks + u32::from(*counts),
            _ => self.looks,
        };
        let asked = matches!(step, Move::Look { retry_at: Some(_), .. });
        self.waits = self.state == State::Planned || asked;
        self.rests = !matches!(self.state, State::Planned | State::Sending);
    }

    fn of(post: &Post) -> Self {
        let Post { state, attempts, errors, doubted, looks, .. } = *post;
        let (waits, rests) = (post.retry_at.is_some(), post.settled_at.is_some());
        Self { state, attempts, errors, doubted, looks, waits, rests }
    }
}

pub(super) async fn random_walks_follow_legal_transitions(ledger: Ledger) {
    let beginning = prop::sample::select(vec![Beginning::Sending, planned(9), planned(9)]);
    let walk = (beginning, prop::collection::vec(prop::sample::select(every_move()), 1..14));
    let handle = Handle::current();
    let walks = move || {
        let mut runner = TestRunner::new(ProptestConfig { cases: 96, ..ProptestConfig::default() });
        runner.run(&walk, |(begins, moves)| {
            let name = format!("bot-{}", id_at(0));
            handle.block_on(go(&ledger, &name, begins, &moves)).map_err(TestCaseError::fail)
        })
    };
    tokio::task::spawn_blocking(walks).await.unwrap().unwrap();
}

async fn go(ledger: &Ledger, name: &str, begins: Beginning, moves: &[Move]) -> Result<(), String> {
    ledger.one.upsert_bots(&[entry(name)], at(0)).await.unwrap();
    let mut model = Model::begin(&begins);
    let post = ledger.one.open(&Draft { begins, ..by_hand(name, "text", 1) }).await.unwrap();
    for (seconds, step) in (2..).zip(moves) {
        let from = model.state;
        let moved = ledger.one.advance(post.id, step, at(seconds)).await;
        if step.may_leave(from) {
            model.go(step);
            moved.map_err(|error| format!("{from} {step:?}: {error}"))?;
        } else if !matches!(moved, Err(StoreError::IllegalMove { .. })) {
            return Err(format!("{from} {step:?} was not refused: {moved:?}"));
        }
        let kept = Model::of(&ledger.other.post(post.id).await.unwrap().unwrap());
        if kept != model {
            return Err(format!("after {step:?}: kept {kept:?}, should be {model:?}"));
        }
    }
    Ok(())
}
