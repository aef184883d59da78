//! The SQLite ledger as a file: its lease, foreign files, damage, a full disk, and other programs that write
//! to it.
//! `store_contract` has what every ledger promises.

mod alias;
mod disk_full;
mod foreign_files;
mod integrity;
mod lock;
mod orphan_wal;
mod permissions;
mod replaced;
mod triggers;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flockd::store::sqlite::Sqlite;
use flockd::store::{Filter, Store, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tempfile::TempDir;

use super::ledger;
use crate::support::bounded::Bounded as _;

/// How a child reports that no disk can be mounted here.
const NO_MOUNT: i32 = 77;
/// How a child reports that it was not filtered out.
const TOLD: &str = "the story was told to its end";
/// Tells a copy of this program that it is the child of a test, and which folder to work in.
const CHILD: &str = "FLOCKD_TEST_CHILD";

/// A folder for a ledger, and the ledger's path in it.
struct LedgerFolder {
    folder: TempDir,
    path: PathBuf,
}

impl LedgerFolder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Messages name the file's real path, even if the folder is reached through a symlink.
        let path = folder.path().canonicalize().unwrap().join("flock.db");
        Self { folder, path }
    }

    fn database(&self) -> String {
        database(&self.path)
    }

    async fn open_as_owner(&self) -> Result<Sqlite, StoreError> {
        Sqlite::open_as_owner(&self.database()).await
    }

    async fn open_as_client(&self) -> Result<Option<Sqlite>, StoreError> {
        Sqlite::open_as_client(&self.database()).await
    }

    /// Makes a ledger with one bot and a few posts, which no process has open and which is a single file.
    async fn left_alone(&self, posts: i64) {
        let elsewhere = tempfile::tempdir().unwrap();
        let store = Sqlite::open_as_owner(&database(&elsewhere.path().join("flock.db"))).await.unwrap();
        store.upsert_bots(&[ledger::entry("walt")], ledger::at(0)).await.unwrap();
        let drafts: Vec<_> = (1..=posts).map(|seconds| ledger::given_up("walt", seconds)).collect();
        let written = drafts.iter().map(|draft| store.open(draft));
        futures_util::future::try_join_all(written).await.unwrap();
        store.copy_to(&self.path).await.unwrap();
    }
}

fn database(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// A connection of another program.
async fn stranger(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

/// This program once more, running only one test, as that test's child.
fn child(test: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&format!("sqlite_faults::{test}"), "--exact", "--nocapture"]).env(CHILD, folder);
    command
}

/// Runs a test on a separate disk of this size, in a child that runs only that test. The disk is mounted
/// where only the child sees it, in a namespace that ends with the child; a user who is not root may do so
/// too.
fn on_a_disk_of(size: &str, test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mount =
        format!("mount -t tmpfs -o size={size} none \"${CHILD}\" || exit {NO_MOUNT}; exec \"$0\" \"$@\"");
    let story = child(test, folder.path());
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]);
    command.arg(story.get_program()).args(story.get_args());
    command.env(CHILD, folder.path()).env("TMPDIR", folder.path());
    let output = match command.output_in_time() {
        Ok(output) if output.status.code() != Some(NO_MOUNT) && !say(&output).contains("unshare") => output,
        other => return println!("skipped: no disk can be mounted here: {other:?}"),
    };
    let said = say(&output);
    assert!(output.status.success() && said.contains(TOLD), "{said}");
}

/// Takes all free space on a disk; [`make_room`] gives it back.
fn fill(folder: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("filler")).unwrap();
    while file.write(&[0; 512]).is_ok_and(|written| written > 0) {}
}

fn make_room(folder: &Path) {
    std::fs::remove_file(folder.join("filler")).unwrap();
}

async fn is_sound(path: &Path) {
    let mut db = stranger(path).await;
    let verdict: String = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut db).await.unwrap();
    assert_eq!(verdict, "ok");
    db.close().await.unwrap();
}

/// The folder, if this process is the child of a test.
fn child_folder() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

fn say(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

async fn count(store: &dyn Store) -> usize {
    store.posts(&Filter::default()).await.unwrap().len()
}
