//! Restores that are interrupted at each step: nothing is opened by mistake, and the next restore does the rest.

use chrono::TimeDelta;

use super::*;
use crate::flock::NetworkKind;
use crate::flock::post::{Cause, PostId, Why};
use crate::store::{Beginning, BotEntry, Draft, Filter, Store};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(second)
}

fn draft(second: i64) -> Draft {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&second.to_be_bytes());
    Draft {
        id: PostId::new(at(second), random),
        bot: "walt".parse().unwrap(),
        network: NetworkKind::Paper,
        slot: Some(at(second)),
        due_at: at(second),
        continues: None,
        entry: None,
        text: None,
        content: None,
        record: None,
        missed: 0,
        app: None,
        price: 0,
        begins: Beginning::Released(Why::new(Cause::Flood, "too many")),
        now: at(second),
    }
}

struct Story {
    folder: tempfile::TempDir,
}

impl Story {
    /// A ledger as a killed daemon leaves it, with three posts, the last two of them in its log; and a backup with one
    /// post.
    async fn begin() -> Self {
        let (living, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = living.path().join("flock.db");
        let store = Sqlite::open_as_owner(&format!("sqlite:{}", path.display())).await.unwrap();
        let entry = BotEntry { name: "walt".parse().unwrap(), was: None, schedule: String::new() };
        store.upsert_bots(&[entry], at(0)).await.unwrap();
        store.open(&draft(1)).await.unwrap();
        store.back_up_to(&folder.path().join("backup.db"), at(1)).await.unwrap();
        store.close().await;
        drop(store);
        let store = Sqlite::open_as_owner(&format!("sqlite:{}", path.display())).await.unwrap();
        for second in [2, 3] {
            store.open(&draft(second)).await.unwrap();
        }
        for name in ["flock.db", "flock.db-wal", "flock.db-shm"] {
            fs::copy(living.path().join(name), folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn database(&self) -> String {
        format!("sqlite:{}", self.path("flock.db").display())
    }

    async fn prepare(&self, backup: &Path) -> Result<Restore, StoreError> {
        Sqlite::prepare_restore(&self.database(), backup, at(100)).await
    }

    /// The ledgers that were kept.
    fn kept(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_kept = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.contains(KEPT) && !name.ends_with("-wal") && !name.ends_with("-shm")
        };
        names.filter(is_kept).collect()
    }

    async fn posts(&self) -> usize {
        let store = Sqlite::open_as_owner(&self.database()).await.unwrap();
        let posts = store.posts(&Filter::default()).await.unwrap().len();
        store.close().await;
        posts
    }
}

#[tokio::test]
async fn the_backup_takes_the_place_and_the_ledger_is_kept_with_its_log() {
    let story = Story::begin().await;
    let prepared = story.prepare(&story.path("backup.db")).await.unwrap();
    assert_eq!((prepared.backup.posts, prepared.behind_since), (1, at(1)));
    assert_eq!(prepared.replaced.clone().unwrap().unwrap().posts, 3, "the log was read, too");
    let kept = prepared.put_in_place(at(100)).unwrap().unwrap();
    assert_eq!(story.posts().await, 1);
    assert_eq!(kept.metadata().unwrap().nlink(), 1);
    // The way back: the kept ledger is restored.
    let back = story.prepare(&kept).await.unwrap();
    assert_eq!(back.backup.posts, 3);
    back.put_in_place(at(100)).unwrap();
    assert_eq!(story.posts().await, 3);
    assert_eq!(story.kept().len(), 2);
    let left = |name: &str| name.contains(".restore-");
    let names = fs::read_dir(story.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| left(&name.to_string_lossy())), "a folder was left behind");
}

#[tokio::test]
async fn bots_look_at_their_accounts_after_it() {
    for raw in [false, true] {
        let story = Story::begin().await;
        let backup = story.path("backup.db");
        if raw {
            // A plain copy of a ledger that was not open: it does not know that it is a copy.
            let elsewhere = tempfile::tempdir().unwrap();
            let path = elsewhere.path().join("flock.db");
            fs::copy(&backup, &path).unwrap();
            let store = Sqlite::open_as_owner(&format!("sqlite:{}", path.display())).await.unwrap();
            store.take_over(at(0)).await.unwrap();
            store.finish_reconciliation(&"walt".parse().unwrap(), &[]).await.unwrap();
            store.close().await;
            drop(store);
            fs::copy(path, &backup).unwrap();
        }
        story.prepare(&backup).await.unwrap().put_in_place(at(100)).unwrap();
        let store = Sqlite::open_as_owner(&story.database()).await.unwrap();
        store.take_over(at(101)).await.unwrap();
        let standing = store.bot_record(&"walt".parse().unwrap(), at(101)).await.unwrap().unwrap();
        assert_eq!(standing.reconciliation.map(|behind| behind.since), Some(at(1)), "raw: {raw}");
    }
}

#[tokio::test]
async fn cut_off_at_any_step_it_is_refused_and_then_done_to_its_end() {
    for steps in 0..=3 {
        let story = Story::begin().await;
        let prepared = story.prepare(&story.path("backup.db")).await.unwrap();
        let kept = prepared.free_name(at(99));
        let done: [&dyn Fn() -> io::Result<()>; 3] =
            [&|| prepared.keep(&kept), &|| prepared.replace(), &|| prepared.tidy()];
        done.iter().take(steps).for_each(|step| step().unwrap());
        drop(prepared);
        // Also a folder that the killed process left behind.
        fs::create_dir(story.path(".flock.db.restore-left")).unwrap();
        let opened = Sqlite::open_as_owner(&story.database()).await;
        match steps {
            0 => assert_eq!(opened.unwrap().posts(&Filter::default()).await.unwrap().len(), 3),
            3 => assert_eq!(opened.unwrap().posts(&Filter::default()).await.unwrap().len(), 1),
            _ => assert!(matches!(&opened, Err(StoreError::Unusable(_))), "{steps}: {opened:?}"),
        }
        if let 1 | 2 = steps {
            story.prepare(&story.path("backup.db")).await.unwrap().put_in_place(at(100)).unwrap();
            assert_eq!(story.posts().await, 1, "{steps}");
            let mut kept = Vec::new();
            for path in story.kept() {
                assert_eq!(path.metadata().unwrap().nlink(), 1, "{steps}: {}", path.display());
                kept.push(story.prepare(&path).await.unwrap().backup.posts);
            }
            assert!(kept.contains(&3), "{steps}: the old ledger is lost: {kept:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_sound_backup_is_refused_and_nothing_changes() {
    let story = Story::begin().await;
    let before = || ["flock.db", "flock.db-wal"].map(|name| fs::read(story.path(name)).unwrap());
    let was = before();
    let bad = story.path("bad.db");
    let refused = async |say: &str| {
        let error = story.prepare(&bad).await.unwrap_err().to_string();
        assert!(error.contains(say), "{error}");
    };
    refused("can't be read").await;
    fs::write(&bad, "").unwrap();
    refused("is empty").await;
    fs::write(&bad, "not a database, but long enough to be looked at as one; ".repeat(100)).unwrap();
    refused("is not a ledger").await;
    let mut bytes = fs::read(story.path("backup.db")).unwrap();
    bytes.truncate(bytes.len() - 4_096);
    fs::write(&bad, &bytes).unwrap();
    refused("is cut off").await;
    fs::remove_file(&bad).unwrap();
    fs::hard_link(story.path("flock.db"), &bad).unwrap();
    refused("it is the ledger itself").await;
    assert!(before() == was && story.kept().is_empty(), "something was changed");
}

#[tokio::test]
async fn a_ledger_that_is_lost_or_empty_is_replaced() {
    let story = Story::begin().await;
    fs::remove_file(story.path("flock.db-wal")).unwrap();
    fs::write(story.path("flock.db"), "").unwrap();
    let prepared = story.prepare(&story.path("backup.db")).await.unwrap();
    assert!(prepared.replaced.clone().unwrap().unwrap_err().to_string().contains("is empty"));
    prepared.put_in_place(at(100)).unwrap();
    assert_eq!(story.posts().await, 1);
    fs::remove_file(story.path("flock.db")).unwrap();
    let prepared = story.prepare(&story.path("backup.db")).await.unwrap();
    assert_eq!(prepared.replaced, None);
    assert_eq!(prepared.put_in_place(at(101)).unwrap(), None);
    assert_eq!(story.posts().await, 1);
}

#[tokio::test]
async fn a_ledger_in_use_is_left_alone() {
    let story = Story::begin().await;
    let ledger = Sqlite::open_as_owner(&story.database()).await.unwrap();
    assert!(matches!(story.prepare(&story.path("backup.db")).await, Err(StoreError::Locked(_))));
    assert_eq!(ledger.posts(&Filter::default()).await.unwrap().len(), 3);
}
