//! Two hundred reloads, fifty of them broken, under a flock that posts every second: no slot is lost or
//! repeated.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::support::program::{Daemon, Folder};

/// The number of reloads.
const RELOADS: usize = 200;
/// One of this many reloads is broken.
const BROKEN: usize = 4;
/// Bots that are there all the time. Each posts every third second, so that there is a slot in every second
/// and a machine that stalls for a moment loses none.
const STEADY: usize = 6;
const PERIOD: usize = 3;

/// The flock of one round: bots that stay and change a little, and one that comes and goes under another name
/// each time.
fn flock(folder: &Folder, round: usize) -> String {
    let bot = |name: String, second: usize, poem: &str| {
        let late = 3_600 + round;
        format!(
            "[bots.{name}]\nnetwork = \"feed\"\npoem = \"poems/{poem}.txt\"\nschedule = \"{second}-59/{PERIOD} * * * * *\"\n\
             max_late = \"{late}s\"\n"
        )
    };
    let web = format!("[web]\nlisten = \"127.0.0.1:{}\"\n", folder.port);
    let steady = (0..STEADY).map(|n| bot(format!("steady{n}"), n % PERIOD, "steady"));
    web + &steady.collect::<String>() + &bot(format!("guest{round}"), round % PERIOD, "guest")
}

/// Breaks the flock in one of five ways, and returns the expected message.
fn breaks(folder: &Folder, round: usize) -> String {
    let good = flock(folder, round);
    let toml = folder.path("flock.toml");
    match round / BROKEN % 5 {
        0 => {
            // Half of it is written, up to the middle of a key that identifies this round.
            folder.write("flock.toml", format!("{good}[bots.half{round}]\nsched").as_bytes());
            format!("flock.toml:{}: ", good.lines().count() + 2)
        }
        1 => {
            fs::remove_file(toml).unwrap();
            "flock.toml: there is no such file".to_owned()
        }
        2 => {
            fs::remove_file(&toml).unwrap();
            fs::create_dir(toml).unwrap();
            "flock.toml: this is a folder".to_owned()
        }
        3 => {
            let second = format!("{} * *", 60 + round);
            folder.replace("flock.toml", good.replacen("0-59/3 * *", &second, 1).as_bytes());
            format!("{}", 60 + round)
        }
        _ => {
            fs::rename(folder.path("poems"), folder.path("away")).unwrap();
            "there is no such poem".to_owned()
        }
    }
}

/// Undoes what [`breaks`] has done.
fn mend(folder: &Folder) {
    let _ = fs::remove_dir(folder.path("flock.toml"));
    let _ = fs::rename(folder.path("away"), folder.path("poems"));
}

fn reload(folder: &Folder, daemon: &Daemon, round: usize) {
    if round % BROKEN == 1 {
        let complaint = breaks(folder, round);
        daemon.hang_up();
        daemon.wait_for_event_with("reload-failed", &[&complaint]);
        mend(folder);
    } else {
        folder.replace("flock.toml", flock(folder, round).as_bytes());
        // Every other change is noticed without a signal.
        if round.is_multiple_of(2) {
            daemon.hang_up();
        }
        while daemon.wait_for_event("reloaded")["added"] != format!("guest{round}") {}
    }
}

/// The slots of each bot that were posted, in order.
fn slots(posts: &Value) -> BTreeMap<String, Vec<DateTime<Utc>>> {
    let mut slots: BTreeMap<String, Vec<DateTime<Utc>>> = BTreeMap::new();
    for post in posts.as_array().unwrap() {
        assert_eq!(post["state"], "posted", "{post}");
        let slot = post["slot"].as_str().unwrap().parse().unwrap();
        slots.entry(post["bot"].as_str().unwrap().to_owned()).or_default().push(slot);
    }
    slots.values_mut().for_each(|slots| slots.sort());
    slots
}

#[test]
fn two_hundred_reloads_lose_and_repeat_no_slot() {
    let folder = Folder::new();
    let poem = |name: &str| (0..500).map(|n| format!("{name} {n}\n")).collect::<String>();
    folder.write("poems/steady.txt", poem("line").as_bytes());
    folder.write("poems/guest.txt", poem("word").as_bytes());
    folder.write("flock.toml", flock(&folder, 0).as_bytes());
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    (1..=RELOADS).for_each(|round| reload(&folder, &daemon, round));
    assert_eq!(daemon.stop(), 0);

    let slots = slots(&folder.json(&["posts", "-n", "100000", "--json"]));
    for n in 0..STEADY {
        let slots = &slots[&format!("steady{n}")];
        assert!(slots.len() > RELOADS / 20, "{slots:?}");
        for pair in slots.windows(2) {
            assert_eq!((pair[1] - pair[0]).num_seconds(), PERIOD as i64, "steady{n}: {pair:?}");
        }
    }
    let all: Vec<_> =
        slots.iter().flat_map(|(bot, slots)| slots.iter().map(move |slot| (bot, slot))).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    let missed = |bot: &Value| bot["slots_missed"].as_u64().unwrap() > 0;
    let status = folder.status();
    assert!(!status["bots"].as_array().unwrap().iter().any(missed), "{status}");
}
