//! One ledger under two names: the second is refused, with a remedy.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use flockd::store::sqlite::Sqlite;
use flockd::store::{Store, StoreError};

use super::{LedgerFolder, TOLD, child, child_folder, count, database, on_a_disk_of};
use crate::ledger::{at, by_hand, entry};
use crate::support::PATIENCE;
use crate::support::bounded::{PrintedLines, within};

/// Both ways of opening are refused with this message, and leave nothing beside the name.
async fn refused(name: &Path, say: &[&str]) {
    let (hold, beside) =
        (Sqlite::open_as_owner(&database(name)).await, Sqlite::open_as_client(&database(name)).await);
    for error in [hold.unwrap_err(), beside.map(|_| ()).unwrap_err()] {
        assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
        let message = error.to_string();
        assert!(say.iter().all(|part| message.contains(part)), "{message}");
    }
    for suffix in ["-wal", "-shm", ".lock", ".bell"] {
        let beside = format!("{}{suffix}", name.display());
        assert!(!Path::new(&beside).exists(), "{beside} was made");
    }
}

#[tokio::test]
async fn a_hard_link_is_refused_under_either_name() {
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    let elsewhere = tempfile::tempdir_in(place.folder.path()).unwrap();
    for link in [place.folder.path().join("link.db"), elsewhere.path().join("flock.db")] {
        fs::hard_link(&place.path, &link).unwrap();
        for name in [&link, &place.path] {
            refused(name, &["has 2 names (hard links)", "-inum"]).await;
        }
        fs::remove_file(link).unwrap();
    }
    assert_eq!(count(&place.open_as_owner().await.unwrap()).await, 3);
}

/// A copy made as a hard link must not divert commands from a running daemon.
#[tokio::test]
async fn a_link_made_while_a_daemon_runs_is_refused_and_the_original_works() {
    let place = LedgerFolder::new();
    let store = place.open_as_owner().await.unwrap();
    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    let link = place.folder.path().join("link.db");
    fs::hard_link(&place.path, &link).unwrap();
    refused(&link, &["has 2 names (hard links)"]).await;
    store.open(&by_hand("walt", "text", 1)).await.unwrap();
    assert_eq!(count(&place.open_as_client().await.unwrap().unwrap()).await, 1);
    assert!(matches!(place.open_as_owner().await, Err(StoreError::Locked(_))));
}

/// Not a test by itself: it holds the lease until its standard input ends.
#[tokio::test]
async fn child_that_holds_the_lease_until_told() {
    let Some(folder) = child_folder() else { return };
    let _held = Sqlite::open_as_owner(&database(&folder.join("flock.db"))).await.unwrap();
    println!("\nholding");
    std::io::read_to_string(std::io::stdin()).unwrap();
}

/// Another name, no lock file, one link: only the file itself identifies the ledger.
#[tokio::test]
async fn the_lock_is_on_the_file_whatever_its_name() {
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    let mut holder = child("alias::child_that_holds_the_lease_until_told", place.folder.path());
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let printed = PrintedLines::of(holder.stdout.take().unwrap());
    printed.wait_for("that the child holds the lease", |line| line == "holding");
    let elsewhere = tempfile::tempdir_in(place.folder.path()).unwrap();
    let renamed = elsewhere.path().join("other.db");
    fs::rename(&place.path, &renamed).unwrap();
    let held = Sqlite::open_as_owner(&database(&renamed)).await.unwrap_err();
    assert!(matches!(&held, StoreError::Locked(message) if message.contains("another name")), "{held:?}");
    fs::rename(&renamed, &place.path).unwrap();
    // Without the lock file, too.
    fs::remove_file(place.folder.path().join("flock.db.lock")).unwrap();
    assert!(matches!(place.open_as_owner().await, Err(StoreError::Locked(_))));
    assert!(within(PATIENCE, holder, "the child that holds the lease").status.success());
    assert_eq!(count(&place.open_as_owner().await.unwrap()).await, 3);
}

/// A symlink resolves to the ledger's own folder, where its WAL and its lock are.
#[tokio::test]
async fn a_symbolic_link_leads_to_the_ledgers_folder() {
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("flock.db");
    symlink(&place.path, &link).unwrap();
    let store = Sqlite::open_as_owner(&database(&link)).await.unwrap();
    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    for name in ["flock.db-wal", "flock.db.lock", "flock.db.bell"] {
        assert!(place.folder.path().join(name).exists(), "{name}");
    }
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    assert!(matches!(place.open_as_owner().await, Err(StoreError::Locked(_))));
}

/// Not a test by itself: `flock.db` is bind-mounted elsewhere, and then again under a path with a space.
#[tokio::test]
async fn child_with_a_bind_mounted_ledger() {
    let Some(folder) = child_folder() else { return };
    let real = folder.join("flock.db");
    let store = Sqlite::open_as_owner(&database(&real)).await.unwrap();
    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    store.close().await;
    drop(store);
    for name in ["mounted", "with a blank"] {
        let mounted = folder.join(name).join("flock.db");
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(&mounted, "").unwrap();
        let bound = Command::new("mount").arg("--bind").args([&real, &mounted]).status();
        assert!(bound.unwrap().success());
        refused(&mounted, &["mounted by itself", "mount the folder"]).await;
    }
    // The folder as a whole may be mounted.
    let whole = folder.join("whole");
    fs::create_dir(&whole).unwrap();
    assert!(Command::new("mount").arg("--bind").args([&folder, &whole]).status().unwrap().success());
    let held = Sqlite::open_as_owner(&database(&whole.join("flock.db"))).await.unwrap();
    assert!(matches!(Sqlite::open_as_owner(&database(&real)).await, Err(StoreError::Locked(_))));
    drop(held);
    println!("\n{TOLD}");
}

#[test]
fn a_bind_mounted_file_is_refused_and_a_mounted_folder_is_not() {
    on_a_disk_of("16m", "alias::child_with_a_bind_mounted_ledger");
}

/// If flockd followed a symlink in place of one of its own files, it would overwrite a file elsewhere.
#[tokio::test]
async fn symlinks_in_place_of_flockds_files_are_not_followed() {
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    fs::write(&victim, "not flockd's").unwrap();
    for suffix in ["lock", "ballast"] {
        let ours = place.folder.path().join(format!("flock.db.{suffix}"));
        for put in [|to: &Path, at: &Path| symlink(to, at), |to: &Path, at: &Path| fs::hard_link(to, at)] {
            if put(&victim, &ours).is_err() {
                println!("skipped: no link can be made across disks here");
                continue;
            }
            let begun = match place.open_as_owner().await {
                Ok(store) => {
                    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
                    store.open(&by_hand("walt", "text", 1)).await.map(drop)
                }
                refused => refused.map(drop),
            };
            let message = begun.unwrap_err().to_string();
            assert!(message.contains("remove") && message.contains(suffix), "{message}");
            assert_eq!(fs::read_to_string(&victim).unwrap(), "not flockd's");
            let _ = fs::remove_file(&ours);
        }
    }
}

/// SQLite's own files, too: what is written to the WAL is the ledger.
#[tokio::test]
async fn a_symlink_in_place_of_the_wal_is_refused() {
    for ending in ["-wal", "-shm", "-journal"] {
        let place = LedgerFolder::new();
        place.left_alone(3).await;
        let elsewhere = tempfile::tempdir().unwrap();
        let victim = elsewhere.path().join("victim");
        fs::write(&victim, "not flockd's").unwrap();
        symlink(&victim, place.folder.path().join(format!("flock.db{ending}"))).unwrap();
        for error in [
            place.open_as_owner().await.map(drop).unwrap_err(),
            place.open_as_client().await.map(drop).unwrap_err(),
        ] {
            assert!(error.to_string().contains(&format!("flock.db{ending} ")), "{error}");
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "not flockd's");
    }
}
