//! The poem cache: reads poem files as [`Poem`]s. It detects edits, and keeps the last good version of a poem whose
//! file has become invalid or is being written. It does not watch files: it checks whenever a poem is requested, so an
//! edit takes effect with the next slot. `stability` decides how long a file must be unchanged before it counts.

pub mod edit;
mod folder;
pub mod pictures;
mod stability;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::stability::{Observation, Stability, StabilityVerdict};
use crate::clock::Clock;
use crate::files::{self, FileContents, Fingerprint, Hangs, ReadError};
use crate::flock::folder::FolderFile;
use crate::flock::poem::{Poem, PoemError, Split};

/// Maximum size of a poem: some million lines, far more than any bot posts.
const MAX_BYTES: u64 = 48 * 1024 * 1024;
/// File name extensions of tables that can't be read.
const TABLES: &[&str] = &["json", "xls", "xlsx", "ods", "numbers"];
/// Maximum number of files of a folder that are sorted directly.
const SORTED_AT_ONCE: usize = 256;
/// Maximum size that is parsed directly; a larger poem would block other tasks.
const PARSED_AT_ONCE: usize = 64 * 1024;

/// The poems of a flock. Bots that read a file in the same way share one copy.
pub struct PoemCache {
    clock: Arc<dyn Clock>,
    /// Whether a file must be unchanged for a while before it counts.
    awaits_rest: bool,
    kept: Mutex<HashMap<(PathBuf, Split), CachedPoem>>,
}

/// The result of reading a poem from the cache.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The poem, or its last good version; `None` if there has never been one.
    pub poem: Option<Arc<Poem>>,
    /// What is wrong with the file now.
    pub problem: Option<SourceError>,
    /// Whether the poem or the problem has changed since the previous reading.
    pub changed: bool,
    /// How long the file must remain unchanged before its present state counts; `None` if it counts already.
    pub unsettled: Option<Duration>,
    /// A number that identifies this version of the poem.
    pub version: u64,
    /// How many entries the edit made that was not reported yet; `None` if there was no earlier version.
    pub new_entries: Option<usize>,
}

/// Why a file is not a poem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no such file.
    #[error("there is no such poem: make the file, or change `poem`")]
    Missing,
    /// A folder, a pipe or the like.
    #[error("this is {0}: `poem` must name a text file, or a folder of pictures with a / at its end")]
    NotAFile(&'static str),
    /// A file whose name in `flock.toml` ends like a folder's.
    #[error("this is no folder: remove the / at the end, or make one")]
    NotAFolder,
    /// More files in a folder than are looked at.
    #[error("the folder has too many files: divide it among several bots")]
    TooManyFiles,
    /// Too large to be a poem.
    #[error("the poem has {0} bytes, {MAX_BYTES} is the most: divide it among several bots")]
    TooLarge(u64),
    /// The system refused.
    #[error("the poem can't be read: {0}")]
    Unreadable(String),
    /// It was changed a moment ago, and has not been read before.
    #[error("the poem is being written: it counts when it has been unchanged for some seconds")]
    BeingWritten,
    /// A table, judged by its file name.
    #[error("this is a table by its name: save it as CSV, or as JSON Lines, an object on each line")]
    Table,
    /// Readable, but not a poem.
    #[error(transparent)]
    Bad(#[from] PoemError),
}

impl SourceError {
    /// The complete message, with file and line, for the poem at `path`.
    pub fn at(&self, path: &Path) -> String {
        let line = self.line().map_or_else(String::new, |line| format!(":{line}"));
        format!("{}{line}: {self}", path.display())
    }

    /// The offending line of the file, if there is one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Bad(PoemError::InFile { .. } | PoemError::EmptyFolder) => None,
            Self::Bad(error) => Some(error.line()),
            _ => None,
        }
    }

    /// Whether the error is about the file's present contents, so that replacing the file can resolve it.
    const fn is_about_contents(&self) -> bool {
        match self {
            Self::Bad(_) | Self::Missing | Self::NotAFile(_) | Self::NotAFolder => true,
            Self::TooLarge(_) | Self::TooManyFiles | Self::Table => true,
            Self::Unreadable(_) | Self::BeingWritten => false,
        }
    }
}

impl From<ReadError> for SourceError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Missing => Self::Missing,
            ReadError::NotAFile(kind) => Self::NotAFile(kind),
            ReadError::TooLarge(size) => Self::TooLarge(size),
            ReadError::Refused(io::ErrorKind::NotADirectory, _) => Self::Missing,
            ReadError::Refused(_, said) => Self::Unreadable(said),
            ReadError::Hangs(hangs) => hangs.into(),
        }
    }
}

impl From<Hangs> for SourceError {
    fn from(hangs: Hangs) -> Self {
        Self::Unreadable(hangs.to_string())
    }
}

#[derive(Default)]
struct CachedPoem {
    /// The fingerprint of the file that the poem or the problem comes from, if later changes are sure to be detected.
    taken: Option<Fingerprint>,
    seen: Option<Observation>,
    poem: Option<Arc<Poem>>,
    /// Whether the poem comes from a settled file.
    is_settled: bool,
    problem: Option<SourceError>,
    news: bool,
    version: u64,
    /// Entries that came with edits since the last news.
    new_entries: Option<usize>,
}

impl PoemCache {
    /// An empty cache, which lets a file settle before it counts.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, awaits_rest: true, kept: Mutex::default() }
    }

    /// An empty cache that takes each file as it is, even while it is being written.
    pub fn impatient(clock: Arc<dyn Clock>) -> Self {
        Self { awaits_rest: false, ..Self::new(clock) }
    }

    /// The poem of a file, reread if the file has changed.
    pub async fn read(&self, path: &Path, split: Split) -> Reading {
        self.read_as(path, split, Stability::Usual, true).await
    }

    /// Like `read`, for a person who may have just edited the file and is waiting: a shorter time without changes
    /// suffices.
    pub async fn read_by_hand(&self, path: &Path, split: Split) -> Reading {
        self.read_as(path, split, Stability::ByHand, true).await
    }

    /// Like `read`, but the next reading still reports the change.
    pub async fn glance(&self, path: &Path, split: Split) -> Reading {
        self.read_as(path, split, Stability::Usual, false).await
    }

    /// Drops every poem except these.
    pub fn keep_only(&self, read: &HashSet<(&Path, Split)>) {
        self.kept().retain(|(path, split), _| read.contains(&(&**path, *split)));
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(PathBuf, Split), CachedPoem>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_as(&self, path: &Path, split: Split, stability: Stability, hears: bool) -> Reading {
        let key = (path.to_owned(), split);
        let known = self.kept().get(&key).and_then(|kept| kept.taken);
        let look = {
            let path = path.to_owned();
            move || look(&path, split, known)
        };
        let found = files::apart(path, look).await.map_err(SourceError::from).and_then(|found| found);
        let verdict = self.judge(&key, &found, stability);
        let parsed = match found {
            Ok(None) => None,
            Ok(Some(Found { fingerprint, source })) => {
                let held_back = verdict.wait().map_or(0, |_| stability::open_end(source.bytes(), split));
                Some((fingerprint, source.parse(held_back, split).await))
            }
            Err(problem) => Some((None, Err(problem))),
        };
        let mut all = self.kept();
        let kept = all.entry(key).or_default();
        if let Some((fingerprint, parsed)) = parsed {
            match verdict {
                StabilityVerdict::AtRest => kept.settle(fingerprint.filter(|_| self.awaits_rest), parsed),
                StabilityVerdict::Wait(_) => kept.accept_for_now(parsed, false),
                StabilityVerdict::Restless(_) => kept.accept_for_now(parsed, true),
            }
        }
        kept.reading(verdict.wait(), hears)
    }

    /// Whether a file's contents count, or may be incomplete.
    fn judge(
        &self,
        key: &(PathBuf, Split),
        found: &Result<Option<Found>, SourceError>,
        stability: Stability,
    ) -> StabilityVerdict {
        let mut all = self.kept();
        let kept = all.entry(key.clone()).or_default();
        let (fingerprint, bytes) = match found {
            _ if !self.awaits_rest => return StabilityVerdict::AtRest,
            Ok(None) => return StabilityVerdict::AtRest,
            Ok(Some(found)) => (found.fingerprint, found.source.bytes()),
            // There are no contents that could settle.
            Err(problem) if !problem.is_about_contents() => return StabilityVerdict::AtRest,
            // A missing poem that was never read is reported at once.
            Err(_) if kept.poem.is_none() => return StabilityVerdict::AtRest,
            Err(_) => (None, &[][..]),
        };
        let is_readable = found.is_ok();
        let seen = Observation::again(kept.seen.take(), fingerprint, is_readable, self.clock.uptime());
        let verdict = stability.judge(&seen, bytes, key.1, &*self.clock);
        kept.seen = Some(seen);
        verdict
    }
}

impl CachedPoem {
    /// Accepts the contents of a settled file.
    fn settle(&mut self, fingerprint: Option<Fingerprint>, found: Result<Poem, SourceError>) {
        self.seen.iter_mut().for_each(Observation::settle);
        // An obstacle to reading, such as the file's mode, may disappear without a new fingerprint.
        self.taken = fingerprint.filter(|_| matches!(found, Ok(_) | Err(SourceError::Bad(_))));
        match found {
            Ok(poem) => {
                self.is_settled = true;
                self.take(poem);
            }
            Err(problem) if self.problem.as_ref() != Some(&problem) => {
                self.problem = Some(problem);
                self.mark_changed();
            }
            Err(_) => {}
        }
    }

    /// Accepts the contents of a file that may be incomplete, if there is nothing better.
    fn accept_for_now(&mut self, found: Result<Poem, SourceError>, in_any_case: bool) {
        if let Ok(poem) = found
            && (in_any_case || !self.is_settled)
        {
            self.take(poem);
        }
    }

    fn take(&mut self, poem: Poem) {
        let was_bad = self.problem.take().is_some();
        if was_bad || self.poem.as_deref() != Some(&poem) {
            if let Some(before) = &self.poem {
                *self.new_entries.get_or_insert(0) += poem.new_since(before);
            }
            self.poem = Some(Arc::new(poem));
            self.mark_changed();
        }
    }

    fn mark_changed(&mut self) {
        self.news = true;
        self.version += 1;
    }

    fn reading(&mut self, unsettled: Option<Duration>, hears: bool) -> Reading {
        let changed = self.news;
        self.news &= !hears;
        let new_entries = if hears { self.new_entries.take() } else { self.new_entries };
        let mut problem = self.problem.clone();
        if self.poem.is_none() && problem.is_none() {
            problem = Some(SourceError::BeingWritten);
        }
        Reading { poem: self.poem.clone(), problem, changed, unsettled, version: self.version, new_entries }
    }
}

/// What was found where the poem is.
struct Found {
    /// `None` if it changed while it was read.
    fingerprint: Option<Fingerprint>,
    source: RawPoem,
}

/// A poem before it is parsed.
enum RawPoem {
    File(Vec<u8>),
    Folder(Vec<FolderFile>),
}

impl RawPoem {
    /// The bytes whose end may be incomplete. The files of a folder are complete when none of them changes any more.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::File(bytes) => bytes,
            Self::Folder(_) => &[],
        }
    }

    /// Parses a poem without its last `held_back` bytes, in a way that does not block other tasks.
    async fn parse(self, held_back: usize, split: Split) -> Result<Poem, SourceError> {
        let (is_small, parse): (bool, Box<dyn FnOnce() -> Result<Poem, PoemError> + Send>) = match self {
            Self::File(mut bytes) => {
                bytes.truncate(bytes.len() - held_back);
                (bytes.len() <= PARSED_AT_ONCE, Box::new(move || Poem::parse(&bytes, split)))
            }
            Self::Folder(files) => (files.len() <= SORTED_AT_ONCE, Box::new(|| Poem::of_folder(files))),
        };
        if is_small {
            return Ok(parse()?);
        }
        let parsed = tokio::task::spawn_blocking(parse).await;
        parsed.map_or_else(|error| Err(SourceError::Unreadable(error.to_string())), |parsed| Ok(parsed?))
    }
}

/// What is there; `None` if its fingerprint is still the known one.
fn look(path: &Path, split: Split, known: Option<Fingerprint>) -> Result<Option<Found>, SourceError> {
    if split == Split::Folder {
        let found = folder::look(path, known)?;
        let found = found.map(|it| Found { fingerprint: it.fingerprint, source: RawPoem::Folder(it.files) });
        return Ok(found);
    }
    if known.is_some() && std::fs::metadata(path).ok().as_ref().map(Fingerprint::from) == known {
        return Ok(None);
    }
    let FileContents { fingerprint, bytes } = files::read_now(path, MAX_BYTES)?;
    if is_table(path) {
        return Err(SourceError::Table);
    }
    Ok(Some(Found { fingerprint, source: RawPoem::File(bytes) }))
}

/// Whether a file is a table, judged by its name.
fn is_table(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    TABLES.iter().any(|table| end.eq_ignore_ascii_case(table))
}

/// Like [`read_file`], without blocking other tasks.
pub async fn read_file_async(path: &Path, split: Split) -> Result<Poem, SourceError> {
    let owned = path.to_owned();
    let found = files::apart(path, move || look(&owned, split, None)).await??;
    found.ok_or(SourceError::BeingWritten)?.source.parse(0, split).await
}

/// Reads a poem once, in its present state, without a cache.
pub fn read_file(path: &Path, split: Split) -> Result<Poem, SourceError> {
    let owned = path.to_owned();
    let found = files::within_deadline(path, move || look(&owned, split, None))??;
    match found.ok_or(SourceError::BeingWritten)?.source {
        RawPoem::File(bytes) => Ok(Poem::parse(&bytes, split)?),
        RawPoem::Folder(files) => Ok(Poem::of_folder(files)?),
    }
}

#[cfg(test)]
mod tests;
