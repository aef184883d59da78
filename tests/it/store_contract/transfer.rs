//! Export and import: what one ledger exports another imports, all of it or nothing.

use std::collections::HashSet;
use std::io::Cursor;
use std::ops::ControlFlow;

use flockd::flock::account::Account;
use flockd::flock::content::{Content, FileDigest, Medium, Part};
use flockd::flock::poem::{EntryId, EntryKey};
use flockd::flock::post::{Cause, Move, State};
use flockd::store::transfer::{Arrivals, BadLine, Imported, Record, read};
use flockd::store::{Beginning, Draft, Store};

use super::Ledger;
use crate::ledger::{account, at, bot, by_hand, entry, given_up, id_at, line, of_slot, planned, posted, why};

/// Everything that a ledger exports, as lines.
async fn export(store: &dyn Store, seconds: i64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut take = |record: Record| {
        lines.push(serde_json::to_string(&record).unwrap());
        ControlFlow::Continue(())
    };
    store.export(None, at(seconds), &mut take).await.unwrap();
    lines
}

async fn import_as(
    store: &dyn Store,
    lines: &[String],
    moved: bool,
    seconds: i64,
) -> Result<Imported, Vec<BadLine>> {
    let (header, records) = read(Cursor::new(lines.join("\n"))).unwrap();
    let arrivals = Arrivals { header, records: Box::new(records), moved };
    store.import(arrivals, at(seconds)).await.unwrap()
}

async fn import(store: &dyn Store, lines: &[String]) -> Result<Imported, Vec<BadLine>> {
    import_as(store, lines, false, 900).await
}

/// The errors in these lines, each with its line number.
async fn complaints(store: &dyn Store, lines: &[String]) -> Vec<String> {
    let complaints = import(store, lines).await.unwrap_err();
    complaints.into_iter().map(|BadLine { line, message }| format!("{line}: {message}")).collect()
}

/// A ledger with posts of two bots in every state; one of the bots is paused.
async fn full(ledger: Ledger) -> Ledger {
    for (seconds, state) in (10..).step_by(10).zip(State::ALL) {
        let text = format!("a line that is {state}");
        ledger
            .post_in(
                *state,
                Draft {
                    app: Some("x".to_owned()),
                    price: 15,
                    ..of_slot(&format!("{state}"), &text, 1, seconds)
                },
            )
            .await;
    }
    let ledger = ledger.with(&["walt"]).await;
    let text = "“Ünïcode” \u{1f426}\nand a second line".to_owned();
    let again = Draft {
        entry: Some((2, line(&text, 3))),
        text: Some(text),
        record: Some("{\"a\":1}".to_owned()),
        ..of_slot("walt", "", 2, 200)
    };
    ledger.post_in(State::Posted, again).await;
    ledger.one.open(&given_up("walt", 300)).await.unwrap();
    ledger.one.pause(&bot("walt"), None, at(400)).await.unwrap();
    ledger.one.advance_last_slot(&bot("walt"), at(390), 7).await.unwrap();
    ledger
}

/// Another, new ledger.
async fn another() -> Ledger {
    super::sqlite().await
}

pub(super) async fn an_import_equals_the_export(ledger: Ledger) {
    let here = full(ledger).await;
    let there = another().await;
    let lines = export(&*here.other, 500).await;
    let done = import_as(&*there.one, &lines, true, 900).await.unwrap();
    assert_eq!((done.bots, done.posts, done.known), (8, 9, 0));
    // A post that was being sent has an unknown outcome.
    assert_eq!((done.doubted, done.behind.len()), (2, 0));
    let again = export(&*there.other, 500).await;
    let others = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| !line.contains("\"bot\":\"sending\"")).cloned().collect()
    };
    assert_eq!(others(&again), others(&lines));
    let was_sending = again.iter().find(|line| line.contains("\"bot\":\"sending\"")).unwrap();
    assert!(was_sending.contains("\"unknown\"") && was_sending.contains("another ledger"), "{was_sending}");
    let walt = bot("walt");
    let ours = here.other.bot_record(&walt, at(900)).await;
    assert_eq!(there.other.bot_record(&walt, at(900)).await, ours);
    assert_eq!(there.other.spent("x", at(0)).await, here.other.spent("x", at(0)).await);
}

pub(super) async fn threads_and_pictures_arrive_as_they_are(ledger: Ledger) {
    let here = ledger.with(&["walt"]).await;
    let medium =
        Medium { name: "owl.jpg".to_owned(), alt: "an owl".to_owned(), digest: Some(FileDigest::of(b"owl")) };
    let part = |text: &str, media: Vec<Medium>| Part { text: text.to_owned(), media };
    let parts = vec![part("one", Vec::new()), part("two", vec![medium])];
    let content = Content { parts, sensitive: true, ..Content::default() };
    let known_by = EntryId { key: EntryKey::named("row 7"), occurrence: 1 };
    let text = Some(content.whole_text());
    let head = Draft {
        entry: Some((0, known_by)),
        text,
        content: Some(content.clone()),
        ..of_slot("walt", "", 1, 10)
    };
    let head = here.post_in(State::Posted, head).await;
    let second = Draft {
        continues: Some((head.id, 1)),
        content: content.rest(),
        begins: Beginning::Ready,
        ..by_hand("walt", "two", 20)
    };
    let second = here.one.open(&second).await.unwrap();
    let lines = export(&*here.other, 500).await;
    let there = another().await;
    import_as(&*there.one, &lines, true, 900).await.unwrap();
    assert_eq!(export(&*there.other, 500).await, lines);
    assert_eq!(there.other.thread(head.id).await, here.other.thread(head.id).await);
    assert_eq!(there.other.used(&bot("walt"), 0).await.unwrap(), HashSet::from([known_by]));
    let thread = there.other.thread(head.id).await.unwrap();
    let kept: Vec<_> = thread.iter().map(|post| (post.id, post.head, post.part, post.parts())).collect();
    assert_eq!(kept, [(head.id, None, 0, 2), (second.id, Some(head.id), 1, 1)]);

    // What no ledger can have is no import.
    let bad = |from: &str, to: &str| lines.iter().map(|line| line.replace(from, to)).collect::<Vec<_>>();
    let fresh = another().await;
    for (from, to) in [("\"part\":1,", ""), ("\"key\":", "\"clef\":"), ("\"alt\":\"an owl\",", "")] {
        assert!(import(&*fresh.one, &bad(from, to)).await.is_err(), "{from}");
    }
}

pub(super) async fn importing_is_idempotent(ledger: Ledger) {
    let here = full(ledger).await;
    let there = another().await;
    let lines = export(&*here.other, 500).await;
    import(&*there.one, &lines).await.unwrap();
    let once = export(&*there.other, 500).await;
    let done = import_as(&*there.one, &lines, false, 1_900).await.unwrap();
    assert_eq!(done, Imported { known: 9, ..Imported::default() });
    assert_eq!(export(&*there.other, 500).await, once);
}

pub(super) async fn imported_bots_need_reconciliation(ledger: Ledger) {
    let here = ledger.with(&["walt"]).await;
    let draft = Draft { begins: planned(90), ..of_slot("walt", "one", 1, 10) };
    let open = here.one.open(&draft).await.unwrap().id;
    let lines = export(&*here.other, 500).await;
    let there = another().await;
    let done = import(&*there.one, &lines).await.unwrap();
    assert_eq!((done.doubted, done.behind), (1, vec![bot("walt")]));
    let standing = there.other.bot_record(&bot("walt"), at(900)).await.unwrap().unwrap();
    assert_eq!(standing.reconciliation.map(|behind| behind.since), Some(at(500)), "since the export");
    assert_eq!(standing.last_slot, at(900), "slots up to now are over");
    let post = there.other.post(open).await.unwrap().unwrap();
    assert_eq!((post.state, post.cause, post.doubted), (State::Unknown, Some(Cause::Interrupted), true));
    // A clock that was ahead there hides nothing here.
    let ahead = another().await;
    import_as(&*ahead.one, &lines, false, 400).await.unwrap();
    let standing = ahead.other.bot_record(&bot("walt"), at(400)).await.unwrap().unwrap();
    assert_eq!(standing.reconciliation.map(|behind| behind.since), Some(at(400)));
    // A flock that has moved needs no reconciliation.
    let moved = another().await;
    import_as(&*moved.one, &lines, true, 900).await.unwrap();
    let standing = moved.other.bot_record(&bot("walt"), at(900)).await.unwrap().unwrap();
    assert_eq!((standing.reconciliation, standing.last_slot), (None, at(10)));
    assert_eq!(standing.open.map(|open| open.state), Some(State::Planned));
}

pub(super) async fn a_later_import_updates_posts_settled_since(ledger: Ledger) {
    let here = ledger.with(&["walt", "emily", "sylvia"]).await;
    let open = here.one.open(&of_slot("walt", "one", 1, 10)).await.unwrap();
    let emily = here.post_in(State::Posted, of_slot("emily", "a", 1, 10)).await;
    let waiting = here.post_in(State::Planned, of_slot("sylvia", "s", 1, 10)).await;
    let there = another().await;
    import(&*there.one, &export(&*here.other, 500).await).await.unwrap();
    let posted = here.one.advance(open.id, &posted("77"), at(510)).await.unwrap();
    let deleted = here.one.advance(emily.id, &Move::Delete, at(520)).await.unwrap();
    // The payload is known only once it is sent.
    let send = Move::Send { record: Some("{\"a\":1}".to_owned()) };
    here.one.advance(waiting.id, &send, at(520)).await.unwrap();
    let sent = here.one.advance(waiting.id, &self::posted("78"), at(521)).await.unwrap();
    here.post_in(State::Posted, of_slot("walt", "two", 1, 530)).await;
    let done = import(&*there.one, &export(&*here.other, 600).await).await.unwrap();
    assert_eq!((done.posts, done.moved_on, done.known), (1, 3, 0));
    assert_eq!(there.other.post(open.id).await.unwrap(), Some(posted));
    assert_eq!(there.other.post(emily.id).await.unwrap(), Some(deleted));
    assert!(sent.record.is_some());
    assert_eq!(there.other.post(waiting.id).await.unwrap(), Some(sent));
}

pub(super) async fn one_error_rejects_the_whole_import(ledger: Ledger) {
    let here = ledger.with(&["walt", "emily"]).await;
    for seconds in [10, 20, 30] {
        here.post_in(State::Posted, of_slot("walt", &format!("line {seconds}"), 1, seconds)).await;
    }
    let lines = export(&*here.other, 500).await;
    let there = another().await.with(&["walt"]).await;
    // Its own post for one of these slots, another of these lines, and an open one.
    there.post_in(State::Posted, of_slot("walt", "another", 1, 20)).await;
    there.post_in(State::Posted, of_slot("walt", "line 30", 1, 25)).await;
    let before = export(&*there.other, 500).await;
    let said = complaints(&*there.one, &lines).await;
    let [slot, line] = &*said else { panic!("{said:?}") };
    assert!(slot.starts_with("5: walt ") && slot.contains("slot"), "{slot}");
    assert!(line.starts_with("6: walt ") && line.contains("round 1"), "{line}");
    let id = there.other.posts(&flockd::store::Filter::default()).await.unwrap()[0].id.to_string();
    let mut wrong = lines.clone();
    wrong[3] = "{\"post\":{}}".to_owned();
    let old = serde_json::from_str::<serde_json::Value>(&lines[5]).unwrap()["post"]["id"].to_string();
    wrong[5] = wrong[5].replace(&old, &format!("\"{id}\""));
    wrong.remove(1);
    let said = complaints(&*there.one, &wrong).await.join("\n");
    for part in ["3: ", "missing field", id.as_str(), "1 bots and 1 posts"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(export(&*there.other, 500).await, before, "nothing came in");
    // The ledger's triggers are active as before.
    let post = there.post_in(State::Planned, of_slot("walt", "new", 1, 700)).await;
    assert!(there.one.advance(post.id, &Move::Delete, at(710)).await.is_err());
}

pub(super) async fn older_imported_posts_precede_existing_ones(ledger: Ledger) {
    let here = ledger.with(&["walt"]).await;
    for seconds in [10, 20] {
        here.post_in(State::Posted, of_slot("walt", &format!("old {seconds}"), 1, seconds)).await;
    }
    let there = another().await.with(&["walt"]).await;
    there.post_in(State::Posted, of_slot("walt", "new", 1, 300)).await;
    import(&*there.one, &export(&*here.other, 500).await).await.unwrap();
    let posts = there.other.posts(&flockd::store::Filter::default()).await.unwrap();
    let texts: Vec<_> = posts.iter().map(|post| post.text.as_deref().unwrap()).collect();
    assert_eq!(texts, ["new", "old 20", "old 10"], "newest first");
    let standing = there.other.bot_record(&bot("walt"), at(900)).await.unwrap().unwrap();
    assert_eq!(standing.last_posted.unwrap().text.as_deref(), Some("new"));
    // Posts made after them are the newest.
    there.post_in(State::Posted, of_slot("walt", "newest", 1, 950)).await;
    let standing = there.other.bot_record(&bot("walt"), at(990)).await.unwrap().unwrap();
    assert_eq!(standing.last_posted.unwrap().text.as_deref(), Some("newest"));
}

pub(super) async fn tokens_are_not_exported(ledger: Ledger) {
    let here = ledger.with(&["walt"]).await;
    let walt: Account = account("walt");
    here.one.remember(&bot("walt"), &walt).await.unwrap();
    let lines = export(&*here.other, 500).await.join("\n");
    assert!(lines.contains(&format!("\"id\":\"{}\"", walt.id)) && lines.contains(&walt.handle), "{lines}");
    assert!(!lines.contains(&walt.credential_fingerprint), "not even a digest of them");
}

pub(super) async fn a_single_bot_can_be_exported(ledger: Ledger) {
    let here = ledger.with(&["emily"]).await;
    here.one.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    for name in ["walt", "emily"] {
        here.one
            .open(&Draft { begins: Beginning::Released(why(Cause::Late)), ..by_hand(name, "text", 1) })
            .await
            .unwrap();
    }
    let mut records = Vec::new();
    let mut take = |record| {
        records.push(record);
        ControlFlow::Continue(())
    };
    here.other.export(Some(&bot("walt")), at(5), &mut take).await.unwrap();
    let [Record::Export(header), Record::Bot(walt), Record::Post(post)] = &*records else {
        panic!("{records:?}")
    };
    assert_eq!((header.bots, header.posts, &walt.name, &post.bot), (1, 1, &bot("walt"), &bot("walt")));
    // A reader that stops early gets no more.
    let mut seen = 0;
    let mut take = |_| {
        seen += 1;
        ControlFlow::Break(())
    };
    here.other.export(None, at(5), &mut take).await.unwrap();
    assert_eq!(seen, 1);
}

pub(super) async fn passed_over_lines_are_exported(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    for (text, seconds) in [("passed over", 10), ("undone", 20)] {
        let draft = Draft {
            entry: Some((1, line(text, 1))),
            begins: Beginning::PassedOver(why(Cause::Person)),
            ..by_hand("walt", text, seconds)
        };
        ledger.one.open(&draft).await.unwrap();
    }
    let undone = Some((1, line("undone", 1)));
    assert!(ledger.one.undo_pass(&bot("walt"), undone, id_at(30), at(30)).await.unwrap().is_some());
    let lines = export(&*ledger.one, 40).await;
    let there = another().await;
    assert_eq!(import(&*there.one, &lines).await.unwrap().posts, 2);
    let passed = there.one.passed_over(&bot("walt"), 1).await.unwrap();
    assert_eq!(passed, [(1, line("passed over", 1))]);
    let again = import(&*there.one, &lines).await.unwrap();
    assert_eq!((again.posts, again.known), (0, 2));
}

pub(super) async fn the_line_order_is_exported_for_a_bot_that_has_not_posted(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    let lines = export(&*ledger.one, 10).await;
    let theirs =
        [ledger.one.seed(&bot("walt")).await.unwrap(), ledger.one.seed(&bot("emily")).await.unwrap()];
    let folder = tempfile::tempdir().unwrap();
    let other = super::open_sqlite(folder.path().join("other.db")).await;
    other.upsert_bots(&[entry("walt"), entry("emily")], at(0)).await.unwrap();
    other.open(&of_slot("emily", "a line", 1, 60)).await.unwrap();
    let of_emily = other.seed(&bot("emily")).await.unwrap();
    import(&*other, &lines).await.unwrap();
    assert_eq!(other.seed(&bot("walt")).await.unwrap(), theirs[0]);
    assert_eq!(other.seed(&bot("emily")).await.unwrap(), of_emily, "its order must not change in a round");
    // An older export has no seeds.
    let without: Vec<String> = lines.iter().map(|line| line.replace("\"seed\"", "\"other\"")).collect();
    import(&*other, &without).await.unwrap();
    assert_eq!(other.seed(&bot("walt")).await.unwrap(), theirs[0]);
    let bad: Vec<String> = lines.iter().map(|line| line.replace("\"seed\":\"", "\"seed\":\"x")).collect();
    let complaints = complaints(&*other, &bad).await;
    assert!(complaints[0].starts_with("2: ") && complaints[1].starts_with("3: "), "{complaints:?}");
}
