//! The shelf: poem files as [`Poem`]s. It notices edits, and keeps the last good version of a poem whose
//! file has become unusable. It watches nothing: it looks whenever a poem is asked for, so an edit counts
//! from the next slot on.

pub mod edit;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::flock::poem::{Poem, PoemError, Split};

/// The largest poem: some 200,000 lines, far beyond any that is read, and small beside a machine's memory.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// A file changed this recently may change again without its time stamp moving: file systems stamp in
/// steps of up to two seconds. It is read again the next time.
const STAMP_STEP: TimeDelta = TimeDelta::seconds(3);

/// The poems of a flock. Bots that read one file in the same way share one copy.
pub struct Shelf {
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<(PathBuf, Split), Kept>>,
}

/// What the shelf answers.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The poem, or its last good version; `None` if there never was one.
    pub poem: Option<Arc<Poem>>,
    /// What is wrong with the file now.
    pub problem: Option<ShelfError>,
    /// Whether poem or problem are others than at the reading before.
    pub changed: bool,
}

/// Why a file is no poem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShelfError {
    /// Nothing of that name.
    #[error("there is no such poem: make the file, or change `poem`")]
    Missing,
    /// A folder, a pipe or the like.
    #[error("this is no file: `poem` must name a text file")]
    NotAFile,
    /// More than can be meant.
    #[error("the poem has {0} bytes, {MAX_BYTES} is the most: divide it among several bots")]
    TooLarge(u64),
    /// The system's refusal.
    #[error("the poem can't be read: {0}")]
    Unreadable(String),
    /// Readable, but not a poem.
    #[error(transparent)]
    Bad(#[from] PoemError),
}

impl ShelfError {
    /// The whole complaint, with file and line, for the poem at `path`.
    pub fn at(&self, path: &Path) -> String {
        let line = self.line().map_or_else(String::new, |line| format!(":{line}"));
        format!("{}{line}: {self}", path.display())
    }

    /// The line of the file that is to blame, where one is.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Bad(error) => Some(error.line()),
            _ => None,
        }
    }
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

struct Kept {
    stamp: Option<Stamp>,
    poem: Option<Arc<Poem>>,
    problem: Option<ShelfError>,
}

impl Shelf {
    /// An empty shelf.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kept: Mutex::new(HashMap::new()) }
    }

    /// The poem of a file, read anew if the file has changed.
    pub async fn read(&self, path: &Path, split: Split) -> Reading {
        let key = (path.to_owned(), split);
        let (stamp, now) = (self.stamp(&key), self.clock.now());
        let looked = tokio::task::spawn_blocking({
            let path = path.to_owned();
            move || look(&path, split, stamp.as_ref(), now)
        });
        let look =
            looked.await.unwrap_or_else(|error| Look::anew(Err(ShelfError::Unreadable(error.to_string()))));
        self.keep(key, look)
    }

    /// Forgets every poem but these.
    pub fn keep_only(&self, read: &HashSet<(&Path, Split)>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(path, split), _| read.contains(&(&**path, *split)));
    }

    fn stamp(&self, key: &(PathBuf, Split)) -> Option<Stamp> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).and_then(|kept| kept.stamp.clone())
    }

    fn keep(&self, key: (PathBuf, Split), look: Look) -> Reading {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = all.entry(key).or_insert(Kept { stamp: None, poem: None, problem: None });
        let changed = match look.found {
            None => false,
            Some(found) => {
                kept.stamp = look.stamp;
                kept.accept(found)
            }
        };
        Reading { poem: kept.poem.clone(), problem: kept.problem.clone(), changed }
    }
}

impl Kept {
    fn accept(&mut self, found: Result<Poem, ShelfError>) -> bool {
        match found {
            Ok(poem) => {
                let changed = self.problem.take().is_some() || self.poem.as_deref() != Some(&poem);
                self.poem = Some(Arc::new(poem));
                changed
            }
            Err(problem) => self.problem.replace(problem.clone()) != Some(problem),
        }
    }
}

/// What a look at the file showed; `found` is `None` if it has not changed.
struct Look {
    found: Option<Result<Poem, ShelfError>>,
    stamp: Option<Stamp>,
}

impl Look {
    fn anew(found: Result<Poem, ShelfError>) -> Self {
        Self { found: Some(found), stamp: None }
    }
}

fn look(path: &Path, split: Split, known: Option<&Stamp>, now: DateTime<Utc>) -> Look {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Look::anew(Err(refusal(&error))),
    };
    let stamp = stamp_of(&metadata, now);
    if stamp.is_some() && stamp.as_ref() == known {
        return Look { found: None, stamp };
    }
    let found = read(path, &metadata, split);
    // What kept the file from being read, such as its mode, may go away without a new stamp.
    let was_read = matches!(found, Ok(_) | Err(ShelfError::Bad(_)));
    Look { found: Some(found), stamp: stamp.filter(|_| was_read) }
}

/// The file's stamp, if it is old enough to be trusted.
/// What tells this state of a file from any other; `None` where it is not to be had, or so new that it may change unseen.
pub fn stamp(path: &Path, now: DateTime<Utc>) -> Option<Stamp> {
    stamp_of(&fs::metadata(path).ok()?, now)
}

fn stamp_of(metadata: &Metadata, now: DateTime<Utc>) -> Option<Stamp> {
    let modified = DateTime::from_timestamp(metadata.mtime(), 0)?;
    let settled = modified + STAMP_STEP < now;
    let stamp = Stamp {
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        size: metadata.size(),
        inode: metadata.ino(),
    };
    settled.then_some(stamp)
}

/// Reads a poem's file once, without a shelf.
pub fn read_file(path: &Path, split: Split) -> Result<Poem, ShelfError> {
    let metadata = fs::metadata(path).map_err(|error| refusal(&error))?;
    read(path, &metadata, split)
}

fn read(path: &Path, metadata: &Metadata, split: Split) -> Result<Poem, ShelfError> {
    if !metadata.is_file() {
        // Opening a pipe would wait for somebody to write into it.
        return Err(ShelfError::NotAFile);
    }
    if metadata.len() > MAX_BYTES {
        return Err(ShelfError::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| refusal(&error))?;
    // The file may be growing this moment; a poem cut off in the middle of a line would be posted so.
    let size = file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| refusal(&error))? as u64;
    if size > MAX_BYTES {
        return Err(ShelfError::TooLarge(size));
    }
    Ok(Poem::parse(&bytes, split)?)
}

fn refusal(error: &std::io::Error) -> ShelfError {
    match error.kind() {
        std::io::ErrorKind::NotFound => ShelfError::Missing,
        _ => ShelfError::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    struct Table {
        folder: tempfile::TempDir,
        shelf: Shelf,
    }

    impl Table {
        fn set() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), shelf: Shelf::new(Arc::new(SystemClock)) }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("poem.txt")
        }

        fn write(&self, text: &[u8]) {
            fs::write(self.path(), text).unwrap();
        }

        async fn read(&self) -> Reading {
            self.shelf.read(&self.path(), Split::Line).await
        }
    }

    fn lines(reading: &Reading) -> usize {
        reading.poem.as_ref().map_or(0, |poem| poem.lines().len())
    }

    #[tokio::test]
    async fn an_edit_is_noticed_even_within_a_tick_of_the_clock() {
        let table = Table::set();
        table.write(b"a\nb\n");
        let first = table.read().await;
        assert!(first.changed && lines(&first) == 2);
        table.write(b"a\nb c");
        let second = table.read().await;
        assert!(second.changed, "same size, same second");
        assert!(!table.read().await.changed);
    }

    #[tokio::test]
    async fn a_settled_file_is_not_read_again() {
        let table = Table::set();
        table.write(b"a\n");
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        let stamp =
            |path: &Path| File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        stamp(&table.path());
        assert!(table.read().await.changed);
        // The same inode, size and time stamp: only a reader that trusts them does not see this.
        table.write(b"b\n");
        stamp(&table.path());
        let again = table.read().await;
        assert_eq!(again.poem.unwrap().lines()[0].text, "a");
    }

    #[tokio::test]
    async fn a_broken_edit_keeps_the_last_good_version() {
        let table = Table::set();
        assert_eq!(table.read().await.problem, Some(ShelfError::Missing));
        table.write(b"good\n");
        assert!(table.read().await.changed);
        for (bytes, line) in [(&b""[..], 1), (b"x\n\xff", 2), (b"\n\nx\0", 3)] {
            table.write(bytes);
            let reading = table.read().await;
            assert_eq!((lines(&reading), reading.problem.unwrap().line()), (1, Some(line)));
        }
        fs::remove_file(table.path()).unwrap();
        let gone = table.read().await;
        assert_eq!((lines(&gone), gone.problem), (1, Some(ShelfError::Missing)));
        table.write(b"good\n");
        let back = table.read().await;
        assert!(back.changed && back.problem.is_none(), "the end of a problem is news");
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused_at_once() {
        let table = Table::set();
        fs::create_dir(table.path()).unwrap();
        assert_eq!(table.read().await.problem, Some(ShelfError::NotAFile));
        fs::remove_dir(table.path()).unwrap();
        File::create(table.path()).unwrap().set_len(50 * 1024 * 1024).unwrap();
        assert_eq!(table.read().await.problem, Some(ShelfError::TooLarge(50 * 1024 * 1024)));
    }
}
