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

/// A poem that is a folder.
struct Gallery {
    table: Table,
}

impl Gallery {
    fn set() -> Self {
        let table = Table { split: Split::Folder, ..Table::set() };
        fs::create_dir(table.path()).unwrap();
        Self { table }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.table.path().join(name)
    }

    /// Writes a file until it has another fingerprint.
    fn write(&self, name: &str, bytes: &[u8]) {
        let before = Fingerprint::of(&self.file(name));
        while Fingerprint::of(&self.file(name)) == before {
            fs::write(self.file(name), bytes).unwrap();
        }
    }

    async fn settled(&self) -> Reading {
        self.table.read().await;
        self.table.pass(3);
        self.table.read().await
    }
}

/// Each entry's text and picture.
fn shown(reading: &Reading) -> Vec<String> {
    let shown = |entry: &crate::flock::poem::Entry| {
        let media: Vec<String> = entry
            .content
            .iter()
            .flat_map(|content| content.media())
            .map(|it| format!("{}={}", it.name, it.alt))
            .collect();
        format!("{} {}", entry.text, media.join(" "))
    };
    reading.poem.iter().flat_map(|poem| poem.entries()).map(shown).collect()
}

#[tokio::test]
async fn an_edit_says_how_many_entries_count_as_new() {
    let table = Table::set();
    table.write(b"one\ntwo\n");
    assert_eq!(table.read().await.new_entries, None, "there was nothing before");
    table.settle(b"one\ntwo, corrected\nthree\n").await;
    table.write(b"three\none\nfour\n");
    assert_eq!(table.poem_cache.glance(&table.path(), Split::Line).await.new_entries, None);
    table.pass(3);
    assert_eq!(table.poem_cache.glance(&table.path(), Split::Line).await.new_entries, Some(1));
    assert_eq!(table.read().await.new_entries, Some(1));
    assert_eq!(table.read().await.new_entries, None, "it has been reported");
}

#[tokio::test]
async fn a_folder_is_a_poem_and_its_changes_are_noticed() {
    let gallery = Gallery::set();
    gallery.write("owl10.jpg", b"a picture");
    gallery.write("owl2.png", b"a picture");
    gallery.write("owl2.txt", b"An owl.\nalt: an owl on a post\n");
    gallery.write(".hidden.jpg", b"");
    let first = gallery.settled().await;
    assert_eq!(shown(&first), ["An owl. owl2.png=an owl on a post", " owl10.jpg="]);
    let again = gallery.table.read().await;
    assert!(
        Arc::ptr_eq(&first.poem.clone().unwrap(), &again.poem.unwrap()) && again.version == first.version
    );
    gallery.write("owl2.txt", b"An owl.\nalt: an old owl on a post\n");
    assert_eq!(gallery.table.read().await.unsettled, Some(Duration::from_secs(3)));
    assert_eq!(shown(&gallery.settled().await)[0], "An owl. owl2.png=an old owl on a post");
    gallery.write("owl1.gif", b"a picture");
    assert_eq!(shown(&gallery.settled().await).len(), 3);
    fs::remove_file(gallery.file("owl10.jpg")).unwrap();
    assert_eq!(shown(&gallery.settled().await).len(), 2);
    // A picture that is replaced under its name is the same entry.
    let before = gallery.table.read().await;
    gallery.write("owl1.gif", b"another picture");
    assert_eq!(gallery.settled().await.version, before.version);
}

#[tokio::test]
async fn a_broken_folder_keeps_the_last_good_version_and_names_the_file() {
    let gallery = Gallery::set();
    assert_eq!(gallery.settled().await.problem, Some(SourceError::Bad(PoemError::EmptyFolder)));
    gallery.write("owl.jpg", b"a picture");
    gallery.write("owl.txt", b"An owl.\n");
    assert_eq!(gallery.settled().await.problem, None);
    gallery.write("owl.txt", b"An owl.\n\xff\n");
    let broken = gallery.settled().await;
    let problem = broken.problem.clone().unwrap();
    assert_eq!((shown(&broken).len(), problem.line()), (1, None));
    assert!(problem.to_string().starts_with("owl.txt, line 2"), "{problem}");
    gallery.write("owl.txt", &vec![b'a'; 70_000]);
    let large = gallery.settled().await.problem.unwrap().to_string();
    assert!(large.contains("owl.txt") && large.contains("70000 bytes"), "{large}");
}

#[tokio::test]
async fn nothing_in_a_folder_is_opened_that_is_no_file_of_it() {
    let gallery = Gallery::set();
    let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
    for name in ["pipe.jpg", "pipe.txt"] {
        rustix::fs::mknodat(rustix::fs::CWD, gallery.file(name), fifo, mode, 0).unwrap();
    }
    std::os::unix::fs::symlink("/dev/zero", gallery.file("zero.txt")).unwrap();
    std::os::unix::fs::symlink("nowhere", gallery.file("gone.png")).unwrap();
    fs::create_dir(gallery.file("folder.jpg")).unwrap();
    fs::write(gallery.file("owl.jpg"), "a picture").unwrap();
    let reading = gallery.settled().await;
    assert_eq!(shown(&reading), [" owl.jpg="]);
    let remarks = reading.poem.unwrap().remarks().to_vec();
    assert_eq!(remarks.len(), 4, "{remarks:?}");
    fs::write(gallery.table.folder.path().join("secret"), "a secret").unwrap();
    std::os::unix::fs::symlink("../secret", gallery.file("owl.txt")).unwrap();
    let leaves = gallery.settled().await;
    assert_eq!(shown(&leaves), [" owl.jpg="], "the last good version");
    assert!(leaves.problem.unwrap().to_string().contains("owl.txt: a link that leads out"));
}

#[tokio::test]
async fn a_file_is_no_folder_and_a_folder_no_file() {
    let table = Table { split: Split::Folder, ..Table::set() };
    table.write(b"one\n");
    assert_eq!(table.read().await.problem, Some(SourceError::NotAFolder));
    assert_eq!(read_file(&table.path(), Split::Folder), Err(SourceError::NotAFolder));
    assert_eq!(read_file(table.folder.path(), Split::Line), Err(SourceError::NotAFile("a folder")));
    assert_eq!(Split::of_name(Path::new("poems/owls/")), Some(Split::Folder));
    assert_eq!(Split::of_name(Path::new("poems/owls")), None);
}

/// How long it takes is measured with `--ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_hundred_thousand_files() {
    let gallery = Gallery::set();
    for number in 0..50_000 {
        fs::write(gallery.file(&format!("owl{number}.jpg")), "a picture").unwrap();
        fs::write(gallery.file(&format!("owl{number}.txt")), format!("Owl {number}.\nalt: an owl\n"))
            .unwrap();
    }
    let begun = std::time::Instant::now();
    println!("{} entries in {:?}", gallery.settled().await.poem.unwrap().entries().len(), begun.elapsed());
    let begun = std::time::Instant::now();
    gallery.table.read().await;
    println!("unchanged: {:?}", begun.elapsed());
}
