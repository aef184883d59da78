//! A week of a healthy flock on a clock that the test moves: the whole daemon, with a ledger on disk, a
//! reload each day, and the night in which summer time ends. At the end it uses no more resources than after
//! the first day.
//!
//! `FLOCKD_WEEK` sets how many flocks of twelve bots there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use flockd::clock::Clock as _;
use flockd::config::{self, Loaded};
use flockd::daemon::reload::{ConfigFingerprint, Source};
use flockd::daemon::sd_notify::SdNotify;
use flockd::daemon::{self, DaemonOptions};
use flockd::flock::event::Event;
use flockd::flock::{AtEnd, Flock};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::{Notify, oneshot};

use crate::support::bounded::Bounded as _;
use crate::support::clock::{ManualClock, at};

/// Tells the child process that it is one.
const CHILD: &str = "FLOCKD_WEEK_CHILD";
/// A week in October 2026; in its last night, clocks in Berlin go back.
const BEGIN: &str = "2026-10-19T00:00:30Z";
/// How many bots a flock has, by schedule.
const SCHEDULES: [(&str, u32); 5] =
    [("*/5 * * * *", 1), ("*/15 * * * *", 2), ("0 * * * *", 6), ("30 2 * * *", 2), ("15 */3 * * *", 1)];
/// The lines of each poem. One poem is used only once, and ends within the week.
const LINES: usize = 120;
/// How late a post may be: time may pass while the loop is about to sleep and does not know it yet.
const LAG: TimeDelta = TimeDelta::minutes(1);
/// The largest step of time: a task may be about to sleep that has to wake before the others.
const STEP: TimeDelta = TimeDelta::seconds(10);
/// In real time: how long one step may take.
const GUARD: Duration = crate::support::PATIENCE;
/// And the whole week, with twenty times as many bots.
const LIMIT: Duration = Duration::from_secs(3 * 3_600);

/// What became of each bot's slots.
#[derive(Default)]
struct LineCounts {
    posts: AtomicU64,
    reloads: AtomicU64,
    /// The newest slot of each bot, and how many there were.
    bots: Mutex<BTreeMap<String, (DateTime<Utc>, u64)>>,
}

impl LineCounts {
    fn hear(&self, event: &Event) {
        match event {
            Event::Posted(post) => {
                let (slot, mut bots) = (post.slot.unwrap(), self.bots.lock().unwrap());
                let (last, number) = bots.entry(post.bot.to_string()).or_default();
                assert!(*last < slot, "{} twice, or too late: {slot}", post.bot);
                (*last, *number) = (slot, *number + 1);
                self.posts.fetch_add(1, Ordering::SeqCst);
            }
            Event::Reloaded(_) => drop(self.reloads.fetch_add(1, Ordering::SeqCst)),
            _ => {}
        }
    }
}

/// `flock.toml` on a day of the week: something in it differs each day.
fn text(day: u32, flocks: usize) -> String {
    let mut text = "[flock]\ntimezone = \"Europe/Berlin\"\n[defaults]\nat_end = \"again\"\n".to_owned();
    let _ = writeln!(text, "max_late = \"{}m\"", 50 + day);
    for flock in 0..flocks {
        let mut number = 0;
        for (schedule, bots) in SCHEDULES {
            for _ in 0..bots {
                number += 1;
                let _ = writeln!(
                    text,
                    "[bots.bot-{flock}-{number}]\nnetwork = \"feed\"\npoem = \"poem-{number}.txt\""
                );
                let _ = writeln!(text, "schedule = \"{schedule}\"");
            }
        }
        // The first of the hourly bots uses its poem once.
        text = text.replace(
            &format!("[bots.bot-{flock}-7]\n"),
            &format!("[bots.bot-{flock}-7]\nat_end = \"stop\"\n"),
        );
    }
    text
}

/// Writes the flock of the first day, with its poems.
fn write(folder: &Path, flocks: usize) {
    for number in 1..=12 {
        let poem: String = (1..=LINES).map(|line| format!("line {line} of poem {number}\n")).collect();
        fs::write(folder.join(format!("poem-{number}.txt")), poem).unwrap();
    }
    fs::write(folder.join("flock.toml"), text(0, flocks)).unwrap();
}

/// The resources of the process, and the ledger's size.
#[derive(Debug)]
struct Figures {
    resident_kib: u64,
    descriptors: usize,
    ledger_kib: u64,
    log_kib: u64,
}

fn figures(folder: &Path) -> Figures {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let size = |name: &str| fs::metadata(folder.join(name)).map_or(0, |file| file.len() / 1024);
    Figures {
        resident_kib: resident.split_whitespace().next().unwrap().parse().unwrap(),
        descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
        ledger_kib: size("flock.db") + size("flock.db-wal"),
        log_kib: size("log"),
    }
}

/// The slots of the flock in its week, in order, and how many each bot has.
fn slots(flock: &Flock, end: DateTime<Utc>) -> (BTreeMap<DateTime<Utc>, u64>, BTreeMap<String, u64>) {
    let (mut all, mut of_bots) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for bot in &flock.bots {
        let mut slot = at(BEGIN);
        while let Some(next) = bot.schedule.next_after(slot).filter(|next| *next <= end) {
            let number = of_bots.entry(bot.name.to_string()).or_default();
            slot = next;
            if bot.at_end == AtEnd::Again || *number < LINES as u64 {
                *number += 1;
                *all.entry(slot).or_default() += 1;
            }
        }
    }
    (all, of_bots)
}

/// Lets time pass until `end`, no faster than the daemon can follow: each step waits for what is `wanted` by
/// then.
async fn pass(clock: &ManualClock, end: DateTime<Utc>, mut wanted: impl FnMut(DateTime<Utc>) -> bool) {
    loop {
        let now = clock.now();
        let mut stirs = clock.stirs();
        let still = async {
            loop {
                stirs.mark_unchanged();
                if let Some(next) = clock.next_waking().filter(|next| wanted(now) && *next > now) {
                    return next;
                }
                stirs.changed().await.unwrap();
            }
        };
        let next =
            tokio::time::timeout(GUARD, still).await.unwrap_or_else(|_| panic!("nothing goes on at {now}"));
        if now >= end {
            return;
        }
        clock.advance((next.min(now + STEP).min(end) - now).to_std().unwrap());
    }
}

/// Not a test by itself: the week, in a process of its own, so that its resources can be measured.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_runs_a_week() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let (folder, file) = (Path::new(&folder), Path::new(&folder).join("flock.toml"));
    let flocks: usize = std::env::var("FLOCKD_WEEK").ok().map_or(1, |number| number.parse().unwrap());
    write(folder, flocks);
    let log = fs::File::create(folder.join("log")).unwrap();
    tracing_subscriber::fmt().with_ansi(false).with_writer(Mutex::new(log)).init();

    let (clock, tally) = (Arc::new(ManualClock::showing(at(BEGIN))), Arc::new(LineCounts::default()));
    let before = ConfigFingerprint::at(&file);
    let Loaded { flock, written, .. } = config::load(&file, clock.now()).unwrap();
    let end = at(BEGIN) + TimeDelta::days(7);
    let (due, of_bots) = slots(&flock, end);
    let desk = daemon::hold(&flock).await.unwrap();
    let (asked, heard, stirred) = (Arc::new(Notify::new()), tally.clone(), clock.clone());
    let listener = Box::new(move |event: &Event| {
        heard.hear(event);
        stirred.stir();
    });
    let source = Source {
        file: file.clone(),
        before,
        written,
        listen: flock.web.listen,
        asked: asked.clone(),
        log_as: Box::new(|_| {}),
    };
    let setting = DaemonOptions {
        flock: Arc::new(flock),
        clock: clock.clone(),
        dice: StdRng::seed_from_u64(7),
        listeners: vec![Box::new(daemon::log::log), listener],
        web: Some(daemon::listen("127.0.0.1:0".parse().unwrap()).await.unwrap()),
        source: Some(source),
        notice: SdNotify::default(),
        log_lines_dropped: Arc::default(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(daemon::run(desk, setting, async { drop(stopped.await) }));

    let (mut taken, mut so_far, mut rest) = (Vec::new(), 0, due.iter().peekable());
    for day in 1..=7 {
        // One more minute, so that the last posts have come.
        pass(&clock, at(BEGIN) + TimeDelta::days(day.into()) + LAG, |now| {
            while let Some((_, number)) = rest.next_if(|(slot, _)| **slot + LAG <= now) {
                so_far += number;
            }
            tally.posts.load(Ordering::SeqCst) >= so_far
        })
        .await;
        taken.push(figures(folder));
        fs::write(&file, text(day, flocks)).unwrap();
        asked.notify_one();
        let now = clock.now();
        pass(&clock, now, |_| tally.reloads.load(Ordering::SeqCst) == u64::from(day)).await;
    }
    drop(stop);
    tokio::time::timeout(GUARD, running).await.unwrap().unwrap().unwrap();

    let posted: BTreeMap<String, u64> =
        tally.bots.lock().unwrap().iter().map(|(bot, (_, number))| (bot.clone(), *number)).collect();
    assert_eq!(posted, of_bots, "each slot fires once");
    takes_no_more(&taken, tally.posts.load(Ordering::SeqCst));
    reads_well(&fs::read_to_string(folder.join("log")).unwrap(), &tally, flocks);
    println!("{LIVED}");
}

/// Checks that the last day used no more than the first.
fn takes_no_more(taken: &[Figures], posts: u64) {
    let (first, last) = (&taken[0], &taken[6]);
    println!("after a day:  {first:?}\nafter a week: {last:?}, {posts} posts");
    let a_post = |kib: u64| kib * 1_024 / posts;
    assert!(a_post(last.ledger_kib - first.ledger_kib) < 1_000 && a_post(last.log_kib) < 450, "{taken:#?}");
    assert!(last.descriptors <= first.descriptors, "{taken:#?}");
    assert!(last.resident_kib <= first.resident_kib * 5 / 4 + 4_096, "{taken:#?}");
}

/// What a child prints once it has reached its end.
const LIVED: &str = "a week has passed";

/// The event name in a line of the log.
fn event_of(line: &str) -> &str {
    line.split("event=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
}

/// A line for each post, and few others.
fn reads_well(log: &str, tally: &LineCounts, flocks: usize) {
    let (posts, others): (Vec<_>, Vec<_>) = log.lines().partition(|line| event_of(line) == "posted");
    assert_eq!(posts.len() as u64, tally.posts.load(Ordering::SeqCst));
    let expected = [
        "ledger-created",
        "poem-read",
        "started",
        "round-started",
        "exhausted",
        "reloaded",
        "stopping",
        "stopped",
    ];
    let strange: BTreeSet<&str> =
        others.iter().filter(|line| !expected.contains(&event_of(line))).copied().collect();
    assert!(strange.is_empty(), "{strange:#?}");
    let grave = others.iter().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    assert_eq!(grave, flocks, "only the exhausted poem is logged as a problem: {others:#?}");
}

#[test]
fn a_week_uses_no_more_resources_than_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "soak_week::child_that_runs_a_week", "--nocapture"]).env(CHILD, folder.path());
    let said = child.output_within(LIMIT).unwrap();
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && out.contains(LIVED), "{out}{err}");
    println!("{out}");
}
