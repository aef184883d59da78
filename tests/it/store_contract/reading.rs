//! Queries: a bot's record, filtered posts, and copies.

use std::collections::HashSet;

use flockd::flock::NetworkKind;
use flockd::flock::poem::EntryKey;
use flockd::flock::post::{Cause, Move, Post, PostId, State};
use flockd::store::{Beginning, Draft, Filter, Store, StoreError};

use super::Ledger;
use crate::ledger::{at, bot, by_hand, given_up, id_at, line, of_slot, planned, posted, returned, why};

const HOUR: i64 = 3_600;

async fn end(ledger: &Ledger, draft: &Draft, step: &Move) -> Post {
    let post = ledger.one.open(draft).await.unwrap();
    ledger.one.advance(post.id, step, draft.now).await.unwrap()
}

fn texts(texts: &[&str]) -> HashSet<EntryKey> {
    texts.iter().map(|text| EntryKey::of(text)).collect()
}

pub(super) async fn a_bots_record_follows_from_its_posts(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    let stands = async |seconds| ledger.other.bot_record(&bot("walt"), at(seconds)).await.unwrap().unwrap();
    let fresh = stands(0).await;
    assert_eq!((fresh.last_slot, fresh.missed, fresh.round, fresh.account), (at(0), 0, 1, None));
    assert_eq!((fresh.open, fresh.last, fresh.last_posted, fresh.sent_last_hour), (None, None, None, 0));
    assert!(fresh.avoid.is_empty());

    let post = ledger.one.open(&Draft { missed: 3, ..of_slot("walt", "one", 1, 60) }).await.unwrap();
    let sending = stands(60).await;
    assert_eq!((sending.last_slot, sending.missed, sending.sent_last_hour), (at(60), 3, 1));
    assert_eq!((sending.open, sending.last), (Some(post.clone()), None));

    let post = ledger.one.advance(post.id, &posted("1"), at(61)).await.unwrap();
    let done = stands(61).await;
    assert_eq!((done.open, done.avoid), (None, texts(&["one"])));
    assert_eq!((done.last, done.last_posted), (Some(post.clone()), Some(post.clone())));

    let gone = ledger.one.open(&given_up("walt", 120)).await.unwrap();
    let passed = stands(120).await;
    assert_eq!((passed.last, passed.last_posted, passed.last_slot), (Some(gone), Some(post), at(120)));
    let other = ledger.one.bot_record(&bot("emily"), at(120)).await.unwrap().unwrap();
    assert_eq!((other.last, other.sent_last_hour, other.last_slot), (None, 0, at(0)));
}

pub(super) async fn only_unreleased_lines_begin_a_round(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let round = async || ledger.other.bot_record(&bot("walt"), at(0)).await.unwrap().unwrap().round;
    let release = Move::Release(why(Cause::Late));
    end(&ledger, &of_slot("walt", "one", 1, 60), &posted("1")).await;
    end(&ledger, &of_slot("walt", "one", 2, 120), &release).await;
    assert_eq!(round().await, 1, "a line given back begins no round");
    end(&ledger, &of_slot("walt", "one", 2, 180), &Move::Refuse(why(Cause::Text))).await;
    assert_eq!(round().await, 2);
    ledger.one.open(&of_slot("walt", "one", 3, 240)).await.unwrap();
    assert_eq!(round().await, 3);
    for round in 1..=4 {
        let used = ledger.other.used(&bot("walt"), round).await.unwrap().len();
        assert_eq!(ledger.other.count_used(&bot("walt"), round).await.unwrap() as usize, used, "{round}");
    }
    let used = ledger.other.used(&bot("walt"), 2).await.unwrap();
    assert_eq!(used, HashSet::from([line("one", 1)]));
    assert!(ledger.other.used(&bot("walt"), 4).await.unwrap().is_empty());
}

pub(super) async fn duplicates_are_avoided_until_another_was_posted(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let walt = bot("walt");
    let avoid = async || ledger.other.bot_record(&walt, at(0)).await.unwrap().unwrap().avoid;
    let duplicate = Move::Release(why(Cause::Duplicate));
    end(&ledger, &of_slot("walt", "one", 1, 60), &posted("1")).await;
    end(&ledger, &of_slot("walt", "Holy!", 1, 120), &duplicate).await;
    end(&ledger, &of_slot("walt", "two", 1, 180), &Move::Release(why(Cause::Late))).await;
    assert_eq!(avoid().await, texts(&["one", "Holy!"]));
    let count = async |round, text| ledger.other.duplicates(&walt, round, EntryKey::of(text)).await.unwrap();
    assert_eq!((count(1, "Holy!").await, count(1, "two").await, count(2, "Holy!").await), (1, 0, 0));

    end(&ledger, &by_hand("walt", " by\thand ", 240), &posted("2")).await;
    assert_eq!(avoid().await, texts(&["by hand"]));
    let second = Draft { entry: Some((1, line("Holy!", 2))), ..of_slot("walt", "Holy!", 1, 300) };
    end(&ledger, &second, &duplicate).await;
    assert_eq!((avoid().await, count(1, "Holy!").await), (texts(&["by hand", "Holy!"]), 2));
}

pub(super) async fn posts_sent_in_the_last_hour_are_counted(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    let sent = async |seconds| {
        ledger.other.bot_record(&bot("walt"), at(seconds)).await.unwrap().unwrap().sent_last_hour
    };
    end(&ledger, &by_hand("emily", "hers", 10), &posted("1")).await;
    end(&ledger, &by_hand("walt", "one", 10), &posted("1")).await;
    end(&ledger, &by_hand("walt", "two", 20), &Move::Refuse(why(Cause::Text))).await;
    ledger.one.open(&given_up("walt", 25)).await.unwrap();
    let draft = Draft { begins: planned(40), ..by_hand("walt", "three", 30) };
    let three = ledger.one.open(&draft).await.unwrap().id;
    assert_eq!(sent(30).await, 2, "what is planned or given up has not left");
    for seconds in [40, 50] {
        ledger.one.advance(three, &Move::Send { record: None }, at(seconds)).await.unwrap();
        ledger.one.advance(three, &returned(false, 60), at(seconds)).await.unwrap();
    }
    assert_eq!(sent(60).await, 3, "attempts of one post are one");
    // An hour ends some seconds early, for a post that was sent a moment after its slot.
    let counts = [10 + HOUR - 6, 10 + HOUR - 5, 20 + HOUR - 5, 40 + HOUR - 5].map(sent);
    let counts = futures_util::future::join_all(counts).await;
    assert_eq!(counts, [3, 2, 1, 0]);
}

fn failed(seconds: i64, cause: Cause) -> Draft {
    let begins = Beginning::Released(why(cause));
    Draft { begins, ..given_up("walt", seconds) }
}

pub(super) async fn a_failing_streak_dates_from_its_first_failure(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    let since = async || ledger.other.bot_record(&bot("walt"), at(0)).await.unwrap().unwrap().ailing_since;
    let end = async |draft: &Draft| ledger.one.open(draft).await.unwrap();
    assert_eq!(since().await, None);
    end(&failed(10, Cause::Account)).await;
    end(&failed(20, Cause::Late)).await;
    assert_eq!(since().await, None, "the newest ended for another reason");
    end(&failed(30, Cause::SignIn)).await;
    end(&Draft { bot: bot("emily"), ..failed(35, Cause::Late) }).await;
    end(&failed(40, Cause::Credits)).await;
    assert_eq!(since().await, Some(at(30)));
    let open = ledger.one.open(&by_hand("walt", "text", 50)).await.unwrap();
    assert_eq!(since().await, None, "it is being tried");
    let back = Move::Return { why: why(Cause::SignIn), retry_at: at(60), answered: true };
    ledger.one.advance(open.id, &back, at(51)).await.unwrap();
    assert_eq!(since().await, Some(at(30)));
    ledger.one.advance(open.id, &Move::Send { record: None }, at(60)).await.unwrap();
    ledger.one.advance(open.id, &posted("1"), at(61)).await.unwrap();
    assert_eq!(since().await, None);
    end(&failed(70, Cause::App)).await;
    assert_eq!(since().await, Some(at(70)));
    let limits = ledger.one.open(&by_hand("walt", "text", 80)).await.unwrap();
    ledger.one.advance(limits.id, &returned(true, 90), at(81)).await.unwrap();
    assert_eq!(since().await, None);
}

pub(super) async fn signing_in_starts_a_new_failing_streak(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let since = async || ledger.other.bot_record(&bot("walt"), at(0)).await.unwrap().unwrap().ailing_since;
    let back = Move::Return { why: why(Cause::SignIn), retry_at: at(60), answered: true };
    ledger.one.open(&failed(10, Cause::Account)).await.unwrap();
    let open = ledger.one.open(&by_hand("walt", "text", 20)).await.unwrap();
    ledger.one.advance(open.id, &back, at(30)).await.unwrap();
    assert_eq!(since().await, Some(at(10)));
    super::credentials::sign_in(&ledger, "walt", 40).await;
    assert_eq!(since().await, None, "signing in has mended it");
    ledger.one.advance(open.id, &Move::Send { record: None }, at(50)).await.unwrap();
    ledger.one.advance(open.id, &back, at(51)).await.unwrap();
    assert_eq!(since().await, Some(at(51)), "it was planned before, and failed anew");
    ledger.one.advance(open.id, &Move::Release(why(Cause::Credits)), at(52)).await.unwrap();
    assert_eq!(since().await, Some(at(20)), "what signing in does not mend counts from the beginning");
}

/// An id shows when its post was created: by a command some time before, or by a clock that has since been
/// set back. For the next line, what was written last counts.
pub(super) async fn the_last_post_is_the_one_written_last(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let stands = async || ledger.other.bot_record(&bot("walt"), at(0)).await.unwrap().unwrap();
    end(&ledger, &by_hand("walt", "one", 2 * HOUR), &posted("1")).await;
    let set_back = end(&ledger, &by_hand("walt", "two", HOUR), &posted("2")).await;
    assert_eq!((stands().await.last_posted, stands().await.avoid), (Some(set_back), texts(&["two"])));
    end(&ledger, &of_slot("walt", "Holy!", 1, HOUR - 60), &Move::Release(why(Cause::Duplicate))).await;
    assert_eq!(stands().await.avoid, texts(&["two", "Holy!"]));
    let newest = ledger.other.posts(&Filter { limit: Some(1), ..Filter::default() }).await.unwrap();
    assert_eq!(newest[0].text.as_deref(), Some("Holy!"));
    assert_eq!(stands().await.last, Some(newest[0].clone()));
}

pub(super) async fn posts_are_filtered_and_newest_first(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily"]).await;
    let mut all = Vec::new();
    for seconds in 1..=12 {
        let name = if seconds % 2 == 0 { "walt" } else { "emily" };
        let network = if seconds % 3 == 0 { NetworkKind::Feed } else { NetworkKind::Paper };
        let step = if seconds % 4 < 2 { posted("1") } else { Move::Refuse(why(Cause::Text)) };
        all.insert(0, end(&ledger, &Draft { network, ..by_hand(name, "text", seconds) }, &step).await);
    }
    let any = Filter::default();
    for bot in [None, Some(bot("walt")), Some(bot("emily")), Some(bot("sylvia"))] {
        for state in [None, Some(State::Posted), Some(State::Refused), Some(State::Planned)] {
            for network in [None, Some(NetworkKind::Feed), Some(NetworkKind::X)] {
                for limit in [None, Some(0), Some(2), Some(1_000)] {
                    let filter = Filter { bot: bot.clone(), state, network, before: None, limit };
                    let wanted = |post: &&Post| {
                        filter.bot.as_ref().is_none_or(|bot| post.bot == *bot)
                            && state.is_none_or(|state| post.state == state)
                            && network.is_none_or(|network| post.network == network)
                    };
                    let most = limit.map_or(usize::MAX, |limit| limit as usize);
                    let expected: Vec<Post> = all.iter().filter(wanted).take(most).cloned().collect();
                    assert_eq!(ledger.other.posts(&filter).await.unwrap(), expected, "{filter:?}");
                }
            }
        }
    }
    assert_eq!(ledger.other.posts(&any).await.unwrap().len(), 12);
    for (at, post) in all.iter().enumerate() {
        let older = Filter { before: Some(post.id), ..Filter::default() };
        assert_eq!(ledger.other.posts(&older).await.unwrap(), all[at + 1..]);
        let own =
            Filter { before: Some(post.id), bot: Some(bot("walt")), limit: Some(2), ..Filter::default() };
        let expected: Vec<Post> =
            all[at + 1..].iter().filter(|post| post.bot == bot("walt")).take(2).cloned().collect();
        assert_eq!(ledger.other.posts(&own).await.unwrap(), expected);
    }
}

pub(super) async fn days_are_read_and_counted(ledger: Ledger) {
    let ledger = ledger.with(&["walt", "emily", "anne"]).await;
    let mut written = Vec::new();
    for (name, text, seconds) in
        [("walt", "one", 60), ("emily", "two", HOUR), ("walt", "three", HOUR), ("walt", "four", 3 * HOUR)]
    {
        written.push(end(&ledger, &of_slot(name, text, 1, seconds), &posted(text)).await.id);
    }
    // A post that was never sent does not belong to that day.
    ledger.one.open(&given_up("walt", 4 * HOUR)).await.unwrap();
    let between = async |from, until, most| {
        let posts = ledger.other.planned_between(at(from), at(until), most).await.unwrap();
        posts.into_iter().map(|post| post.id).collect::<Vec<_>>()
    };
    assert_eq!(between(60, 3 * HOUR, 10).await, written[..3]);
    assert_eq!(between(61, 3 * HOUR, 1).await, written[1..2]);
    assert_eq!(ledger.other.count_between(at(60), at(3 * HOUR)).await.unwrap(), 3);
    assert_eq!(ledger.other.count_between(at(3 * HOUR), at(9 * HOUR)).await.unwrap(), 2);

    let quarter = |seconds| at(seconds).timestamp() / 900;
    let mut sent = ledger.other.sent_by_quarters(&[bot("walt"), bot("anne")], at(61)).await.unwrap();
    sent.sort();
    assert_eq!(sent, [(bot("walt"), quarter(HOUR), 1), (bot("walt"), quarter(3 * HOUR), 1)]);
    let all = ledger.other.sent_by_quarters(&[bot("walt"), bot("emily")], at(0)).await.unwrap();
    assert_eq!(all.iter().map(|(_, _, count)| count).sum::<u64>(), 4);
}

pub(super) async fn a_backup_is_a_ledger(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let before: Vec<PostId> = write(&*ledger.one, 1..50).await;
    let command = crate::ledger::command(1);
    ledger.one.submit_command(&command).await.unwrap();
    let path = ledger.folder().join("copy.db");
    let (copied, during) = tokio::join!(ledger.other.copy_to(&path), write(&*ledger.one, 50..200));
    copied.unwrap();

    let copy = (ledger.open_copy)(path).await;
    let (ours, theirs) = (all(&*ledger.one).await, all(&*copy).await);
    assert_eq!(ours.len(), before.len() + during.len());
    assert!(theirs.len() >= before.len());
    // A snapshot of one instant: all posts up to one, and none after.
    assert_eq!(theirs, ours[ours.len() - theirs.len()..]);
    assert_eq!(copy.open_commands().await.unwrap(), [command]);
    let standing = copy.bot_record(&bot("walt"), at(500)).await.unwrap().unwrap();
    assert_eq!(standing.last_slot, theirs[0].due_at);
    // It continues independently, under the same rules.
    assert_eq!(copy.open(&given_up("walt", 1)).await, Err(StoreError::SlotTaken));
    end(&Ledger { one: copy, ..ledger }, &of_slot("walt", "one", 1, 900), &posted("1")).await;
}

async fn write(store: &dyn Store, slots: std::ops::Range<i64>) -> Vec<PostId> {
    let mut written = Vec::new();
    for seconds in slots {
        written.push(store.open(&given_up("walt", seconds)).await.unwrap().id);
    }
    written
}

async fn all(store: &dyn Store) -> Vec<Post> {
    store.posts(&Filter::default()).await.unwrap()
}

pub(super) async fn a_backup_never_replaces_a_file(ledger: Ledger) {
    let ledger = ledger.with(&["walt"]).await;
    let path = ledger.folder().join("taken");
    for content in ["something else", ""] {
        std::fs::write(&path, content).unwrap();
        let error = ledger.one.copy_to(&path).await.unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
    let nowhere = ledger.folder().join("no/such/folder/copy.db");
    let error = ledger.one.copy_to(&nowhere).await.unwrap_err().to_string();
    assert!(error.contains("no/such/folder/copy.db"), "{error}");
    let begins = Beginning::Sending;
    ledger.one.open(&Draft { id: id_at(9), begins, ..by_hand("walt", "it goes on", 9) }).await.unwrap();
}
