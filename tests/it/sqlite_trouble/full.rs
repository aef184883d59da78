//! A full disk: a small one of its own is mounted where nobody else sees it, by a child process.

use std::path::Path;
use std::process::Command;

use flockd::flock::post::{Cause, Move, Post};
use flockd::store::sqlite::Sqlite;
use flockd::store::{Filter, Store, StoreError};
use sqlx::Connection;

use super::{CHILD, Place, child_folder, database, say, stranger};
use crate::ledger::{at, by_hand, entry, given_up, posted, why};

/// How the child says that no disk can be mounted here.
const NO_MOUNT: i32 = 77;

/// Not a test by itself: the story, on a disk of one megabyte.
#[tokio::test]
async fn child_on_a_small_disk() {
    let Some(folder) = child_folder() else { return };
    let path = folder.join("flock.db");
    let store = Sqlite::hold(&database(&path)).await.unwrap();
    store.enter(&[entry("walt")], at(0)).await.unwrap();
    let sending = store.open(&by_hand("walt", "on its way", 1)).await.unwrap();
    fill(&folder.join("filler"));

    let full = Err(StoreError::Full(path.display().to_string()));
    let mut written = vec![sending.clone()];
    let refused = loop {
        let seconds = 10 + i64::try_from(written.len()).unwrap();
        match store.open(&given_up("walt", seconds)).await {
            Ok(post) => written.insert(0, post),
            Err(error) => break Err::<Post, _>(error),
        }
    };
    assert_eq!(refused, full);
    assert_eq!(store.advance(sending.id, &posted("1"), at(90)).await, full);
    assert_eq!(store.posts(&Filter::default()).await.unwrap(), written, "something was half written");

    std::fs::remove_file(folder.join("filler")).unwrap();
    store.advance(sending.id, &posted("1"), at(91)).await.unwrap();
    let after = store.open(&by_hand("walt", "room again", 92)).await.unwrap();
    store.advance(after.id, &Move::Doubt(why(Cause::Silence)), at(93)).await.unwrap();
    let mut other = stranger(&path).await;
    let verdict: String = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut other).await.unwrap();
    assert_eq!(verdict, "ok");
    other.close().await.unwrap();
    println!("\nthe story was told to its end");
}

/// Takes all the room that is left.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write(&[0; 512]).is_ok_and(|written| written > 0) {}
}

#[tokio::test]
async fn nothing_is_half_written_on_a_full_disk() {
    let place = Place::new();
    let mount = format!("mount -t tmpfs -o size=1m none \"${CHILD}\" || exit {NO_MOUNT}; exec \"$0\" \"$@\"");
    let story = super::child("full::child_on_a_small_disk", place.folder.path());
    // Mounted in a name space of its own, which ends with the child. A user who is not root may do so too.
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]);
    command.arg(story.get_program()).args(story.get_args()).env(CHILD, place.folder.path());
    let output = match command.output() {
        Ok(output) if output.status.code() != Some(NO_MOUNT) && !say(&output).contains("unshare") => output,
        other => return println!("skipped: no disk can be mounted here: {other:?}"),
    };
    let said = say(&output);
    assert!(output.status.success() && said.contains("the story was told to its end"), "{said}");
}
