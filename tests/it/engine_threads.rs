//! Threads: each part is a post of its own, sent once, answering the one before it; whatever happens between them.

use flockd::flock::content::{Content, Part};
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, Post, State};
use flockd::flock::thread::Thread;
use flockd::net::{Outcome, ProbeResult, RemotePost, ReplyTo, Timeline};
use flockd::store::{CommandKind, CommandResult, Store as _};

use crate::support::clock::{delta, hours, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, duplicate, posted, setback, shown, unreachable};

/// A bot whose schedule is never due while a test runs.
async fn idle() -> EngineFixture {
    let mut walt = bot("walt");
    walt.schedule = cron("0 0 1 1 *");
    EngineFixture::of([(walt, poem("w", 9))]).await
}

fn content(parts: &[&str]) -> Content {
    let part = |text: &&str| Part { text: (*text).to_owned(), media: Vec::new() };
    Content { parts: parts.iter().map(part).collect(), ..Content::default() }
}

async fn post(fixture: &EngineFixture, parts: &[&str]) -> CommandResult {
    let id = fixture.ask(CommandKind::PostContent { bot: "walt".to_owned(), content: content(parts) }).await;
    fixture.answer(id).await
}

async fn resume(fixture: &EngineFixture) -> CommandResult {
    let post = fixture.last("walt").await.id.to_string();
    let id = fixture.ask(CommandKind::ResumePost { bot: "walt".to_owned(), post }).await;
    fixture.answer(id).await
}

/// The posts of the newest thread, with what has become of it.
async fn thread(fixture: &EngineFixture) -> (Thread, Vec<Post>) {
    let head = fixture.last("walt").await;
    let rows = fixture.ledger().thread(head.id).await.unwrap();
    (Thread::of(&head, &rows[1..]), rows)
}

/// Each row of the newest thread as text: its part, its state, its cause, and what it says.
async fn rows(fixture: &EngineFixture) -> (Thread, Vec<String>) {
    let (thread, rows) = thread(fixture).await;
    let written = |row: &Post| {
        let cause = row.cause.map_or(String::new(), |cause| format!(" ({cause})"));
        format!("{} {}{cause} {}", row.part, row.state, row.own_text().unwrap())
    };
    (thread, rows.iter().map(written).collect())
}

fn reply(root: &str, parent: &str) -> Option<ReplyTo> {
    Some(ReplyTo { root: root.to_owned(), parent: parent.to_owned() })
}

#[tokio::test]
async fn every_part_answers_the_one_before_it() {
    let fixture = idle().await;
    assert!(post(&fixture, &["a", "b", "c"]).await.done);
    fixture.pass(minutes(1)).await;
    let sent = fixture.net("walt").sent();
    let said: Vec<_> =
        sent.iter().map(|sent| (sent.post.own_text().unwrap(), sent.reply_to.clone())).collect();
    assert_eq!(said, [("a", None), ("b", reply("walt-1", "walt-1")), ("c", reply("walt-1", "walt-2"))]);
    assert_eq!(
        rows(&fixture).await,
        (Thread::Whole, ["0 posted a", "1 posted b", "2 posted c"].map(str::to_owned).to_vec())
    );
    let head = fixture.last("walt").await;
    assert_eq!((head.text.as_deref(), head.is_by_hand()), (Some("a\n\nb\n\nc"), true));
    assert_eq!(fixture.rows("walt").await.len(), 1, "only the first part is listed");
    assert_eq!(fixture.standing("walt").await.sent_last_hour, 3, "each part counts");
}

#[tokio::test]
async fn a_crash_or_a_lost_answer_at_any_part_repeats_and_loses_none() {
    for part in 0..3 {
        for arrived in [true, false] {
            let mut fixture = idle().await;
            let net = fixture.net("walt");
            net.tells_truth(true);
            for number in 0..part {
                net.then(posted(&format!("walt-{}", number + 1)));
            }
            net.then(Next::Hold { arrived });
            let content = content(&["a", "b", "c"]);
            fixture.ask(CommandKind::PostContent { bot: "walt".to_owned(), content }).await;
            fixture.pass(minutes(1)).await;
            assert_eq!(fixture.net("walt").held(), 1);
            fixture.crash().await;
            fixture.start().await;
            fixture.pass(minutes(20)).await;
            let (thread, rows) = thread(&fixture).await;
            let sent = fixture.net("walt").sent();
            let public = sent.iter().filter(|sent| sent.arrived);
            let public: Vec<&str> = public.map(|sent| sent.post.own_text().unwrap()).collect();
            if part == 0 && !arrived {
                // A post by hand whose caller is gone is not sent again.
                assert_eq!((public.len(), rows[0].state), (0, State::Released));
                continue;
            }
            assert_eq!(
                (public, thread),
                (vec!["a", "b", "c"], Thread::Whole),
                "part {part}, arrived: {arrived}"
            );
        }
    }
}

#[tokio::test]
async fn a_part_is_retried_for_a_day_and_then_the_bot_goes_on() {
    let mut walt = bot("walt");
    (walt.schedule, walt.max_late) = (cron("0 * * * *"), minutes(5));
    let fixture = EngineFixture::of([(walt, poem("w", 99))]).await;
    let net = fixture.net("walt");
    net.then(posted("walt-1"));
    net.always(unreachable());
    assert!(post(&fixture, &["a", "b"]).await.done);
    fixture.pass(hours(23)).await;
    assert_eq!(rows(&fixture).await.0, Thread::Going);
    fixture.pass(hours(2)).await;
    let head =
        fixture.rows("walt").await.into_iter().find(|row| row.part == 0 && row.slot.is_none()).unwrap();
    let parts = fixture.ledger().thread(head.id).await.unwrap();
    assert_eq!(Thread::of(&head, &parts[1..]), Thread::Partial);
    assert_eq!((parts[1].state, parts[1].cause), (State::Released, Some(Cause::Unreachable)));
    fixture.net("walt").forget_the_script();
    fixture.pass(hours(2)).await;
    assert!(fixture.net("walt").texts().contains(&"w1".to_owned()), "the bot goes on");
}

#[tokio::test]
async fn a_broken_thread_is_continued_by_hand_where_it_broke_off() {
    let fixture = idle().await;
    let net = fixture.net("walt");
    net.then(posted("walt-1"));
    net.then(Outcome::ParentGone { reason: "it is gone".to_owned() });
    assert!(post(&fixture, &["a", "b", "c"]).await.done);
    fixture.pass(minutes(1)).await;
    let broken = rows(&fixture).await;
    assert_eq!(broken, (Thread::Partial, vec!["0 posted a".to_owned(), "1 released (thread) b".to_owned()]));
    assert_eq!(fixture.count(|event| matches!(event, Event::Released(_))), 1);

    assert!(resume(&fixture).await.done);
    fixture.pass(minutes(1)).await;
    let whole = ["0 posted a", "1 released (thread) b", "1 posted b", "2 posted c"].map(str::to_owned);
    assert_eq!(rows(&fixture).await, (Thread::Whole, whole.to_vec()));
    assert!(!resume(&fixture).await.done, "nothing is left");
}

#[tokio::test]
async fn what_has_no_known_id_is_not_answered() {
    let fixture = idle().await;
    let net = fixture.net("walt");
    net.then(posted("walt-1"));
    net.then(Next::Silence { arrived: true });
    net.then(duplicate());
    net.sees(ProbeResult::Absent);
    assert!(post(&fixture, &["a", "b", "c"]).await.done);
    fixture.pass(minutes(10)).await;
    let (thread, rows) = rows(&fixture).await;
    assert_eq!(thread, Thread::Partial);
    assert_eq!(rows, ["0 posted a", "1 posted b", "2 released (thread) c"]);
    assert_eq!(fixture.net("walt").sent().len(), 3);
}

#[tokio::test]
async fn a_thread_is_not_begun_that_max_per_hour_forbids() {
    let mut walt = bot("walt");
    (walt.schedule, walt.max_per_hour) = (cron("0 0 1 1 *"), 4);
    let fixture = EngineFixture::of([(walt, poem("w", 9))]).await;
    assert!(post(&fixture, &["a", "b"]).await.done);
    fixture.pass(minutes(1)).await;
    assert!(!post(&fixture, &["c", "d", "e"]).await.done);
    let last = fixture.last("walt").await;
    assert_eq!((last.state, last.cause), (State::Released, Some(Cause::Flood)));
    assert!(post(&fixture, &["c", "d"]).await.done);
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.net("walt").sent().len(), 4);
}

#[tokio::test]
async fn deleting_takes_back_every_part_the_last_first() {
    let fixture = idle().await;
    let net = fixture.net("walt");
    net.then(posted("1"));
    net.then(posted("2"));
    net.then(unreachable());
    assert!(post(&fixture, &["a", "b", "c"]).await.done);
    fixture.pass(seconds(12)).await;
    let id = fixture.last("walt").await.id.to_string();
    let delete = fixture.ask(CommandKind::Delete { bot: "walt".to_owned(), post: id }).await;
    assert!(fixture.answer(delete).await.done);
    let gone: Vec<_> =
        fixture.net("walt").deleted().into_iter().map(|post| post.remote_id.unwrap()).collect();
    assert_eq!(gone, ["2", "1"]);
    let states: Vec<State> = thread(&fixture).await.1.iter().map(|row| row.state).collect();
    assert_eq!(states, [State::Deleted, State::Deleted, State::Released]);
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").sent().len(), 3, "what was planned is given up");
}

#[tokio::test]
async fn a_clock_that_is_set_back_breaks_no_thread_off() {
    let fixture = idle().await;
    let net = fixture.net("walt");
    net.then(posted("walt-1"));
    net.then(setback(Cause::Limits, Some(fixture.now() + delta(hours(1)))));
    assert!(post(&fixture, &["a", "b"]).await.done);
    fixture.pass(seconds(10)).await;
    assert_eq!(rows(&fixture).await.0, Thread::Going);
    fixture.set_clock(fixture.now() - delta(hours(3))).await;
    fixture.pass(minutes(10)).await;
    assert_eq!(rows(&fixture).await.0, Thread::Whole);
}

/// The account's posts, as the network shows them.
fn timeline(fixture: &EngineFixture) -> Timeline {
    let numbered = fixture.net("walt").sent().into_iter().zip(1..);
    let public = numbered.filter(|(sent, _)| sent.arrived).map(|(sent, number)| RemotePost {
        reply_to: sent.reply_to.map(|to| to.parent),
        ..shown(&format!("walt-{number}"), sent.post.own_text().unwrap(), sent.at)
    });
    Timeline::Complete(public.collect())
}

#[tokio::test]
async fn what_was_continued_since_a_backup_is_not_continued_again() {
    let mut fixture = idle().await;
    let net = fixture.net("walt");
    net.then(posted("walt-1"));
    net.then(Outcome::ParentGone { reason: "it can't be seen yet".to_owned() });
    assert!(post(&fixture, &["a", "b", "c"]).await.done);
    fixture.pass(minutes(1)).await;
    fixture.back_up().await;
    assert!(resume(&fixture).await.done);
    fixture.pass(minutes(1)).await;
    assert_eq!(rows(&fixture).await.0, Thread::Whole);
    // As long as the account can't be read, the rest may be there.
    fixture.net("walt").has_posted(Err(unreachable()));
    fixture.put_back().await;
    assert_eq!(rows(&fixture).await.0, Thread::Partial);
    assert!(!resume(&fixture).await.done);
    fixture.net("walt").has_posted(Ok(timeline(&fixture)));
    fixture.pass(minutes(6)).await;
    assert_eq!(rows(&fixture).await.0, Thread::Whole);
    assert!(!resume(&fixture).await.done, "nothing is left");
    assert_eq!(fixture.net("walt").sent().len(), 4);
}

#[tokio::test]
async fn after_a_restore_parts_that_may_be_there_are_looked_for_first() {
    let mut fixture = idle().await;
    let net = fixture.net("walt");
    net.then(posted("walt-1"));
    net.then(unreachable());
    assert!(post(&fixture, &["a", "b", "c"]).await.done);
    fixture.back_up().await;
    fixture.pass(minutes(30)).await;
    assert_eq!(rows(&fixture).await.0, Thread::Whole);
    let before = fixture.net("walt").sent().len();
    fixture.put_back().await;
    fixture.net("walt").tells_truth(true);
    fixture.pass(minutes(30)).await;
    assert_eq!(
        fixture.net("walt").sent().len(),
        before,
        "every part was found, though the last has a new row"
    );
    assert_eq!(rows(&fixture).await.0, Thread::Whole);
    assert!(fixture.net("walt").looks() >= 2, "both parts were looked for");
}
