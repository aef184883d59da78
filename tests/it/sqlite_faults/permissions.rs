//! Who may read and write the files of a ledger.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;

use flockd::store::sqlite::Sqlite;
use flockd::store::{Store, StoreError};

use super::{LedgerFolder, TOLD, child, child_folder, count, database, on_a_disk_of, say};
use crate::ledger::{at, by_hand, entry};
use crate::support::bounded::Bounded as _;

/// The user and group that own nothing, on every Linux.
const UNPRIVILEGED: u32 = 65_534;

#[tokio::test]
async fn only_the_owner_reads_a_ledger() {
    let place = LedgerFolder::new();
    let store = place.open_as_owner().await.unwrap();
    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    store.open(&by_hand("walt", "text", 1)).await.unwrap();
    store.copy_to(&place.folder.path().join("flock.db.copy")).await.unwrap();
    let mut names = Vec::new();
    for file in place.folder.path().read_dir().unwrap() {
        let (path, mode) = file.map(|file| (file.path(), file.metadata().unwrap().mode())).unwrap();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        names.extend(path.extension().map(|end| end.to_string_lossy().into_owned()));
    }
    names.sort();
    assert_eq!(names, ["ballast", "bell", "copy", "db", "db-shm", "db-wal", "lock"]);
}

/// Not a test by itself: what a user does who may read the ledger, but not write it.
#[tokio::test]
async fn child_that_may_only_read() {
    let Some(folder) = child_folder() else { return };
    let database = database(&folder.join("flock.db"));
    let error = Sqlite::open_as_owner(&database).await.unwrap_err();
    assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
    println!("\nhold: {error}");
    match Sqlite::open_as_client(&database).await.map(Option::unwrap) {
        Ok(store) => {
            println!("read: {}", count(&store).await);
            println!("write: {}", store.open(&by_hand("walt", "text", 900)).await.unwrap_err());
        }
        Err(error) => println!("beside: {error}"),
    }
}

/// Root may write whatever the mode says, so a child that runs as another user checks this.
#[tokio::test]
async fn a_read_only_ledger() {
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    let mode = |path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(place.path.as_path(), 0o444);
    mode(place.folder.path(), 0o777);
    let mut command = child("permissions::child_that_may_only_read", place.folder.path());
    if std::fs::metadata(&place.path).unwrap().uid() == 0 {
        chown(&place.path, Some(0), Some(0)).unwrap();
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    let Ok(output) = command.output_in_time() else {
        println!("skipped: no process can be started as another user here");
        return;
    };
    let said = say(&output);
    assert!(output.status.success(), "{said}");
    for part in [
        "hold: the ledger",
        "can't be written: make file and folder writable",
        "read: 3",
        "write: the ledger",
    ] {
        assert!(said.contains(part), "{part:?} is missing: {said}");
    }
    mode(place.path.as_path(), 0o644);
    assert_eq!(count(&place.open_as_owner().await.unwrap()).await, 3);
}

/// The output of a child without write access: another user if root runs the tests, as root may write
/// whatever the mode says.
fn said_by_another(place: &LedgerFolder) -> Option<String> {
    let mut command = child("permissions::child_that_may_only_read", place.folder.path());
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
    let output = command.output_in_time().ok()?;
    assert!(output.status.success(), "{}", say(&output));
    Some(say(&output))
}

#[tokio::test]
async fn a_read_only_folder() {
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    let folder = place.folder.path();
    std::fs::set_permissions(&place.path, PermissionsExt::from_mode(0o666)).unwrap();
    let mode = |mode| std::fs::set_permissions(folder, PermissionsExt::from_mode(mode)).unwrap();
    for with_lock in [false, true] {
        if with_lock {
            mode(0o755);
            place.open_as_owner().await.unwrap().close().await;
            std::fs::set_permissions(folder.join("flock.db.lock"), PermissionsExt::from_mode(0o666)).unwrap();
            std::fs::set_permissions(&place.path, PermissionsExt::from_mode(0o666)).unwrap();
        }
        mode(0o555);
        let said = said_by_another(&place);
        mode(0o755);
        let Some(said) = said else { return println!("skipped: no other user can run a program here") };
        let what = if with_lock { "make file and folder writable" } else { "make its folder writable" };
        assert!(said.contains("hold: the ledger") && said.contains(what), "{said}");
    }
    assert_eq!(count(&place.open_as_owner().await.unwrap()).await, 3);
}

/// Not a test by itself.
#[tokio::test]
async fn child_on_a_read_only_disk() {
    let Some(folder) = child_folder() else { return };
    let database = database(&folder.join("flock.db"));
    let store = Sqlite::open_as_owner(&database).await.unwrap();
    store.upsert_bots(&[entry("walt")], at(0)).await.unwrap();
    store.close().await;
    drop(store);
    let remounted = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&folder).status();
    assert!(remounted.unwrap().success());
    let error = Sqlite::open_as_owner(&database).await.unwrap_err();
    assert!(error.to_string().contains("can't be opened (Read-only file system"), "{error}");
    println!("\n{TOLD}");
}

#[test]
fn a_read_only_disk() {
    on_a_disk_of("8m", "permissions::child_on_a_read_only_disk");
}
