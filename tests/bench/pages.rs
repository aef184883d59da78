//! How long the daemon takes for each page of the dashboard, for a large flock with a long history, beside a page that asks
//! nobody: `cargo bench --bench pages`. It takes some ten minutes, nearly all of which go by while the ledger is filled;
//! `FLOCKD_BENCH_POSTS=10000` fills it less. What is printed is to be compared, not passed.

#![allow(clippy::unwrap_used, reason = "what fails should end it on the spot")]

#[allow(dead_code, unreachable_pub, unused_imports, reason = "the same")]
#[path = "../it/support/bounded.rs"]
mod bounded;
#[allow(dead_code, unreachable_pub, reason = "the same")]
#[path = "../it/support/machine.rs"]
mod machine;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "not everything that the tests do with the program is done here"
)]
#[path = "../it/support/program.rs"]
mod program;

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use flockd::clock::{Clock as _, SystemClock};
use flockd::flock::post::PostId;
use reqwest::Client;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};

use crate::program::{CommandOutput, Folder};

const BOTS: usize = 5_000;
const POSTS: usize = 1_000_000;
/// So often each page is asked for, one request after another over one connection.
const TIMES: usize = 100;

/// What is asked for: the first asks no ledger and no flock.
const PAGES: [&str; 10] = [
    "/enter",
    "/",
    "/?page=100",
    "/?q=bird-42&sort=name",
    "/timeline",
    "/calendar",
    "/bots/bird-2500",
    "/bots/bird-2500/poem",
    "/api/v1/posts?bot=bird-2500",
    "/api/v1/next",
];

fn main() {
    let posts = std::env::var("FLOCKD_BENCH_POSTS").map_or(POSTS, |posts| posts.parse().expect("a number"));
    let folder = Folder::with(&flock());
    // Some of it is left, however much is posted.
    let lines = posts / BOTS + 50;
    let poem: String = (0..lines).map(|at| format!("{}\n", line(at))).collect();
    folder.write("poem.txt", poem.as_bytes());
    let begun = Instant::now();
    fill(&folder, posts);
    println!("{posts} posts of {BOTS} bots, written in {:.0?}", begun.elapsed());
    let daemon = folder.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure(&folder));
    assert_eq!(daemon.stop(), 0);
}

fn flock() -> String {
    let mut flock = "[web]\nlisten = \"127.0.0.1:PORT\"\n".to_owned();
    for bot in 0..BOTS {
        let when = "network = \"feed\"\npoem = \"poem.txt\"\nschedule = \"0 0 29 2 *\"";
        writeln!(flock, "[bots.bird-{bot}]\n{when}").unwrap();
    }
    flock
}

fn line(at: usize) -> String {
    format!("line {at} of a poem that is as long as it has to be, and says little else")
}

/// Has the ledger take in so many posts, the bots by turns.
fn fill(folder: &Folder, posts: usize) {
    let mut import = folder.command(&["import", "-", "--moved"]);
    let mut import =
        import.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut file = BufWriter::new(import.stdin.take().unwrap());
    let mut write = |record: Value| writeln!(file, "{record}").unwrap();
    let now = SystemClock.now();
    write(json!({"export": {"format": 1, "flockd": "0.1.0", "made_at": now, "bots": BOTS, "posts": posts}}));
    for bot in 0..BOTS {
        write(
            json!({"bot": {"name": format!("bird-{bot}"), "schedule": "0 0 29 2 * UTC", "considered": now}}),
        );
    }
    for at in 0..posts {
        write(post(at, now - TimeDelta::seconds((posts - at) as i64)));
    }
    drop(file);
    let said = CommandOutput::from(import.wait_with_output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
}

fn post(at: usize, when: DateTime<Utc>) -> Value {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&at.to_be_bytes());
    let id = PostId::new(when, random);
    let when = when.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({"post": {
        "id": id.to_string(), "bot": format!("bird-{}", at % BOTS), "network": "feed", "state": "posted",
        "due_at": when, "line": {"round": 1, "occurrence": 1}, "text": line(at / BOTS), "attempts": 1,
        "remote_id": format!("urn:uuid:{id}"), "planned_at": when, "sent_at": when, "tried_at": when,
        "settled_at": when, "moved_at": when,
    }})
}

async fn measure(folder: &Folder) {
    let client = Client::builder().no_proxy().build().unwrap();
    let entered = folder.enter(&client).await;
    let cookie = entered.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let ask = async |path: &str| {
        let begun = Instant::now();
        let answer = client.get(folder.url(path)).header(COOKIE, &cookie).send().await.unwrap();
        let is_there = answer.status().is_success() || path == PAGES[0];
        assert!(is_there, "{path}: {}", answer.status());
        let length = answer.bytes().await.unwrap().len();
        (begun.elapsed(), length)
    };
    let (first, _) = ask("/").await;
    println!("the first look at all bots: {first:.1?}");
    println!("{:<30} {:>9} {:>9} {:>9}", "page", "median", "slowest", "bytes");
    for path in PAGES {
        let mut times: Vec<Duration> = Vec::new();
        let mut length = 0;
        for _ in 0..TIMES {
            let (took, bytes) = ask(path).await;
            times.push(took);
            length = bytes;
        }
        times.sort_unstable();
        let ms = |took: Duration| format!("{:.1} ms", took.as_secs_f64() * 1_000.0);
        let (median, slowest) = (ms(times[TIMES / 2]), ms(times[TIMES - 1]));
        println!("{path:<30} {median:>9} {slowest:>9} {length:>9}");
    }
}
