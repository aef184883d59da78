//! Ledgers that were restored from a backup after the flock had continued posting.

use flockd::flock::account::TokenSources;
use flockd::flock::event::Event;
use flockd::flock::post::{Cause, State, Why};
use flockd::flock::secret::SecretSource;
use flockd::flock::{AtEnd, Bot, OnUnknown};
use flockd::net::{RemotePost, Timeline};
use flockd::store::health_state::{HealthState, health_state, needs_person};
use flockd::store::{CommandKind, CommandResult};

use crate::support::clock::{at, hours, minutes};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron};
use crate::support::network::{Next, duplicate, like, nothing, setback, shown};

fn hourly(name: &str) -> Bot {
    let mut bot = bot(name);
    bot.schedule = cron("@hourly");
    bot
}

/// What a bot's account shows: everything that its network accepted.
fn account_of(fixture: &EngineFixture, name: &str) -> Vec<RemotePost> {
    let sent = fixture.net(name).sent();
    let arrived = sent.iter().zip(1..).filter(|(sent, _)| sent.arrived);
    arrived
        .map(|(sent, n)| shown(&format!("{name}-{n}"), sent.post.text.as_deref().unwrap(), sent.at))
        .collect()
}

const FIVE: &str = "one\ntwo\nthree\nfour\nfive\n";

async fn command(fixture: &EngineFixture, what: CommandKind) -> CommandResult {
    let id = fixture.ask(what).await;
    fixture.answer(id).await
}

/// How often a text of walt's was published.
fn times(fixture: &EngineFixture, text: &str) -> usize {
    let sent = fixture.net("walt").sent();
    sent.iter().filter(|sent| sent.arrived && sent.post.text.as_deref() == Some(text)).count()
}

/// Gives the bot tokens, so it needs no sign-in.
fn signed_in(bot: Bot) -> Bot {
    let source = || SecretSource::Env("T".to_owned());
    Bot { tokens: Some(TokenSources { access_token: source(), access_token_secret: Some(source()) }), ..bot }
}

/// A bot that posted twice, was backed up, posted twice more, and was then restored.
async fn put_back(walt: Bot, poem: &str) -> EngineFixture {
    let mut fixture = EngineFixture::of([(walt, poem)]).await;
    fixture.pass(hours(2)).await;
    fixture.back_up().await;
    fixture.pass(hours(2)).await;
    let account = account_of(&fixture, "walt");
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account)));
    fixture.put_back().await;
    fixture
}

#[tokio::test]
async fn nothing_repeats_where_the_account_can_be_read() {
    let mut fixture = put_back(hourly("walt"), "one\ntwo\nthree\nfour\nfive\n").await;
    assert_eq!(fixture.net("walt").read_since(), [at("2024-03-05T14:00:00Z")]);
    let rows = fixture.rows("walt").await;
    let texts: Vec<_> = rows.iter().filter_map(|row| row.text.as_deref()).collect();
    assert_eq!(texts, ["one", "two", "three", "four"]);
    assert!(rows.iter().all(|row| row.state == State::Posted && row.remote_id.is_some()));
    assert_eq!(fixture.count(|event| matches!(event, Event::CaughtUp { found: 2, .. })), 1);
    fixture.pass(hours(1)).await;
    fixture.restart().await;
    fixture.pass(hours(2)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two", "three", "four", "five"]);
    assert_eq!(fixture.net("walt").read_since().len(), 1, "it is read once");
}

#[tokio::test]
async fn slots_up_to_the_restore_do_not_fire() {
    let fixture = put_back(hourly("walt"), "one\ntwo\nthree\nfour\nfive\n").await;
    fixture.pass(minutes(59)).await;
    assert_eq!(fixture.net("walt").sent().len(), 4, "16:00 was used by the ledger that is lost");
}

#[tokio::test]
async fn refrains_and_rounds_are_told_apart_by_their_order() {
    let mut walt = hourly("walt");
    walt.at_end = AtEnd::Again;
    let mut fixture = put_back(walt, "Holy!\none\nHoly!\n").await;
    let rows = fixture.rows("walt").await;
    let lines: Vec<_> = rows
        .iter()
        .filter_map(|row| row.entry.map(|(round, line)| (round, line.occurrence, row.text.clone().unwrap())))
        .collect();
    let expected = [(1, 1, "Holy!"), (1, 1, "one"), (1, 2, "Holy!"), (2, 1, "one")];
    assert_eq!(lines, expected.map(|(round, number, text)| (round, number, text.to_owned())));
    fixture.pass(hours(2)).await;
    assert_eq!(fixture.net("walt").texts()[4..], ["Holy!", "Holy!"]);
    fixture.stop().await;
}

#[tokio::test]
async fn a_post_planned_before_the_backup_is_probed_for_first() {
    let mut fixture = EngineFixture::of([(hourly("walt"), "one\ntwo\n")]).await;
    fixture.net("walt").then(setback(Cause::Limits, Some(at("2024-03-05T13:20:00Z"))));
    fixture.pass_until("2024-03-05T13:10:00Z").await;
    fixture.back_up().await;
    fixture.pass_until("2024-03-05T13:20:00Z").await;
    let account = account_of(&fixture, "walt");
    assert_eq!(account.len(), 1, "it was sent after the backup");
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account)));
    fixture.net("walt").sees(like("walt-2"));
    fixture.put_back().await;
    fixture.pass(minutes(1)).await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 posted one"]);
    assert_eq!(fixture.last("walt").await.remote_id.as_deref(), Some("walt-2"));
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "one", "two"], "the first was not accepted");
}

#[tokio::test]
async fn a_post_not_sent_since_the_backup_is_sent() {
    let mut fixture = EngineFixture::of([(hourly("walt"), "one\ntwo\n")]).await;
    fixture.net("walt").then(setback(Cause::Limits, Some(at("2024-03-05T13:50:00Z"))));
    fixture.pass_until("2024-03-05T13:10:00Z").await;
    fixture.back_up().await;
    fixture.net("walt").sees(nothing());
    fixture.put_back().await;
    fixture.pass(minutes(10)).await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 posted one"]);
}

#[tokio::test]
async fn an_unreadable_account_waits_for_a_person() {
    let mut fixture = EngineFixture::of([(hourly("walt"), "one\ntwo\n"), (hourly("emily"), "a\nb\n")]).await;
    fixture.back_up().await;
    let why = Why::new(Cause::App, "the script allows no look");
    fixture.net("walt").has_posted(Ok(Timeline::Unavailable(why)));
    fixture.put_back().await;
    fixture.pass(hours(1)).await;
    fixture.restart().await;
    fixture.pass(hours(1)).await;
    assert_eq!((fixture.net("walt").sent().len(), fixture.net("emily").sent().len()), (0, 2));
    let pause = fixture.standing("walt").await.paused.unwrap();
    assert!(pause.why.is_some(), "a person did not pause it");
    let told = |event: &Event| matches!(event, Event::Paused { why: Some(_), .. });
    assert_eq!(fixture.count(told), 1, "logged once, and the account is not read again");
    let by_hand = fixture.post("walt", None).await;
    assert!(!by_hand.done && by_hand.post.is_none(), "{by_hand:?}");
    assert!(fixture.post("walt", Some("a text of one's own")).await.done);

    let asked = fixture.ask(CommandKind::Resume { bot: "walt".to_owned() }).await;
    assert!(fixture.answer(asked).await.done);
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["a text of one's own", "one"]);
}

#[tokio::test]
async fn an_unreachable_account_is_retried() {
    let mut fixture = EngineFixture::of([(hourly("walt"), "one\ntwo\n")]).await;
    fixture.pass(hours(1)).await;
    fixture.back_up().await;
    fixture.net("walt").has_posted(Err(setback(Cause::Unreachable, None)));
    fixture.put_back().await;
    fixture.pass(minutes(90)).await;
    assert_eq!(fixture.net("walt").sent().len(), 1, "nothing is posted before");
    assert!((18..=19).contains(&fixture.net("walt").read_since().len()), "every five minutes");
    assert_eq!(
        fixture.count(|event| matches!(event, Event::NotCaughtUp { .. })),
        fixture.net("walt").read_since().len()
    );
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account_of(&fixture, "walt"))));
    fixture.pass(minutes(30)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two"]);
}

#[tokio::test]
async fn an_unknown_outcome_in_the_backup_is_settled_before_reconciling() {
    let mut fixture = EngineFixture::of([(hourly("walt"), "Holy!\nHoly!\n")]).await;
    fixture.net("walt").then(Next::Silence { arrived: true });
    fixture.pass_until("2024-03-05T13:00:05Z").await;
    fixture.back_up().await;
    fixture.net("walt").sees(like("walt-1"));
    fixture.pass_until("2024-03-05T14:00:00Z").await;
    let account = account_of(&fixture, "walt");
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account)));
    fixture.put_back().await;
    fixture.pass(minutes(1)).await;
    let rows = fixture.rows("walt").await;
    let ids: Vec<_> =
        rows.iter().map(|row| (row.entry.unwrap().1.occurrence, row.remote_id.clone().unwrap())).collect();
    assert_eq!(ids, [(1, "walt-1".to_owned()), (2, "walt-2".to_owned())]);
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["Holy!", "Holy!"]);
}

#[tokio::test]
async fn a_replanned_post_does_not_block_reconciling() {
    let walt = Bot { schedule: cron("*/10 * * * *"), ..bot("walt") };
    let mut fixture = EngineFixture::of([(walt, FIVE)]).await;
    fixture.net("walt").then(setback(Cause::Limits, Some(at("2024-03-05T12:35:00Z"))));
    fixture.pass_until("2024-03-05T12:12:00Z").await;
    fixture.back_up().await;
    fixture.net("walt").then(duplicate());
    fixture.pass_until("2024-03-05T12:37:00Z").await;
    assert_eq!(times(&fixture, "two"), 1, "only in the lost ledger");
    let account = account_of(&fixture, "walt");
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account)));
    fixture.net("walt").sees(nothing());
    fixture.put_back().await;
    fixture.pass(hours(1)).await;
    assert_eq!(times(&fixture, "two"), 1, "{:#?}", fixture.history("walt").await);
}

#[tokio::test]
async fn resuming_a_paused_bot_does_not_skip_reconciling() {
    let mut fixture = EngineFixture::of([(hourly("walt"), FIVE)]).await;
    assert!(command(&fixture, CommandKind::Pause { bot: "walt".to_owned() }).await.done);
    fixture.back_up().await;
    assert!(command(&fixture, CommandKind::Resume { bot: "walt".to_owned() }).await.done);
    fixture.pass(hours(2)).await;
    let account = account_of(&fixture, "walt");
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account)));
    fixture.put_back().await;
    assert!(command(&fixture, CommandKind::Resume { bot: "walt".to_owned() }).await.done);
    fixture.pass(hours(2)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn a_used_line_that_was_posted_by_hand_begins_no_round() {
    let mut fixture = EngineFixture::of([(Bot { at_end: AtEnd::Again, ..hourly("walt") }, FIVE)]).await;
    fixture.pass(hours(2)).await;
    fixture.back_up().await;
    assert!(fixture.post("walt", Some("one")).await.done);
    fixture.pass(hours(1)).await;
    let account = account_of(&fixture, "walt");
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account)));
    fixture.put_back().await;
    fixture.pass(hours(2)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two", "one", "three", "four", "five"]);
}

#[tokio::test]
async fn a_line_that_was_assumed_to_be_posted_begins_no_round() {
    let walt = Bot { at_end: AtEnd::Again, on_unknown: OnUnknown::AssumePosted, ..hourly("walt") };
    let mut fixture = EngineFixture::of([(walt, FIVE)]).await;
    fixture.pass_until("2024-03-05T14:59:00Z").await;
    fixture.net("walt").then(Next::Silence { arrived: true });
    fixture.pass_until("2024-03-05T15:02:00Z").await;
    fixture.back_up().await;
    fixture.pass_until("2024-03-05T16:01:00Z").await;
    // X is queried from six minutes before the backup on.
    let mut account = account_of(&fixture, "walt");
    account.retain(|seen| seen.at >= at("2024-03-05T14:56:00Z"));
    assert_eq!(account.len(), 2);
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account)));
    fixture.put_back().await;
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two", "three", "four", "five"]);
}

#[tokio::test]
async fn a_bot_that_cannot_read_its_account_reports_an_error() {
    let mut fixture = EngineFixture::of([(hourly("walt"), FIVE)]).await;
    fixture.pass(hours(1)).await;
    fixture.back_up().await;
    fixture.net("walt").has_posted(Err(setback(Cause::Account, None)));
    fixture.put_back().await;
    fixture.pass(hours(5)).await;
    let (walt, standing) = (signed_in(hourly("walt")), fixture.standing("walt").await);
    let (is, why) = health_state(&walt, Some(&standing), Some(4), fixture.now());
    assert!(needs_person(&walt, Some(&standing), is), "{is}: {why:?}");
    assert_ne!(is, HealthState::Waiting);
}

#[tokio::test]
async fn lines_that_differ_only_in_their_links_are_left_to_a_person() {
    let mut fixture = EngineFixture::of([(hourly("walt"), "see a\nsee b\nsee c\n")]).await;
    fixture.back_up().await;
    fixture.net("walt").shows_alike("see ");
    fixture.pass(hours(1)).await;
    let account = account_of(&fixture, "walt");
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account)));
    fixture.put_back().await;
    fixture.pass(hours(2)).await;
    let pause = fixture.standing("walt").await.paused.unwrap();
    assert!(pause.why.is_some(), "a person did not pause it");
    assert_eq!(fixture.net("walt").texts(), ["see a"]);
}

#[tokio::test]
async fn a_partly_readable_account_counts_as_unreadable() {
    let mut fixture = EngineFixture::of([(hourly("walt"), FIVE)]).await;
    fixture.back_up().await;
    fixture.pass(hours(1)).await;
    let why = Why::new(Cause::Silence, "the account has more than 2000 posts since then");
    fixture.net("walt").has_posted(Ok(Timeline::Partial(account_of(&fixture, "walt"), why)));
    fixture.put_back().await;
    fixture.pass(hours(1)).await;
    assert_eq!(times(&fixture, "two"), 0, "the missing post may be any line");
    let paused = |event: &Event| matches!(event, Event::Paused { why: Some(why), .. } if why.contains("more than 2000"));
    assert_eq!(fixture.count(paused), 1);
}

/// A person imports what the account had before, as far as it is visible.
#[tokio::test]
async fn the_history_of_an_account_counts_as_far_as_it_is_shown() {
    let fixture = EngineFixture::of([(hourly("walt"), FIVE)]).await;
    let old = |text: &str, at_time: &str| shown(text, text, at(at_time));
    let seen = vec![old("three", "2020-01-01T00:00:00Z"), old("something else", "2020-01-02T00:00:00Z")];
    let why = Why::new(Cause::Silence, "the account has more than 2000 posts");
    fixture.net("walt").has_posted(Ok(Timeline::Partial(seen, why)));
    fixture.pass(hours(1)).await;
    let before = fixture.rows("walt").await.len();
    let answer = command(&fixture, CommandKind::History { bot: "walt".to_owned() }).await;
    assert!(answer.done, "{answer:?}");
    assert_eq!(fixture.rows("walt").await.len() - before, 1, "of two posts, the one that is a line");
    assert_eq!(fixture.net("walt").read_since(), [at("1970-01-01T00:00:00Z")], "from the beginning");
    fixture.pass(hours(5)).await;
    assert_eq!(fixture.net("walt").texts(), ["one", "two", "four", "five"]);
    // Older posts sort before what was posted since, and importing again finds nothing new.
    let rows = fixture.rows("walt").await;
    assert_eq!(rows.iter().find(|row| row.text.as_deref() == Some("three")).unwrap().slot, None);
    let again = command(&fixture, CommandKind::History { bot: "walt".to_owned() }).await;
    assert!(again.done, "{again:?}");
    assert_eq!(fixture.rows("walt").await.len(), rows.len());
    let refused = Why::new(Cause::App, "reading is not in your plan");
    fixture.net("walt").has_posted(Ok(Timeline::Unavailable(refused)));
    let refused = command(&fixture, CommandKind::History { bot: "walt".to_owned() }).await;
    assert!(!refused.done && refused.message.contains("reading is not in your plan"), "{refused:?}");
    assert_eq!(fixture.rows("walt").await.len(), rows.len());
}

/// On the account it looks like one of several equal lines, and would be resent if its id were taken.
#[tokio::test]
async fn importing_a_history_waits_for_an_unknown_outcome() {
    let fixture = EngineFixture::of([(hourly("walt"), "holy\nholy\n")]).await;
    fixture.net("walt").then(Next::Hold { arrived: true });
    fixture.pass(hours(1)).await;
    fixture.net("walt").release(&flockd::net::Outcome::Unknown { reason: "no answer came".to_owned() });
    fixture.at_rest().await;
    let open = fixture.standing("walt").await.open.expect("it is probed");
    assert_eq!(open.state, State::Unknown);
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account_of(&fixture, "walt"))));
    let answer = command(&fixture, CommandKind::History { bot: "walt".to_owned() }).await;
    assert!(!answer.done, "{answer:?}");
    assert_eq!(fixture.rows("walt").await.len(), 1, "no row has its id");
}

/// The clock was three hours ahead during the backup, and was corrected before the restore.
#[tokio::test]
async fn a_backup_made_by_a_clock_that_was_ahead_hides_no_later_posts() {
    let mut fixture =
        EngineFixture::of([(hourly("walt"), "one\ntwo\nthree\nfour\nfive\nsix\nseven\n")]).await;
    fixture.pass(hours(2)).await;
    fixture.stop().await;
    let now = fixture.now();
    fixture.clock.set(now + chrono::TimeDelta::hours(3));
    fixture.back_up().await;
    fixture.clock.set(now);
    fixture.start().await;
    fixture.pass(hours(4)).await;
    let account = account_of(&fixture, "walt");
    fixture.net("walt").has_posted(Ok(Timeline::Complete(account)));
    fixture.put_back().await;
    let since = fixture.net("walt").read_since();
    assert!(since.len() == 1 && since[0] <= at("2024-03-05T14:00:00Z"), "{since:?}");
    fixture.pass(hours(1)).await;
    assert_eq!(times(&fixture, "three"), 1);
    assert_eq!(fixture.net("walt").texts().last().unwrap(), "seven");
}

/// The account shows two lines in its server's spelling, and one that may be a third.
#[tokio::test]
async fn a_line_similar_to_a_post_is_not_repeated() {
    const POEM: &str =
        "the first *line*\nthe \"second\" line\nthe :leaf: third line of it\nthe fourth and last\n";
    let seen = [
        ("the first line", "13:00:00"),
        ("the \u{201c}second\u{201d} line", "14:00:00"),
        ("the third line of it", "15:00:00"),
    ];
    let seen = seen.map(|(text, time)| shown(text, text, at(&format!("2024-03-05T{time}Z"))));
    for (on_unknown, said) in [(OnUnknown::Ask, 0), (OnUnknown::AssumePosted, 1)] {
        let walt = Bot { on_unknown, schedule: cron("0 0 * * *"), ..bot("walt") };
        let mut fixture = EngineFixture::of([(walt, POEM)]).await;
        fixture.back_up().await;
        fixture.pass(hours(4)).await;
        fixture.net("walt").has_posted(Ok(Timeline::Complete(seen.to_vec())));
        fixture.put_back().await;
        fixture.pass(hours(48)).await;
        assert_eq!(fixture.net("walt").sent().len(), said, "{on_unknown:?}");
        if on_unknown == OnUnknown::Ask {
            let pause = fixture.standing("walt").await.paused.expect("a person is asked");
            let why = pause.why.unwrap();
            assert!(why.contains("the third line"), "{why}");
            // Certain matches are kept, whatever the person finds.
            assert!(command(&fixture, CommandKind::Resume { bot: "walt".to_owned() }).await.done);
            fixture.pass(hours(72)).await;
            let mut texts = fixture.net("walt").texts();
            texts.sort();
            assert_eq!(texts, ["the :leaf: third line of it", "the fourth and last"]);
        } else {
            assert_eq!(fixture.net("walt").texts(), ["the fourth and last"]);
        }
    }
}

/// If a post has the poem's exact spelling, it is the line, and a similar one causes no doubt.
#[tokio::test]
async fn an_exact_match_settles_a_line() {
    let walt = Bot { schedule: cron("0 0 * * *"), ..bot("walt") };
    let mut fixture = EngineFixture::of([(walt, "the wind blows through the leaves\nand on\n")]).await;
    fixture.back_up().await;
    fixture.pass(hours(4)).await;
    let seen = ["the wind :leaf: blows through all the leaves", "the wind blows through the leaves"];
    let seen = seen.map(|text| shown(text, text, at("2024-03-05T13:00:00Z")));
    fixture.net("walt").has_posted(Ok(Timeline::Complete(seen.to_vec())));
    fixture.put_back().await;
    fixture.pass(hours(48)).await;
    assert_eq!(fixture.net("walt").texts(), ["and on"]);
}
