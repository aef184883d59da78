use std::fs::{self, File};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::clock::SystemClock;

/// A manual clock that can be set wrong on purpose, because file timestamps can't be.
struct Hand {
    started: DateTime<Utc>,
    passed: AtomicU64,
}

#[async_trait]
impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        self.started + self.uptime()
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(self.passed.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

struct Table {
    folder: tempfile::TempDir,
    clock: Arc<Hand>,
    poem_cache: PoemCache,
    split: Split,
}

impl Table {
    /// A setup whose clock is an hour behind the file system's, so that each file seems to come from the future: how
    /// long it has been unchanged is known only by observation.
    fn set() -> Self {
        Self::with_files_aged(TimeDelta::hours(-1))
    }

    /// A setup where a file that is written now seems to have this age.
    fn with_files_aged(age: TimeDelta) -> Self {
        let clock = Arc::new(Hand { started: SystemClock.now() + age, passed: AtomicU64::new(0) });
        let poem_cache = PoemCache::new(clock.clone());
        Self { folder: tempfile::tempdir().unwrap(), clock, poem_cache, split: Split::Line }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("poem.txt")
    }

    /// Writes in place, like a shell's redirection, until the file has a different timestamp, as the system's
    /// timestamps advance in steps.
    fn write(&self, text: &[u8]) {
        let before = Fingerprint::of(&self.path());
        while Fingerprint::of(&self.path()) == before {
            fs::write(self.path(), text).unwrap();
        }
    }

    fn pass(&self, seconds: u64) {
        self.clock.passed.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn read(&self) -> Reading {
        self.poem_cache.read(&self.path(), self.split).await
    }

    async fn texts(&self) -> Vec<String> {
        texts(&self.read().await)
    }

    /// Writes this text and reads it until it is settled.
    async fn settle(&self, text: &[u8]) {
        self.write(text);
        self.read().await;
        self.pass(60);
        assert_eq!(self.read().await.unsettled, None);
    }
}

fn texts(reading: &Reading) -> Vec<String> {
    let lines = reading.poem.iter().flat_map(|poem| poem.entries());
    lines.map(|line| line.text.clone()).collect()
}

#[tokio::test]
async fn an_edit_counts_when_it_is_at_rest() {
    let table = Table::set();
    table.write(b"a\nb\n");
    let first = table.read().await;
    assert!(first.changed && first.problem.is_none(), "whole lines count at once where there was nothing");
    assert_eq!(texts(&first), ["a", "b"]);
    table.pass(3);
    assert_eq!(table.read().await.unsettled, None);
    table.write(b"a\nc\n");
    let edited = table.read().await;
    assert_eq!((texts(&edited), edited.changed), (vec!["a".to_owned(), "b".to_owned()], false));
    assert_eq!(edited.unsettled, Some(Duration::from_secs(3)));
    table.pass(2);
    assert_eq!(table.texts().await, ["a", "b"]);
    table.pass(1);
    let read = table.read().await;
    assert_eq!(
        (texts(&read), read.changed, read.unsettled),
        (vec!["a".to_owned(), "c".to_owned()], true, None)
    );
    assert!(!table.read().await.changed);
}

#[tokio::test]
async fn an_edit_of_some_time_ago_counts_at_once() {
    let table = Table::with_files_aged(TimeDelta::minutes(2));
    for text in ["a\n", "b\n", "a line without a line break"] {
        table.write(text.as_bytes());
        let read = table.read().await;
        assert_eq!((texts(&read), read.unsettled), (vec![text.trim().to_owned()], None));
    }
}

#[tokio::test]
async fn while_a_file_is_written_its_last_good_version_serves() {
    let table = Table::set();
    table.settle(b"old one\nold two\n").await;
    for half in [&b""[..], b"first", b"first new line\nthis is being wri", b"\xc3", b"first new line\n"] {
        table.write(half);
        let meanwhile = table.read().await;
        assert_eq!((texts(&meanwhile).len(), meanwhile.problem), (2, None), "{half:?}");
        assert!(meanwhile.unsettled.is_some() && !meanwhile.changed);
        table.pass(2);
        assert_eq!(table.texts().await, ["old one", "old two"], "{half:?}");
    }
    fs::remove_file(table.path()).unwrap();
    assert_eq!(table.read().await.problem, None, "it may be about to be put back");
    table.write(b"first new line\nthis is being written slowly\n");
    assert_eq!(table.texts().await, ["old one", "old two"]);
    table.pass(3);
    assert_eq!(table.texts().await, ["first new line", "this is being written slowly"]);
}

#[tokio::test]
async fn a_line_without_line_break_is_held_back_for_longer() {
    let table = Table::set();
    table.write(b"one\ntwo\nthr");
    assert_eq!(table.texts().await, ["one", "two"]);
    table.pass(9);
    assert_eq!(table.texts().await, ["one", "two"]);
    table.pass(1);
    assert_eq!(table.texts().await, ["one", "two", "thr"], "some editors never write the last one");
    table.write(b"one\ntwo\nthree\n");
    table.read().await;
    table.pass(3);
    assert_eq!(table.texts().await, ["one", "two", "three"]);
}

#[tokio::test]
async fn a_lone_line_is_waited_for_and_is_no_complaint() {
    let table = Table::set();
    table.write(b"lone");
    let first = table.read().await;
    assert_eq!((first.poem, first.problem, first.changed), (None, Some(SourceError::BeingWritten), false));
    assert_eq!(first.unsettled, Some(Duration::from_secs(10)));
    table.pass(10);
    assert_eq!(table.texts().await, ["lone"]);
}

#[tokio::test]
async fn a_person_is_not_kept_waiting_for_so_long() {
    let table = Table::set();
    table.settle(b"old\n").await;
    table.write(b"old\nnew");
    let path = table.path();
    let by_hand = || table.poem_cache.read_by_hand(&path, Split::Line);
    assert_eq!(by_hand().await.unsettled, Some(Duration::from_secs(5)));
    table.pass(5);
    assert_eq!(texts(&by_hand().await), ["old", "new"]);
}

#[tokio::test]
async fn the_last_stanza_may_go_on() {
    let table = Table { split: Split::Stanza, ..Table::set() };
    table.write(b"a\nb\n\nc\n");
    assert_eq!(table.texts().await, ["a\nb"]);
    table.pass(9);
    assert_eq!(table.texts().await, ["a\nb"]);
    table.pass(1);
    assert_eq!(table.texts().await, ["a\nb", "c"]);
}

#[tokio::test]
async fn the_last_entry_of_a_fortune_file_may_go_on() {
    let table = Table { split: Split::Percent, ..Table::set() };
    table.write(b"a\n\nb\n%\nc\n\n");
    assert_eq!(table.texts().await, ["a\n\nb"]);
    table.pass(10);
    assert_eq!(table.texts().await, ["a\n\nb", "c"]);
}

#[tokio::test]
async fn a_file_that_never_rests_counts_in_the_end() {
    let table = Table::set();
    table.settle(b"a\n").await;
    for lines in 2..=31 {
        table.write(format!("{}cut of", "a\n".repeat(lines)).as_bytes());
        assert_eq!(table.texts().await.len(), 1, "{lines}");
        table.pass(2);
    }
    table.write(format!("{}cut of", "a\n".repeat(40)).as_bytes());
    let texts = table.texts().await;
    assert_eq!((texts.len(), texts.contains(&"cut of".to_owned())), (40, false));
}

#[tokio::test]
async fn an_edit_that_keeps_size_and_time_is_noticed() {
    let table = Table::set();
    table.settle(b"teh line\n").await;
    let modified = fs::metadata(table.path()).unwrap().modified().unwrap();
    table.write(b"the line\n");
    File::options().write(true).open(table.path()).unwrap().set_modified(modified).unwrap();
    table.read().await;
    table.pass(3);
    assert_eq!(table.texts().await, ["the line"]);
}

#[tokio::test]
async fn a_file_at_rest_is_not_read_again() {
    let table = Table::set();
    table.settle(b"a\n").await;
    let before = table.read().await;
    table.pass(1_000);
    let after = table.read().await;
    assert!(Arc::ptr_eq(&before.poem.unwrap(), &after.poem.unwrap()) && before.version == after.version);
}

#[tokio::test]
async fn a_broken_edit_keeps_the_last_good_version() {
    let table = Table::set();
    assert_eq!(table.read().await.problem, Some(SourceError::Missing));
    table.write(b"good\n");
    assert!(table.read().await.changed);
    table.pass(3);
    assert_eq!(table.read().await.unsettled, None);
    for (bytes, line) in [(&b""[..], 1), (b"x\n\xff\n", 2), (b"\n\nx\0\n", 3)] {
        table.write(bytes);
        table.read().await;
        table.pass(3);
        let reading = table.read().await;
        assert_eq!((texts(&reading).len(), reading.problem.unwrap().line()), (1, Some(line)));
        assert!(reading.changed);
    }
    fs::remove_file(table.path()).unwrap();
    table.read().await;
    table.pass(3);
    let gone = table.read().await;
    assert_eq!((texts(&gone).len(), gone.problem), (1, Some(SourceError::Missing)));
    table.write(b"good\n");
    table.read().await;
    table.pass(3);
    let back = table.read().await;
    assert!(back.changed && back.problem.is_none(), "the end of a problem is news");
}

#[tokio::test]
async fn who_only_glances_takes_no_news_away() {
    let table = Table::set();
    table.write(b"a\n");
    assert!(table.poem_cache.glance(&table.path(), Split::Line).await.changed);
    assert!(table.read().await.changed);
    assert!(!table.read().await.changed);
}

#[tokio::test]
async fn an_impatient_shelf_takes_what_is_there() {
    let table = Table::set();
    let table = Table { poem_cache: PoemCache::impatient(table.clock.clone()), ..table };
    for text in ["one\n", "two", ""] {
        table.write(text.as_bytes());
        let read = table.read().await;
        assert_eq!(read.unsettled, None);
        assert_eq!(read.problem.is_some(), text.is_empty());
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused_at_once() {
    let table = Table::set();
    fs::create_dir(table.path()).unwrap();
    assert_eq!(table.read().await.problem, Some(SourceError::NotAFile("a folder")));
    fs::remove_dir(table.path()).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, table.path(), fifo, mode, 0).unwrap();
    assert_eq!(table.read().await.problem, Some(SourceError::NotAFile("a pipe")));
    fs::remove_file(table.path()).unwrap();
    File::create(table.path()).unwrap().set_len(50 * 1024 * 1024).unwrap();
    assert_eq!(table.read().await.problem, Some(SourceError::TooLarge(50 * 1024 * 1024)));
}
