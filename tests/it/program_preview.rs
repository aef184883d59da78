//! `flockd preview` and `flockd pass`, as people and programs use them: with and without a daemon, and before
//! there is a ledger.

use serde_json::{Value, json};

use crate::support::program::{CommandOutput, Folder};

/// A bot that is due every quarter of an hour, in a zone whose midnight differs from UTC's.
const FLOCK: &str = "[flock]\ntimezone = \"Asia/Kathmandu\"\n[web]\nlisten = \"127.0.0.1:PORT\"\n\
    [bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nsplit = \"stanza\"\nat_end = \"again\"\n\
    schedule = \"0 0 1 */3 *\"\ntimezone = \"UTC\"\n";

fn folder() -> Folder {
    let folder = Folder::with(FLOCK);
    folder.write("walt.txt", b"the tide\nis slow\n\nropes dry\n\na gull\n\nlight\n");
    folder
}

fn preview(folder: &Folder, more: &[&str]) -> Vec<Value> {
    let shown = folder.json(&[&["preview", "walt", "--json"], more].concat());
    shown.as_array().unwrap().clone()
}

fn texts(posts: &[Value]) -> Vec<&str> {
    posts.iter().map(|post| post["text"].as_str().unwrap()).collect()
}

#[test]
fn preview_creates_a_missing_ledger_and_the_daemon_follows_it() {
    let folder = folder();
    let said = folder.run(&["preview", "walt", "--json", "-n", "20"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("flock.db"), "{}", said.err);
    let before: Value = serde_json::from_str(&said.out).unwrap();
    let before = before.as_array().unwrap().clone();
    assert_eq!(before.len(), 20);
    let first = &before[0];
    assert_eq!(first["parts"], json!([{ "text": first["text"], "media": [] }]));
    assert_eq!(
        (&first["bot"], &first["round"], &first["due_at"]),
        (&"walt".into(), &1.into(), &first["slot"])
    );
    assert_eq!(first["entry"].as_str().unwrap().len(), 32);
    let rounds: Vec<u64> = before.iter().map(|post| post["round"].as_u64().unwrap()).collect();
    assert_eq!(rounds[..5], [1, 1, 1, 1, 2]);

    let daemon = folder.start();
    assert_eq!(preview(&folder, &["-n", "20"]), before);
    // A manual post takes the next line, and the others move up.
    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    assert_eq!(folder.json(&["posts", "--json"])[0]["text"], before[0]["text"]);
    let after = preview(&folder, &["-n", "19"]);
    assert_eq!(texts(&after), texts(&before[1..]));
    daemon.stop();
    assert_eq!(preview(&folder, &["-n", "19"]), after);
}

#[test]
fn passing_a_line_over_can_be_undone() {
    let folder = folder();
    let before = preview(&folder, &["-n", "3"]);
    let entry = &before[1]["entry"].as_str().unwrap()[..8];
    let CommandOutput { code, out, .. } = folder.run(&["pass", "walt", entry]);
    assert_eq!(code, 0);
    assert!(out.contains(&format!("`flockd pass walt {entry} --undo`")), "{out}");
    assert_eq!(texts(&preview(&folder, &["-n", "2"])), [texts(&before)[0], texts(&before)[2]]);
    let row = &folder.json(&["posts", "--json"])[0];
    assert_eq!(
        (&row["state"], &row["cause"], &row["slot"]),
        (&"refused".into(), &"person".into(), &Value::Null)
    );
    assert_eq!(folder.status()["bots"][0]["state"], "ok");
    assert_eq!(folder.run(&["pass", "walt", entry]).code, 1);
    assert_eq!(folder.run(&["pass", "walt", entry, "--undo"]).code, 0);
    assert_eq!(texts(&preview(&folder, &["-n", "3"])), texts(&before));
    let said = folder.run(&["pass", "walt", "ffffffff"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("flockd preview walt"), "{}", said.err);
    assert_eq!(folder.run(&["pass", "wal", entry]).code, 1, "there is no such bot");
}

#[test]
fn a_preview_ends_where_requested_or_explains_why() {
    let folder = folder();
    // The quarter begins at 05:45 in Kathmandu, so it belongs to that day there.
    assert_eq!(preview(&folder, &["--until", "2089-12-31"]).last().unwrap()["slot"], "2089-10-01T00:00:00Z");
    assert_eq!(preview(&folder, &["--until", "2090-01-01"]).last().unwrap()["slot"], "2090-01-01T00:00:00Z");
    let until = ["--until", "2089-12-31T23:59:59Z"];
    assert_eq!(preview(&folder, &until).last().unwrap()["slot"], "2089-10-01T00:00:00Z");
    assert_eq!(preview(&folder, &["--until", "2090-01-01T01:00:00+01:00", "-n", "2"]).len(), 2);
    for bad in ["2026-02-30", "tomorrow", ""] {
        assert_eq!(folder.run(&["preview", "walt", "--until", bad]).code, 2, "{bad:?}");
    }
    let said = folder.run(&["preview", "walt", "-l", "-n", "4"]);
    assert!(said.out.contains("    the tide\n    is slow\n"), "{}", said.out);
    folder.write("flock.toml", FLOCK.replace("at_end = \"again\"\n", "").replace("PORT", "0").as_bytes());
    let said = folder.run(&["preview", "walt", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap().as_array().unwrap().len(), 4);
    assert!(said.err.contains("no line is left"), "{}", said.err);
    assert_eq!(folder.run(&["pause", "walt"]).code, 0);
    let said = folder.run(&["preview", "walt"]);
    assert!(said.err.contains("walt is paused"), "{}", said.err);
    folder.write("walt.txt", b"fine\nb\0d\n");
    let said = folder.run(&["preview", "walt"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("walt.txt:2: "), "{}", said.err);
}
