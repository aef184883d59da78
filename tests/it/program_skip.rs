//! `skip`, `skip --undo`, `pause` and `resume` beside `next`, `status` and `check`: all agree on the next
//! slot.

use flockd::clock::{Clock as _, SystemClock};
use flockd::store::Store as _;
use flockd::store::sqlite::Sqlite;
use serde_json::Value;

use crate::support::program::{CommandOutput, Folder};

/// A bot that is due twice a year.
const FLOCK: &str = "[web]\nlisten = \"127.0.0.1:PORT\"\n[bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\n\
    schedule = \"0 0 1 1,7 *\"\n";

fn folder() -> Folder {
    let folder = Folder::with(FLOCK);
    folder.write("walt.txt", b"one\ntwo\nthree\n");
    folder
}

/// The first slots according to every command; fails if they differ.
fn agreed(folder: &Folder, paused: bool) -> Vec<String> {
    let next = folder.json(&["next", "walt", "-n", "3", "--json"]);
    let next: Vec<&str> = next.as_array().unwrap().iter().map(|row| row["slot"].as_str().unwrap()).collect();
    let check = folder.json(&["check", "--json"]);
    let slots: Vec<&str> = check["forecast"][0]["next_slots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|at| at.as_str().unwrap())
        .collect();
    assert_eq!(next, slots);
    let status = folder.status();
    let (state, slot) = (&status["bots"][0]["state"], &status["bots"][0]["next_slot"]);
    match paused {
        true => assert_eq!((state, slot), (&"paused".into(), &Value::Null)),
        false => assert_eq!((state, slot.as_str()), (&"ok".into(), Some(next[0]))),
    }
    next.into_iter().map(str::to_owned).collect()
}

/// An instant as people see it.
fn told(slot: &str) -> String {
    format!("{} UTC", slot.replace('T', " ").trim_end_matches('Z'))
}

fn done(folder: &Folder, arguments: &[&str]) -> String {
    let CommandOutput { code, out, err } = folder.run(arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{arguments:?}: {out}");
    out
}

/// The whole story, with a daemon or with commands alone.
fn story(folder: &Folder) {
    let before = agreed(folder, false);
    let said = done(folder, &["skip", "walt"]);
    assert!(said.contains(&told(&before[0])) && said.contains(&told(&before[1])), "{said}");
    assert!(said.contains("`flockd skip walt --undo`"), "{said}");
    let skipped = agreed(folder, false);
    assert_eq!(skipped[..2], before[1..]);
    // Resuming a bot that is not paused names the same slot, and changes nothing else.
    let said = done(folder, &["resume", "walt"]);
    assert!(said.contains(&told(&skipped[0])) && !said.contains(&told(&before[0])), "{said}");
    assert_eq!(agreed(folder, false), skipped);

    done(folder, &["pause", "walt"]);
    assert_eq!(agreed(folder, true), skipped);
    let said = done(folder, &["skip", "walt"]);
    assert!(said.contains(&told(&before[1])) && said.contains("paused"), "{said}");
    assert!(!said.contains(&told(&before[2])), "a paused bot does not post: {said}");
    assert_eq!(agreed(folder, true)[0], before[2]);
    let said = done(folder, &["skip", "walt", "--undo"]);
    assert!(said.contains(&told(&before[1])) && said.contains("paused"), "{said}");
    assert_eq!(agreed(folder, true), skipped);
    let said = done(folder, &["resume", "walt"]);
    assert!(said.contains(&told(&skipped[0])), "{said}");
    assert_eq!(agreed(folder, false), skipped);

    let said = done(folder, &["skip", "walt", "--undo"]);
    assert!(said.contains(&told(&before[0])), "{said}");
    assert_eq!(agreed(folder, false), before);
    let nothing = folder.run(&["skip", "walt", "--undo"]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
    assert_eq!(agreed(folder, false), before);
    // A restored slot can be skipped once more.
    done(folder, &["skip", "walt"]);
    assert_eq!(agreed(folder, false), skipped);
    done(folder, &["skip", "walt", "--undo"]);
}

#[test]
fn all_commands_agree_on_the_slot_without_a_daemon() {
    let folder = folder();
    done(&folder, &["post", "walt", "the ledger begins"]);
    story(&folder);
}

#[test]
fn all_commands_agree_on_the_slot_with_a_daemon() {
    let folder = folder();
    let daemon = folder.start();
    story(&folder);
    assert_eq!(daemon.stop(), 0);
}

#[test]
fn the_help_explains_how_to_undo() {
    let said = folder().run(&["skip", "--help"]);
    assert!(said.code == 0 && said.out.contains("--undo"), "{said:?}");
}

/// Skips and undone skips are part of the ledger, its backups and its exports.
#[tokio::test]
async fn an_undone_skip_is_backed_up_and_exported() {
    let folder = folder();
    done(&folder, &["skip", "walt"]);
    done(&folder, &["skip", "walt", "--undo"]);
    let lines = done(&folder, &["export"]);
    let other = self::folder();
    other.write("lines", lines.as_bytes());
    done(&other, &["import", "lines"]);
    let database = format!("sqlite:{}", other.path("flock.db").display());
    let ledger = Sqlite::open_as_client(&database).await.unwrap().unwrap();
    let standing = ledger.bot_record(&"walt".parse().unwrap(), SystemClock.now()).await.unwrap().unwrap();
    assert!(standing.skipped.is_empty(), "{standing:?}");
    ledger.close().await;
    assert_eq!(folder.json(&["next", "--json"]), other.json(&["next", "--json"]));
}
