//! The real daemon, killed repeatedly at every step of a post and at random instants, and the result: no text
//! twice, no line lost, no row stuck.
//!
//! `FLOCKD_TORTURE_KILLS` sets how often; `tests/run --full` uses 2,000. A seed decides what happens; a
//! failure shows it and `FLOCKD_TORTURE_SEED` repeats it, as far as the machine allows: the timing of kills
//! varies.

mod content;
mod evidence;
mod flock;
mod life;
mod network;

use std::io::Write as _;

use tokio::task::block_in_place;

use crate::support::fake_mastodon::Software;
use crate::support::fake_server::Behaviour;
use crate::support::foreign_answers;
use content::Illustrated;
use evidence::Evidence;
use flock::{Flock, Looks, Weather};
use life::Death;
use network::Which;

/// Default number of kills for flocks whose accounts can be probed.
const KILLS: usize = 200;
/// For this many of those, one kill of a flock without probes, and one of a flock on a real PDS.
const BLIND: usize = 5;

/// What became of one flock.
struct Record {
    deaths: Vec<Death>,
    evidence: Evidence,
    looks: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_on_x_no_line_is_posted_twice_or_lost() {
    let kills = kills();
    let records = torture(&[Which::X; 4], Looks::Allowed, kills).await;
    all_doubts_were_settled(&records);
    for Record { deaths, looks, .. } in &records {
        // At a start, one post of each bot may have an unknown outcome, and it is probed at most three times.
        assert!(
            *looks <= 3 * flock::POETS.len() * (deaths.len() + 1),
            "{looks} looks, each of which costs money"
        );
    }
    report("with looking", kills, &records);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_probes_unknown_outcomes_are_assumed_posted() {
    let kills = kills().div_ceil(BLIND);
    let records = torture(&[Which::X; 2], Looks::Refused, kills).await;
    for Record { evidence, looks, .. } in &records {
        assert_eq!(evidence.complaints(), Vec::<String>::new());
        assert!(*looks > 0 && evidence.assumed() > 0, "there were doubts that no probe could settle");
        assert_eq!(evidence.repeated(), 0, "what may be out there is not sent again");
    }
    report("without looking", kills, &records);
}

fn kills() -> usize {
    std::env::var("FLOCKD_TORTURE_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number of kills"))
}

fn seed() -> u64 {
    std::env::var("FLOCKD_TORTURE_SEED")
        .map_or_else(|_| rand::random::<u32>().into(), |seed| seed.parse().expect("a seed"))
}

/// The kills are shared by a flock on each kind of server: with an `Idempotency-Key` of an hour, with none,
/// and with one that replays errors.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_on_mastodon_servers_no_line_is_posted_twice_or_lost() {
    let kills = kills().div_ceil(2);
    let flocks = Software::ALL.map(Which::Mastodon);
    let records = torture(&flocks, Looks::Allowed, kills).await;
    all_doubts_were_settled(&records);
    report("on Mastodon and its software", kills, &records);
}

/// On a third-party server, whose sessions expire meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_on_a_real_pds_no_line_is_posted_twice_or_lost() {
    let kills = kills().div_ceil(BLIND);
    let records = torture(&[Which::Bluesky; 2], Looks::Allowed, kills).await;
    all_doubts_were_settled(&records);
    report("on a real PDS", kills, &records);
}

/// Pictures and threads: killed at every upload, every description, every part and between them.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_upload_or_part_no_part_is_posted_twice_and_every_thread_is_whole() {
    let (kills, seed) = (kills().div_ceil(BLIND * 2), seed());
    println!("FLOCKD_TORTURE_SEED={seed}");
    let one = |which| async move {
        let mut flock = Illustrated::new(which, kills, seed).await;
        for life in 0..kills {
            flock.lives_and_dies(life).await;
        }
        let (complaints, posts) = flock.comes_to_rest(kills).await;
        (complaints, posts, flock.struck)
    };
    let flocks = [Which::X, Which::Bluesky].map(|which| tokio::spawn(one(which)));
    for record in futures_util::future::join_all(flocks).await {
        let (complaints, posts, struck) = record.unwrap();
        assert_eq!(complaints, Vec::<String>::new());
        assert!(
            posts > 0 && (kills < 20 || struck.values().all(|times| *times > 0)),
            "{posts} posts, {struck:?}"
        );
        let _ = writeln!(
            std::io::stderr(),
            "torture with pictures and threads: {kills} kills, of which at {struck:?}; {posts} posts; none twice, none lost"
        );
    }
}

/// A storm of foreign answers: each post is stored, and something else answers, with a redirect, an error or
/// a page. Each post is found by a probe, and sent once.
#[tokio::test(flavor = "multi_thread")]
async fn under_foreign_answers_no_line_is_posted_twice_or_lost() {
    let flocks = [Which::X, Which::Bluesky].into_iter().chain(Software::ALL.map(Which::Mastodon));
    let storms = flocks.map(|which| tokio::spawn(storm(which)));
    for evidence in futures_util::future::join_all(storms).await {
        let evidence = evidence.unwrap();
        assert_eq!(evidence.complaints(), Vec::<String>::new());
        assert_eq!(evidence.assumed(), 0);
        assert_eq!(evidence.sent_again(), Vec::<String>::new(), "each was found");
        assert!(evidence.on_network() >= foreign_answers::some().len(), "every answer was met");
    }
}

/// Both at once: whatever answers a post after it was stored, the daemon may also be killed at any step of
/// it.
#[tokio::test(flavor = "multi_thread")]
async fn killed_under_foreign_answers_no_line_is_posted_twice_or_lost() {
    let kills = kills().div_ceil(BLIND);
    let flocks: Vec<Which> =
        [Which::X, Which::Bluesky].into_iter().chain(Software::ALL.map(Which::Mastodon)).collect();
    let records = torture_in(Weather::Strangers, &flocks, Looks::Allowed, kills).await;
    for Record { evidence, looks, .. } in &records {
        assert_eq!(evidence.complaints(), Vec::<String>::new());
        assert_eq!(evidence.assumed(), 0, "nothing is assumed where one may look");
        assert!(*looks > 0, "there were doubts");
    }
    report("among strangers", kills, &records);
}

async fn storm(which: Which) -> Evidence {
    let mut flock = Flock::new(which, Looks::Allowed, 0, 0).await;
    let strangers = foreign_answers::some();
    let number = strangers.len();
    strangers.into_iter().for_each(|reply| flock.network.next_post(Behaviour::StoreAndAnswer(reply)));
    let daemon = flock.start("info");
    flock.network.posts_come_to(number).await;
    block_in_place(|| drop(daemon.stop_and_read()));
    // A storm in which no session expires.
    flock.lives += 1;
    flock.comes_to_rest().await
}

fn all_doubts_were_settled(records: &[Record]) {
    for Record { evidence, looks, .. } in records {
        assert_eq!(evidence.complaints(), Vec::<String>::new());
        assert_eq!(evidence.assumed(), 0, "nothing is assumed where one may look");
        assert!(
            *looks > 0 && evidence.repeated() > 0,
            "there were doubts, and some of them were settled as \"no\""
        );
    }
}

/// Kills flocks this often in total, concurrently.
async fn torture(flocks: &[Which], looks: Looks, kills: usize) -> Vec<Record> {
    torture_in(Weather::Fair, flocks, looks, kills).await
}

/// The same under these conditions.
async fn torture_in(weather: Weather, flocks: &[Which], looks: Looks, kills: usize) -> Vec<Record> {
    let seed = seed();
    // A failing test shows its output.
    println!("FLOCKD_TORTURE_SEED={seed}");
    let share = |flock: usize| kills / flocks.len() + usize::from(flock < kills % flocks.len());
    let tortured = flocks.iter().enumerate().map(|(number, which)| {
        tokio::spawn(torture_one(weather, *which, looks, (share(number), seed + number as u64)))
    });
    futures_util::future::join_all(tortured).await.into_iter().map(|record| record.unwrap()).collect()
}

async fn torture_one(weather: Weather, which: Which, looks: Looks, (kills, seed): (usize, u64)) -> Record {
    let mut flock = Flock::new(which, looks, kills, seed).await;
    flock.weather = weather;
    let mut deaths = Vec::new();
    for _ in 0..kills {
        deaths.push(flock.lives_and_dies().await);
    }
    let evidence = flock.comes_to_rest().await;
    Record { deaths, evidence, looks: flock.network.looks() }
}

/// Reports how often each flock was killed, even if the test passes, and checks the count.
fn report(what: &str, kills: usize, records: &[Record]) {
    let deaths: Vec<Death> = records.iter().flat_map(|record| record.deaths.clone()).collect();
    assert_eq!(deaths.len(), kills, "every one of them has really killed");
    let mut lines = String::new();
    for death in Death::ALL {
        let times = deaths.iter().filter(|other| **other == death).count();
        assert!(times > 0 || kills < 5 * Death::ALL.len(), "never {death:?}");
        lines += &format!("\n  {times:4} {death:?}");
    }
    let count = |of: fn(&Evidence) -> usize| records.iter().map(|record| of(&record.evidence)).sum::<usize>();
    let looks: usize = records.iter().map(|record| record.looks).sum();
    let (posts, sent_again, assumed) =
        (count(Evidence::on_network), count(Evidence::repeated), count(Evidence::assumed));
    // Past the test harness, which captures a passing test's output.
    let _ = writeln!(
        std::io::stderr(),
        "torture {what}: {kills} kills{lines}\n  {posts} posts on the network, {sent_again} of them sent again, {assumed} \
         assumed, {looks} looks; none twice, none lost, none stuck"
    );
}
