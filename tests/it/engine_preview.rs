//! A preview shows what is then posted, and honors the lines that a person passes over.

use std::collections::HashSet;
use std::time::Duration;

use flockd::flock::event::Event;
use flockd::flock::poem::{Poem, Split};
use flockd::flock::post::{Cause, Post, State};
use flockd::flock::schedule::{Schedule, Zone};
use flockd::flock::{AtEnd, Bot, Order};
use flockd::forecast::preview::{ComingPost, Preview, Reach, preview};
use flockd::store::{CommandKind, CommandResult, Filter, Store as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::support::clock::{at, minutes};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, poem};

/// How many posts each preview shows.
const SHOWN: usize = 200;

fn shuffled(name: &str) -> Bot {
    Bot { order: Order::Shuffle, at_end: AtEnd::Again, ..bot(name) }
}

async fn previewed(fixture: &EngineFixture, bot: &Bot) -> Preview {
    let poem = Poem::parse(&std::fs::read(&bot.poem).unwrap(), bot.split).unwrap();
    let reach = Reach { posts: SHOWN, until: None };
    preview(fixture.ledger(), bot, &poem, reach, fixture.now()).await.unwrap()
}

/// The posts of a bot that have been posted, oldest first.
async fn posted(fixture: &EngineFixture, bot: &Bot) -> Vec<Post> {
    let filter = Filter { bot: Some(bot.name.clone()), state: Some(State::Posted), ..Filter::default() };
    let mut posts = fixture.ledger().posts(&filter).await.unwrap();
    posts.reverse();
    posts
}

async fn ask(fixture: &EngineFixture, kind: CommandKind) -> CommandResult {
    let id = fixture.ask(kind).await;
    fixture.answer(id).await
}

fn pass(bot: &Bot, entry: String) -> CommandKind {
    CommandKind::Pass { bot: bot.name.to_string(), entry }
}

/// Compares what was posted with what was previewed.
#[track_caller]
fn check(came: &[Post], coming: &[ComingPost]) {
    assert!(came.len() <= coming.len(), "{} came, and {} were to come", came.len(), coming.len());
    for (post, coming) in came.iter().zip(coming) {
        let came = (post.slot, post.due_at, post.entry, post.text.as_deref(), post.sent_at);
        let text = Some(coming.text.as_str());
        assert_eq!(came, (coming.slot, coming.due_at, coming.entry, text, Some(coming.due_at)));
    }
}

fn in_zone(schedule: &str, zone: &str) -> Schedule {
    Schedule::parse(schedule, Zone::built_in(zone).unwrap()).unwrap()
}

/// What a person does between two previews. Each action changes the poem or the ledger.
async fn intervene(
    fixture: &mut EngineFixture,
    bot: &Bot,
    coming: &Preview,
    lines: &mut Vec<String>,
    dice: &mut StdRng,
) {
    let name = bot.name.to_string();
    match dice.random_range(0..7) {
        0 => fixture.restart().await,
        1 => {
            let gone = dice.random_range(0..lines.len());
            lines.remove(gone);
            lines.insert(dice.random_range(0..=lines.len()), format!("new line {}", dice.random::<u32>()));
            fixture.write(&name, &lines.join("\n"));
        }
        2 => {
            let entry = coming.posts.choose(dice).unwrap().entry.unwrap().1;
            // It is refused if the line belongs to the next round.
            ask(fixture, pass(bot, entry.to_string())).await;
        }
        3 => assert!(ask(fixture, CommandKind::Skip { bot: name }).await.done),
        4 => assert!(ask(fixture, CommandKind::Post { bot: name, text: None }).await.done),
        5 => {
            let text = Some(lines.choose(dice).unwrap().clone());
            assert!(ask(fixture, CommandKind::Post { bot: name, text }).await.done);
        }
        _ => {
            fixture.stop().await;
            fixture.clock.advance(minutes(dice.random_range(1..300)));
            fixture.start().await;
        }
    }
}

/// A month in which both zones change their clocks, with refrains, rounds, jitter, and every action of a
/// person.
async fn a_month_runs_as_previewed(seed: u64) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut walt = shuffled("walt");
    walt.schedule = in_zone("15 */3 * * *", "Europe/Berlin");
    walt.jitter = Duration::from_secs(45 * 60);
    let mut emily = shuffled("emily");
    emily.schedule = in_zone("0 1,2,3,14 * * *", "America/New_York");
    emily.order = Order::Sequence;
    let lines = |name: &str| -> Vec<String> {
        (0..23)
            .map(|n| if n % 6 == 0 { format!("{name}'s refrain") } else { format!("{name} {n}") })
            .collect()
    };
    let mut poems = [lines("walt"), lines("emily")];
    let flock = [walt, emily].into_iter().zip(poems.iter().map(|lines| lines.join("\n")));
    let mut fixture = EngineFixture::at_time(at("2026-10-20T12:00:00Z"), flock).await;
    let end = at("2026-11-12T12:00:00Z");
    let mut compared = 0;
    while fixture.now() < end {
        let bots = fixture.bots.clone();
        let which = dice.random_range(0..2);
        let coming = previewed(&fixture, &bots[which]).await;
        intervene(&mut fixture, &bots[which], &coming, &mut poems[which], &mut dice).await;
        let mut expected = Vec::new();
        for bot in &bots {
            expected.push((posted(&fixture, bot).await.len(), previewed(&fixture, bot).await));
        }
        fixture.pass(minutes(dice.random_range(60..2_500))).await;
        for (bot, (before, coming)) in bots.iter().zip(expected) {
            let came = posted(&fixture, bot).await.split_off(before);
            let due = coming.posts.iter().filter(|post| post.due_at <= fixture.now()).count();
            assert_eq!(came.len(), due, "{} at {}", bot.name, fixture.now());
            check(&came, &coming.posts);
            compared += due;
        }
    }
    assert!(compared > 150, "{compared}");
}

#[tokio::test]
async fn what_is_previewed_is_posted() {
    a_month_runs_as_previewed(1).await;
}

#[tokio::test]
async fn a_preview_goes_on_into_the_next_rounds_or_ends_with_the_poem() {
    let mut fixture = EngineFixture::of([(shuffled("walt"), poem("w", 5))]).await;
    let walt = fixture.bots[0].clone();
    let again = previewed(&fixture, &walt).await;
    assert_eq!((again.posts.len(), again.exhausted), (SHOWN, false));
    let rounds: Vec<u32> = again.posts.iter().map(|post| post.entry.unwrap().0).collect();
    assert_eq!(rounds, (0..SHOWN as u32).map(|at| at / 5 + 1).collect::<Vec<_>>());
    fixture.pass(minutes(12)).await;
    check(&posted(&fixture, &walt).await, &again.posts);
    fixture.stop().await;
    let stops = Bot { at_end: AtEnd::Stop, ..walt.clone() };
    let rest = previewed(&fixture, &stops).await;
    assert_eq!((rest.posts.len(), rest.exhausted), (3, true));
}

#[tokio::test]
async fn the_hourly_limit_is_part_of_a_preview() {
    let walt = Bot { max_per_hour: 3, ..shuffled("walt") };
    let fixture = EngineFixture::of([(walt, poem("w", 50))]).await;
    let walt = &fixture.bots[0];
    // Once with room left in the hour, once after many slots were given up in it.
    for (minutes_before, posts) in [(2, 6), (58, 6)] {
        fixture.pass(minutes(minutes_before)).await;
        let (before, coming) = (posted(&fixture, walt).await.len(), previewed(&fixture, walt).await);
        fixture.pass(minutes(120)).await;
        let came = posted(&fixture, walt).await.split_off(before);
        assert_eq!(came.len(), posts);
        check(&came, &coming.posts);
    }
}

#[tokio::test]
async fn a_waiting_post_comes_first() {
    let fixture = EngineFixture::of([(shuffled("walt"), poem("w", 9))]).await;
    fixture.net("walt").then(crate::support::network::unreachable());
    fixture.pass(minutes(1)).await;
    let walt = &fixture.bots[0];
    let coming = previewed(&fixture, walt).await;
    let open = fixture.last("walt").await;
    assert_eq!(
        (open.state, open.slot, open.text.as_deref()),
        (State::Planned, coming.posts[0].slot, Some(coming.posts[0].text.as_str()))
    );
    fixture.pass(minutes(5)).await;
    let texts: Vec<String> = posted(&fixture, walt).await.into_iter().filter_map(|post| post.text).collect();
    let expected: Vec<&str> = coming.posts[..texts.len()].iter().map(|post| post.text.as_str()).collect();
    assert!(texts.len() > 3);
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn a_passed_over_line_is_missing_from_its_round_and_the_order_stays() {
    let mut fixture = EngineFixture::of([(shuffled("walt"), poem("w", 8))]).await;
    let walt = fixture.bots[0].clone();
    fixture.pass(minutes(2)).await;
    let before = previewed(&fixture, &walt).await;
    let third = before.posts[2].clone();
    let entry = third.entry.unwrap().1.brief();
    let answer = ask(&fixture, pass(&walt, entry.clone())).await;
    assert!(answer.done, "{answer:?}");
    fixture
        .wait_for(|event| matches!(event, Event::PassedOver(post) if post.text.as_ref() == Some(&third.text)))
        .await;
    let row = fixture.last("walt").await;
    assert_eq!(
        (row.state, row.cause, row.slot, row.attempts),
        (State::Refused, Some(Cause::Person), None, 0)
    );
    fixture.restart().await;
    let after = previewed(&fixture, &walt).await;
    let texts = |posts: &[ComingPost]| posts.iter().map(|post| post.text.clone()).collect::<Vec<_>>();
    // Six lines were left in this round.
    let mut expected = texts(&before.posts[..6]);
    expected.remove(2);
    assert_eq!(texts(&after.posts[..5]), expected);
    let next_round: HashSet<String> = texts(&after.posts[5..13]).into_iter().collect();
    assert_eq!(next_round.len(), 8, "in the next round every line comes again");
    fixture.pass(minutes(13)).await;
    check(&posted(&fixture, &walt).await[2..], &after.posts);
}

#[tokio::test]
async fn passing_over_is_undone_and_reports_mistakes() {
    let mut fixture =
        EngineFixture::of([(Bot { order: Order::Sequence, ..shuffled("walt") }, "one\ntwo\nHoly!\nHoly!\n")])
            .await;
    let walt = fixture.bots[0].clone();
    fixture.pass(minutes(1)).await;
    let before = previewed(&fixture, &walt).await;
    let id = |at: usize| before.posts[at].entry.unwrap().1.to_string();
    let undo = |entry: &str| CommandKind::UndoPass { bot: "walt".to_owned(), entry: entry.to_owned() };
    assert!(!ask(&fixture, undo(&id(0))).await.done, "nothing is passed over");
    assert!(ask(&fixture, pass(&walt, id(0))).await.done);
    assert!(!ask(&fixture, pass(&walt, id(0))).await.done, "it is passed over already");
    for entry in ["", "zz", "7692c3ad"] {
        // The last one is the line that was just posted.
        assert!(!ask(&fixture, pass(&walt, entry.to_owned())).await.done, "{entry:?}");
    }
    fixture.restart().await;
    assert!(ask(&fixture, undo(&id(0))).await.done);
    assert_eq!(previewed(&fixture, &walt).await, before);
    // A command whose caller is gone since long is not executed.
    fixture.stop().await;
    let late = [fixture.ask(pass(&walt, id(0))).await, fixture.ask(undo(&id(0))).await];
    fixture.clock.advance(Duration::from_secs(11));
    fixture.start().await;
    for command in late {
        assert!(!fixture.answer(command).await.done);
    }
    assert!(posted(&fixture, &walt).await.len() == 1, "{:?}", posted(&fixture, &walt).await);
    assert_eq!(previewed(&fixture, &walt).await, before);

    // Only one copy of a refrain is passed over at a time.
    let holy = before.posts[1].entry.unwrap().1.brief();
    for copies in [1, 0] {
        assert!(ask(&fixture, pass(&walt, holy.clone())).await.done);
        let coming = previewed(&fixture, &walt).await;
        let in_round = coming.posts.iter().filter(|post| post.entry.unwrap().0 == 1 && post.text == "Holy!");
        assert_eq!(in_round.count(), copies);
    }
    assert!(!ask(&fixture, pass(&walt, holy)).await.done);
    // The round is over: the next line belongs to the next round, and can be passed over.
    fixture.pass(minutes(1)).await;
    let coming = previewed(&fixture, &walt).await;
    assert_eq!(coming.posts[0].entry.unwrap().0, 2);
    assert!(ask(&fixture, pass(&walt, coming.posts[0].entry.unwrap().1.to_string())).await.done);
    // "two" was posted last, so it does not come next.
    assert_eq!(previewed(&fixture, &walt).await.posts[0].text, "Holy!");
}

#[tokio::test]
async fn the_order_survives_a_backup_and_a_new_name() {
    let mut fixture = EngineFixture::of([(shuffled("walt"), poem("w", 40))]).await;
    fixture.pass(minutes(3)).await;
    fixture.back_up().await;
    let texts = |preview: &Preview| preview.posts.iter().map(|post| post.text.clone()).collect::<Vec<_>>();
    let before = texts(&previewed(&fixture, &fixture.bots[0].clone()).await);
    fixture.put_back().await;
    let walt = fixture.bots[0].clone();
    assert_eq!(texts(&previewed(&fixture, &walt).await), before);
    // Before the flock is told of the new name, and after.
    let renamed = Bot { name: "whitman".parse().unwrap(), was: Some(walt.name.clone()), ..walt };
    fixture.stop().await;
    fixture.bots.clear();
    fixture.add(renamed, &poem("w", 40));
    let whitman = fixture.bots[0].clone();
    assert_eq!(texts(&previewed(&fixture, &whitman).await), before);
    fixture.start().await;
    assert_eq!(texts(&previewed(&fixture, &whitman).await), before);
}

#[tokio::test]
async fn a_new_schedule_begins_when_it_is_seen() {
    let walt = Bot { schedule: in_zone("0 * * * *", "Europe/Lisbon"), ..shuffled("walt") };
    let mut fixture = EngineFixture::of([(walt, poem("w", 40))]).await;
    fixture.pass(minutes(70)).await;
    fixture.stop().await;
    fixture.clock.advance(minutes(35));
    // By the slots of the old schedule, the newest would be made up for.
    fixture.bots[0].schedule = in_zone("*/10 * * * *", "Europe/Lisbon");
    let walt = fixture.bots[0].clone();
    let (before, coming) = (posted(&fixture, &walt).await.len(), previewed(&fixture, &walt).await);
    fixture.start().await;
    fixture.pass(minutes(60)).await;
    let came = posted(&fixture, &walt).await.split_off(before);
    assert_eq!(came.len(), 6);
    check(&came, &coming.posts);
}

#[tokio::test]
async fn a_retried_post_counts_once_for_its_hour() {
    let schedule = in_zone("*/10 * * * *", "Europe/Lisbon");
    let fixture =
        EngineFixture::of([(Bot { max_per_hour: 2, schedule, ..shuffled("walt") }, poem("w", 40))]).await;
    let walt = &fixture.bots[0];
    fixture.net("walt").then(crate::support::network::unreachable());
    fixture.pass(minutes(10)).await;
    assert_eq!(fixture.last("walt").await.state, State::Planned);
    let coming = previewed(&fixture, walt).await;
    fixture.pass(minutes(150)).await;
    let came = posted(&fixture, walt).await;
    let came: Vec<_> = came.iter().map(|post| (post.slot, post.text.as_deref())).take(5).collect();
    let coming = coming.posts.iter().map(|post| (post.slot, Some(&*post.text)));
    assert_eq!(came, coming.take(5).collect::<Vec<_>>());
}

/// An id that several lines may be meant by is refused, for passing over as for undoing it.
#[tokio::test]
async fn an_ambiguous_entry_is_refused() {
    let fixture = EngineFixture::of([(Bot { at_end: AtEnd::Stop, ..shuffled("walt") }, poem("w", 40))]).await;
    let walt = &fixture.bots[0];
    let ids: Vec<String> =
        previewed(&fixture, walt).await.posts.iter().map(|post| post.entry.unwrap().1.to_string()).collect();
    let alike = |one: &String| ids.iter().find(|other| *other != one && other[..1] == one[..1]);
    // Forty ids share sixteen first digits.
    let (one, other) = ids.iter().find_map(|one| Some((one, alike(one)?))).unwrap();
    let digit = one[..1].to_owned();
    let undo = |entry: &str| CommandKind::UndoPass { bot: "walt".to_owned(), entry: entry.to_owned() };
    assert!(!ask(&fixture, pass(walt, digit.clone())).await.done);
    for entry in [one, other] {
        assert!(ask(&fixture, pass(walt, entry.clone())).await.done);
    }
    assert!(!ask(&fixture, undo(&digit)).await.done);
    assert!(ask(&fixture, undo(one)).await.done);
    assert!(ask(&fixture, undo(&digit)).await.done, "only one is left");
}

/// Over two new years in a zone whose days are not those of UTC: dates come on their days, in the first slots, once each,
/// and nothing else moves.
#[tokio::test]
async fn entries_with_a_date_come_on_their_day_as_previewed() {
    let rows = "text,date,weight\nplain a,,\nplain b,,2\nplain c,,\nnew year,01-01,\nleap,02-29,\n\
        once,2027-02-28,\nand again,02-28,\nlast,2027-02-28,\npast,2025-01-01,\n";
    let walt = Bot {
        split: Split::Csv,
        schedule: in_zone("0 1,22 * * *", "America/New_York"),
        jitter: Duration::from_secs(2 * 3_600),
        ..shuffled("walt")
    };
    let mut fixture = EngineFixture::at_time(at("2026-12-30T12:00:00Z"), [(walt, rows.to_owned())]).await;
    let walt = fixture.bots[0].clone();
    let coming = previewed(&fixture, &walt).await;
    assert_eq!((coming.posts.len(), coming.exhausted), (SHOWN, false));
    fixture.pass(minutes(30 * 24 * 60)).await;
    fixture.restart().await;
    let rest = previewed(&fixture, &walt).await;
    fixture.pass(minutes(45 * 24 * 60)).await;
    let came = posted(&fixture, &walt).await;
    assert!(came.len() > 140, "{}", came.len());
    check(&came, &coming.posts);
    check(
        &came[came.len() - 80..],
        &rest.posts[rest.posts.iter().position(|post| post.slot == came[came.len() - 80].slot).unwrap()..],
    );
    let dated: Vec<(String, &str)> = came
        .iter()
        .filter(|post| post.entry.unwrap().0 == 0)
        .map(|post| (walt.day_of(post.slot.unwrap()).to_string(), post.text.as_deref().unwrap()))
        .collect();
    // The two slots of the day take the first two of its four entries.
    let expected = [("2027-01-01", "new year"), ("2027-02-28", "leap"), ("2027-02-28", "once")];
    assert_eq!(dated, expected.map(|(day, text)| (day.to_owned(), text)));
}

#[tokio::test]
async fn a_poem_of_dates_alone_is_not_exhausted() {
    let rows = "text,date\nnew year,01-01\n";
    let walt =
        Bot { split: Split::Csv, schedule: in_zone("0 9 * * *", "UTC"), at_end: AtEnd::Stop, ..bot("walt") };
    let fixture = EngineFixture::at_time(at("2026-12-28T12:00:00Z"), [(walt, rows.to_owned())]).await;
    let walt = &fixture.bots[0];
    let reach = Reach { posts: 2, until: None };
    let poem = Poem::parse(rows.as_bytes(), Split::Csv).unwrap();
    let coming = preview(fixture.ledger(), walt, &poem, reach, fixture.now()).await.unwrap();
    let days: Vec<_> = coming.posts.iter().map(|post| walt.day_of(post.slot.unwrap()).to_string()).collect();
    assert_eq!((days, coming.exhausted), (vec!["2027-01-01".to_owned(), "2028-01-01".to_owned()], false));
    fixture.pass(minutes(10 * 24 * 60)).await;
    check(&posted(&fixture, walt).await, &coming.posts[..1]);
    assert_eq!(posted(&fixture, walt).await.len(), 1);
    assert!(!fixture.events().iter().any(|event| matches!(event, Event::Exhausted { .. })));
    let by_hand = ask(&fixture, CommandKind::Post { bot: "walt".to_owned(), text: None }).await;
    assert!(!by_hand.done, "{by_hand:?}");
}
