//! `flockd restore`: the drill as one verb, with the real daemon before and after it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::program::Folder;

/// A bot on the feed that posts every second.
fn flock() -> Folder {
    let folder = Folder::with(
        "[web]\nlisten = \"127.0.0.1:PORT\"\n\
         [bots.robin]\nnetwork = \"feed\"\npoem = \"robin.txt\"\nschedule = \"* * * * * *\"\norder = \"sequence\"\n",
    );
    let poem: String = (1..=500).map(|n| format!("line {n}\n")).collect();
    folder.write("robin.txt", poem.as_bytes());
    folder
}

fn posted(folder: &Folder) -> Vec<String> {
    let posts = folder.json(&["posts", "--state", "posted", "--json"]);
    posts.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap().to_owned()).collect()
}

fn kept(folder: &Folder) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.path(".")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.to_string_lossy().contains("flock.db.replaced-")).collect()
}

#[test]
fn a_backup_takes_the_ledgers_place_and_nothing_is_lost_or_repeated() {
    let folder = flock();
    let daemon = folder.start();
    daemon.wait_for_event("posted");
    assert_eq!(folder.run(&["backup", "backup.db"]).code, 0);
    daemon.wait_for_event("posted");
    daemon.wait_for_event("posted");
    let in_use = folder.run(&["restore", "backup.db"]);
    assert_eq!(in_use.code, 1, "the daemon has it: {in_use:?}");
    // Killed, so that what was posted last is in the log only.
    daemon.kill();
    let before = posted(&folder);

    let bytes = || std::fs::read(folder.path("flock.db")).unwrap();
    let was = bytes();
    let rehearsed = folder.run(&["restore", "--dry-run", "backup.db"]);
    assert_eq!(rehearsed.code, 0, "{rehearsed:?}");
    assert!(bytes() == was && kept(&folder).is_empty());

    let restored = folder.run(&["restore", "backup.db"]);
    assert!(restored.code == 0 && restored.out.contains("flockd resume BOT"), "{restored:?}");
    let old = kept(&folder);
    let old = old.iter().find(|path| !path.to_string_lossy().ends_with("-wal")).unwrap();
    assert!(restored.out.contains(old.file_name().unwrap().to_str().unwrap()), "{restored:?}");
    assert_eq!(std::fs::metadata(folder.path("flock.db")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(posted(&folder).len() < before.len());
    let daemon = folder.start();
    let paused = daemon.wait_for_event_with("paused", &["flockd resume"]);
    assert_eq!((&paused["bot"], &paused["by_person"]), (&"robin".into(), &false.into()), "{paused}");
    daemon.stop();

    // The way back: the ledger that was kept knows all that it knew.
    let back = folder.run(&["restore", "--yes", old.to_str().unwrap()]);
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(posted(&folder), before);
    assert_eq!(folder.run(&["restore", "no-such.db"]).code, 1);
}
