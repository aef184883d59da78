//! Other files in place of the ledger: each gets a clear error and is left unchanged.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use flockd::flock::post::State;
use flockd::store::sqlite::Sqlite;
use flockd::store::{Filter, Store, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor};

use super::{LedgerFolder, count, database, is_sound, stranger};

/// Both ways of opening must report this, and leave the file unchanged.
async fn refused(path: &Path, say: &[&str]) {
    let before = std::fs::read(path).ok();
    let (hold, beside) =
        (Sqlite::open_as_owner(&database(path)).await, Sqlite::open_as_client(&database(path)).await);
    for error in [hold.unwrap_err(), beside.map(|_| ()).unwrap_err()] {
        assert!(matches!(error, StoreError::Unusable(_)), "{error:?}");
        let message = error.to_string();
        assert!(say.iter().all(|part| message.contains(part)), "{message}");
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
    assert!(std::fs::read(path).ok() == before, "the file was changed");
}

#[tokio::test]
async fn a_missing_folder() {
    let place = LedgerFolder::new();
    refused(&place.folder.path().join("nowhere/flock.db"), &["folder", "does not exist", "`database`"]).await;
}

#[tokio::test]
async fn a_folder() {
    let place = LedgerFolder::new();
    std::fs::create_dir(&place.path).unwrap();
    refused(&place.path, &["is a folder", "`database`"]).await;
}

#[tokio::test]
async fn an_invalid_database_url() {
    for database in ["flock.db", "postgres://localhost/flock", "sqlite:"] {
        let error = Sqlite::open_as_owner(database).await.unwrap_err().to_string();
        assert!(error.contains("sqlite:PATH"), "{error}");
    }
}

#[tokio::test]
async fn a_text_file() {
    let place = LedgerFolder::new();
    std::fs::write(&place.path, "O Captain! my Captain!\n".repeat(400)).unwrap();
    refused(&place.path, &["is not a ledger", "`database`"]).await;
}

#[tokio::test]
async fn the_database_of_another_program() {
    let place = LedgerFolder::new();
    stranger(&place.path)
        .await
        .execute("create table theirs (a); insert into theirs values (1)")
        .await
        .unwrap();
    refused(&place.path, &["another program", "`database`"]).await;
    assert!(!place.folder.path().join("flock.db-wal").exists());
}

#[tokio::test]
async fn the_database_of_another_program_that_signs_its_files() {
    let place = LedgerFolder::new();
    stranger(&place.path).await.execute("pragma application_id = 12; create table a (b)").await.unwrap();
    refused(&place.path, &["another program"]).await;
}

#[tokio::test]
async fn a_ledger_from_a_newer_flockd() {
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
        values (9999, 'tomorrow', true, x'00', 0); update meta set value = '7.8.9' where key = 'written_by'";
    stranger(&place.path).await.execute(newer).await.unwrap();
    refused(&place.path, &["flockd 7.8.9", env!("CARGO_PKG_VERSION"), "install"]).await;
    stranger(&place.path).await.execute("drop table meta").await.unwrap();
    refused(&place.path, &["a newer flockd", "install"]).await;
}

#[tokio::test]
async fn only_the_lease_owner_migrates_an_older_ledger() {
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    stranger(&place.path).await.execute("delete from _sqlx_migrations where version > 1").await.unwrap();
    let error = place.open_as_client().await.unwrap_err().to_string();
    assert!(error.contains("older flockd") && error.contains("flockd run"), "{error}");
}

/// A ledger as left by a flockd that knew this many migrations, with a bot that posted.
async fn left_by_an_older_flockd(place: &LedgerFolder, changes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut files: Vec<_> = std::fs::read_dir(migrations).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files.iter().take(changes) {
        std::fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    }
    let migrator = sqlx::migrate::Migrator::new(folder.path()).await.unwrap();
    let mut db =
        SqliteConnectOptions::new().filename(&place.path).create_if_missing(true).connect().await.unwrap();
    db.execute(concat!("pragma application_id = ", 0x666c_6f6b)).await.unwrap();
    migrator.run(&mut db).await.unwrap();
    db.execute(
        "insert into bot (name, schedule, considered) values ('walt', '@daily', 1);
         insert into post (id, bot, network, state, slot, due_at, round, line, occurrence, text, planned_at)
         values ('01933f3c-7c00-7000-8000-000000000001', 'walt', 'feed', 'sending', 1, 1, 1, zeroblob(16), 1, 'one', 1);
         update post set state = 'posted', attempts = 1, sent_at = 2, settled_at = 3;",
    )
    .await
    .unwrap();
    db.close().await.unwrap();
}

/// The name of the backup that this flockd makes of an older ledger.
fn copy_from_before() -> String {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    format!("flock.db.before-{}", &names.max().unwrap()[..4])
}

#[tokio::test]
async fn an_older_ledger_is_backed_up_before_it_is_migrated() {
    for changes in 1..=5 {
        let place = LedgerFolder::new();
        left_by_an_older_flockd(&place, changes).await;
        let copy = place.folder.path().join(copy_from_before());
        // From an earlier attempt, with fewer migrations.
        std::fs::write(&copy, "old").unwrap();
        let held = place.open_as_owner().await.unwrap();
        assert_eq!(held.copy_from_before(), Some(&*copy));
        let posts = held.posts(&Filter::default()).await.unwrap();
        assert_eq!((posts.len(), posts[0].text.as_deref(), posts[0].state), (1, Some("one"), State::Posted));
        held.close().await;
        drop(held);
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let mut before = stranger(&copy).await;
        let applied = "select count(*) from _sqlx_migrations";
        let applied: i64 = sqlx::query_scalar(applied).fetch_one(&mut before).await.unwrap();
        assert_eq!(applied, i64::try_from(changes).unwrap(), "the copy is as the ledger was");
        before.close().await.unwrap();
        let again = place.open_as_owner().await.unwrap();
        assert_eq!(again.copy_from_before(), None, "it is up to date");
        again.close().await;
        drop(again);
        // Going back to the backup.
        std::fs::remove_file(&place.path).unwrap();
        std::fs::rename(&copy, &place.path).unwrap();
        let back = place.open_as_owner().await.unwrap();
        assert_eq!(back.posts(&Filter::default()).await.unwrap(), posts);
        assert!(copy.exists());
    }
}

#[tokio::test]
async fn without_a_backup_nothing_is_migrated() {
    let place = LedgerFolder::new();
    left_by_an_older_flockd(&place, 5).await;
    std::fs::create_dir(place.folder.path().join(copy_from_before())).unwrap();
    let error = Sqlite::open_as_owner(&database(&place.path)).await.unwrap_err().to_string();
    assert!(error.contains(&copy_from_before()) && error.contains("move it away"), "{error}");
    let applied = "select max(version) from _sqlx_migrations";
    let mut ledger = stranger(&place.path).await;
    assert_eq!(sqlx::query_scalar::<_, i64>(applied).fetch_one(&mut ledger).await.unwrap(), 5);
}

/// After a lost disk or a failed restore, the ledger that held every post must not silently start empty.
#[tokio::test]
async fn a_file_without_content() {
    for content in [vec![], vec![0; 10], vec![0; 4_096], vec![0; 40_000]] {
        let place = LedgerFolder::new();
        std::fs::write(&place.path, &content).unwrap();
        let say = match content.len() {
            0 => "is empty (0 bytes)",
            10 => "is not a ledger",
            _ => "has lost its content",
        };
        refused(&place.path, &[say]).await;
        let left: Vec<_> = place.folder.path().read_dir().unwrap().collect();
        assert_eq!(left.len(), 1, "something was left beside it: {left:?}");
    }
}

#[tokio::test]
async fn a_database_without_tables() {
    let signs = ["vacuum", "pragma user_version = 3", "pragma application_id = 0x666c6f6b"];
    for sign in signs {
        let place = LedgerFolder::new();
        stranger(&place.path).await.execute(sign).await.unwrap();
        if place.path.metadata().unwrap().len() > 0 {
            refused(&place.path, &["has no tables", "put a backup in its place"]).await;
        }
    }
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    stranger(&place.path).await.execute("drop table _sqlx_migrations").await.unwrap();
    refused(&place.path, &["has no tables"]).await;
}

#[tokio::test]
async fn a_dangling_symlink_and_special_files() {
    let place = LedgerFolder::new();
    std::os::unix::fs::symlink(place.folder.path().join("not-mounted/flock.db"), &place.path).unwrap();
    refused(&place.path, &["leads to nothing"]).await;
    refused(Path::new("/dev/null"), &["is not a regular file"]).await;
}

/// Both ways of opening report it, and one of them before it checks for damage.
#[tokio::test]
async fn a_truncated_ledger() {
    let place = LedgerFolder::new();
    place.left_alone(2_000).await;
    let file = std::fs::File::options().write(true).open(&place.path).unwrap();
    let whole = file.metadata().unwrap().len();
    for left in [whole - 1, whole - 4_096, 4_096, 100] {
        file.set_len(left).unwrap();
        refused(&place.path, &["is damaged: put a backup in its place", "cut off"]).await;
    }
}

#[tokio::test]
async fn a_ledger_without_one_of_its_constraints() {
    for drop in [
        "drop trigger post_kept",
        "drop index post_slot",
        "drop index post_open; create index post_open on post (bot)",
        "drop table pass",
        "alter table bot drop column behind_why",
    ] {
        let place = LedgerFolder::new();
        place.left_alone(3).await;
        stranger(&place.path).await.execute(drop).await.unwrap();
        let error = place.open_as_owner().await.unwrap_err().to_string();
        assert!(error.contains("is damaged: put a backup in its place"), "{drop}: {error}");
    }
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    let more = "create index theirs on post (text); create view lines as select text from post; analyze";
    stranger(&place.path).await.execute(more).await.unwrap();
    place.open_as_owner().await.unwrap();
}

#[tokio::test]
async fn a_damaged_header() {
    let place = LedgerFolder::new();
    place.left_alone(3).await;
    let file = std::fs::File::options().write(true).open(&place.path).unwrap();
    file.write_all_at(&[0xff; 64], 0).unwrap();
    refused(&place.path, &["is not a ledger"]).await;
}

#[tokio::test]
async fn a_backup_is_complete() {
    let place = LedgerFolder::new();
    place.left_alone(2_000).await;
    is_sound(&place.path).await;
    let beside = place.open_as_client().await.unwrap().unwrap();
    assert_eq!(count(&beside).await, 2_000);
}
