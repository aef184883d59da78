//! Problems with the ledger's files, as a person meets them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::support::program::{Daemon, Folder, events};

/// How many daemons start at once.
const RACERS: usize = 8;
/// Far longer than a daemon takes to start.
const PATIENCE: Duration = crate::support::PATIENCE;

/// Two bots that post every second.
fn busy() -> Folder {
    let bot = |name: &str| {
        format!("[bots.{name}]\nnetwork = \"feed\"\npoem = \"poem.txt\"\nschedule = \"* * * * * *\"\n")
    };
    let flock = format!("[web]\nlisten = \"127.0.0.1:PORT\"\n{}{}", bot("robin"), bot("wren"));
    let folder = Folder::with(&flock);
    let poem: String = (1..=500).map(|n| format!("line {n}\n")).collect();
    folder.write("poem.txt", poem.as_bytes());
    folder
}

fn posted(folder: &Folder) -> Vec<(String, String)> {
    let posts = folder.json(&["posts", "--state", "posted", "--json"]);
    let word = |post: &serde_json::Value, key: &str| post[key].as_str().unwrap().to_owned();
    posts.as_array().unwrap().iter().map(|post| (word(post, "bot"), word(post, "text"))).collect()
}

#[test]
fn of_daemons_racing_for_a_ledger_one_runs_and_the_others_name_it() {
    let folder = busy();
    // First there is no ledger yet; then one whose owner was killed.
    for _ in 0..3 {
        let spawn = |_| Daemon::spawn(&mut folder.command(&["run", "--listen", "127.0.0.1:0"]));
        let racers: Vec<Daemon> = (0..RACERS).map(spawn).collect();
        let is_up = "\"event\":\"started\"";
        let told = |racer: Daemon| (racer.wait_for_any(&[is_up, "error: "]), racer);
        let told: Vec<(String, Daemon)> = racers.into_iter().map(told).collect();
        let (up, refused): (Vec<_>, Vec<_>) = told.into_iter().partition(|(line, _)| line.contains(is_up));
        assert_eq!(up.len(), 1, "{:?}", refused.iter().map(|(line, _)| line).collect::<Vec<_>>());
        let holder = format!("process {} ", up[0].1.pid());
        for (line, racer) in refused {
            assert!(line.contains(&holder), "{holder}: {line}");
            assert_eq!(racer.ended(), 1);
        }
        up.into_iter().for_each(|(_, daemon)| daemon.kill());
    }
}

#[test]
fn nothing_is_posted_once_the_ledger_is_gone_and_nothing_is_lost_when_it_is_back() {
    let folder = busy();
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    daemon.wait_for_event("posted");
    std::fs::rename(folder.path("flock.db"), folder.path("away")).unwrap();
    let troubled = || {
        let line = daemon.wait_for_event_with("ledger-error", &["flock.db", "stop flockd"]);
        line["bot"].as_str().unwrap().to_owned()
    };
    assert_eq!(HashSet::from([troubled(), troubled()]), HashSet::from(["robin", "wren"].map(str::to_owned)));
    let names: Vec<String> = events(&daemon.stop_and_read())
        .iter()
        .map(|event| event["event"].as_str().unwrap().to_owned())
        .collect();
    let gone = names.iter().position(|name| name == "ledger-error").unwrap();
    assert!(!names[gone..].contains(&"posted".to_owned()), "{names:?}");
    let told = names.iter().filter(|name| *name == "posted").count();

    // The ledger itself is gone, and the latest writes are in its WAL: no new files are created in their
    // place.
    let refused = folder.run(&["run"]);
    assert!(refused.code == 1 && refused.err.contains("write-ahead log"), "{refused:?}");
    std::fs::rename(folder.path("away"), folder.path("flock.db")).unwrap();
    assert_eq!(posted(&folder).len(), told);
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    daemon.stop();
    let posted = posted(&folder);
    assert!(posted.len() > told && posted.iter().collect::<HashSet<_>>().len() == posted.len(), "{posted:?}");
}

/// A ledger is created in steps, and SQLite cleans up only when it is opened again: at no step may the
/// remains look like a damaged ledger.
#[test]
fn an_interrupted_ledger_creation_is_completed() {
    let step = |name: &'static str| {
        let folder = busy();
        let daemon = Daemon::spawn(&mut folder.command(&["run"]));
        // The notification socket is created last. Some files exist only for a moment, and may be missed.
        let end = Instant::now() + PATIENCE;
        while !folder.path(name).exists() && !folder.path("flock.db.bell").exists() {
            assert!(Instant::now() < end, "no {name} came");
            std::thread::yield_now();
        }
        daemon.kill();
        drop(folder.start());
    };
    for name in
        ["flock.db.lock", "flock.db", "flock.db-journal", "flock.db-wal", "flock.db-shm", "flock.db.bell"]
    {
        (0..4).for_each(|_| step(name));
    }
}
