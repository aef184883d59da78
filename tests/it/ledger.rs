//! Test data for ledgers: instants, bots, lines, drafts, moves, accounts.

use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use flockd::flock::account::Account;
use flockd::flock::poem::{EntryId, EntryKey};
use flockd::flock::post::{Cause, Move, PostId, State, Why};
use flockd::flock::{BotName, NetworkKind};
use flockd::store::{Beginning, BotEntry, Command, CommandKind, Draft};

/// An arbitrary instant, easily told apart from 1970 in a message.
const EPOCH: i64 = 1_800_000_000;

/// This many seconds after it.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(EPOCH + seconds, 0).unwrap()
}

pub(crate) fn bot(name: &str) -> BotName {
    name.parse().unwrap()
}

pub(crate) fn entry(name: &str) -> BotEntry {
    BotEntry { name: bot(name), was: None, schedule: "0 * * * * UTC".to_owned() }
}

/// An entry for a bot that had another name before.
pub(crate) fn renamed(was: &str, name: &str) -> BotEntry {
    BotEntry { was: Some(bot(was)), ..entry(name) }
}

/// A unique id, generated that many seconds after the start.
pub(crate) fn id_at(seconds: i64) -> PostId {
    // Ids only need to differ; within a second they sort in call order.
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let mut random = [0; 10];
    random[2..6].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    PostId::new(at(seconds), random)
}

pub(crate) fn line(text: &str, occurrence: u32) -> EntryId {
    EntryId { key: EntryKey::of(text), occurrence }
}

pub(crate) fn why(cause: Cause) -> Why {
    Why::new(cause, format!("because of {cause}"))
}

/// A manual post that is sent at once.
pub(crate) fn by_hand(name: &str, text: &str, seconds: i64) -> Draft {
    Draft {
        id: id_at(seconds),
        bot: bot(name),
        network: NetworkKind::Paper,
        slot: None,
        due_at: at(seconds),
        continues: None,
        entry: None,
        text: Some(text.to_owned()),
        content: None,
        record: None,
        missed: 0,
        app: None,
        price: 0,
        begins: Beginning::Sending,
        now: at(seconds),
    }
}

/// A post for a slot, with the first of equal lines, in a round.
pub(crate) fn of_slot(name: &str, text: &str, round: u32, seconds: i64) -> Draft {
    Draft { slot: Some(at(seconds)), entry: Some((round, line(text, 1))), ..by_hand(name, text, seconds) }
}

/// A slot that is given up without a line.
pub(crate) fn given_up(name: &str, seconds: i64) -> Draft {
    let begins = Beginning::Released(why(Cause::Flood));
    Draft { slot: Some(at(seconds)), text: None, begins, ..by_hand(name, "", seconds) }
}

pub(crate) fn planned(seconds: i64) -> Beginning {
    Beginning::Planned(why(Cause::Limits), at(seconds))
}

pub(crate) fn posted(remote_id: &str) -> Move {
    let url = Some(format!("https://example.net/{remote_id}"));
    Move::Post { remote_id: Some(remote_id.to_owned()), url, reason: None }
}

pub(crate) fn returned(answered: bool, seconds: i64) -> Move {
    Move::Return { why: why(Cause::Limits), retry_at: at(seconds), answered }
}

/// One move of every kind, and both kinds of return.
pub(crate) fn every_move() -> Vec<Move> {
    vec![
        Move::Send { record: None },
        posted("1"),
        Move::Refuse(why(Cause::Text)),
        returned(true, 90),
        returned(false, 90),
        Move::Doubt(why(Cause::Silence)),
        look(true, None),
        look(false, Some(90)),
        Move::Release(why(Cause::Late)),
        Move::Delete,
    ]
}

/// A probe that settled nothing, and cost half a cent.
pub(crate) fn look(counts: bool, retry_at: Option<i64>) -> Move {
    Move::Look { why: why(Cause::Silence), counts, retry_at: retry_at.map(at), cost: 5 }
}

/// How a post gets into a state.
pub(crate) fn way_to(state: State) -> (Beginning, Vec<Move>) {
    let sent = |step| (Beginning::Sending, vec![step]);
    match state {
        State::Planned => (planned(60), vec![]),
        State::Sending => (Beginning::Sending, vec![]),
        State::Posted => sent(posted("1")),
        State::Refused => sent(Move::Refuse(why(Cause::Text))),
        State::Unknown => sent(Move::Doubt(why(Cause::Silence))),
        State::Released => sent(Move::Release(why(Cause::Duplicate))),
        State::Deleted => (Beginning::Sending, vec![posted("1"), Move::Delete]),
    }
}

/// An account on X with this id, and a matching handle.
pub(crate) fn account(id: &str) -> Account {
    Account {
        network: NetworkKind::X,
        id: id.to_owned(),
        handle: format!("handle_{id}"),
        name: None,
        picture_url: None,
        access: None,
        server: None,
        credential_fingerprint: format!("digest {id}"),
        automated: None,
        limits: None,
        pictures: None,
    }
}

pub(crate) fn command(seconds: i64) -> Command {
    let what = CommandKind::Post { bot: "walt".to_owned(), text: Some("by hand".to_owned()) };
    Command { id: id_at(seconds), what, made_at: at(seconds) }
}
