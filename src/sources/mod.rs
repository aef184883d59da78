//! The poem_cache: poem files as [`Poem`]s. It notices edits, and keeps the last good version of a poem whose
//! file has become unusable, or is being written. It watches nothing: it looks whenever a poem is asked for, so an edit
//! counts from the next slot on. How long a file must be unchanged before it counts is in `stability`.

pub mod edit;
mod stability;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::stability::{Observation, Stability, StabilityVerdict};
use crate::clock::Clock;
use crate::files::{self, FileContents, Fingerprint, Hangs, ReadError};
use crate::flock::poem::{Poem, PoemError, Split};

/// The largest poem: some 200,000 lines, far beyond any that is read, and small beside a machine's memory.
const MAX_BYTES: u64 = 10 * 1024 * 1024;
/// How the names of tables end.
const TABLES: &[&str] = &["csv", "tsv", "tab", "json", "jsonl", "ndjson", "xls", "xlsx", "ods"];
/// What is parsed at once; a larger poem would keep other tasks waiting.
const PARSED_AT_ONCE: usize = 64 * 1024;

/// The poems of a flock. Bots that read one file in the same way share one copy.
pub struct PoemCache {
    clock: Arc<dyn Clock>,
    /// Whether a file must be unchanged before it counts.
    awaits_rest: bool,
    kept: Mutex<HashMap<(PathBuf, Split), CachedPoem>>,
}

/// What the poem_cache answers.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The poem, or its last good version; `None` if there never was one.
    pub poem: Option<Arc<Poem>>,
    /// What is wrong with the file now.
    pub problem: Option<SourceError>,
    /// Whether poem or problem are others than at the reading before.
    pub changed: bool,
    /// In how long the file will count as it is now, if it stays so; `None` if it does already.
    pub unsettled: Option<Duration>,
    /// Which state of the poem this is: another number for each.
    pub version: u64,
}

/// Why a file is no poem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing of that name.
    #[error("there is no such poem: make the file, or change `poem`")]
    Missing,
    /// A folder, a pipe or the like.
    #[error("this is {0}: `poem` must name a text file")]
    NotAFile(&'static str),
    /// More than can be meant.
    #[error("the poem has {0} bytes, {MAX_BYTES} is the most: divide it among several bots")]
    TooLarge(u64),
    /// The system's refusal.
    #[error("the poem can't be read: {0}")]
    Unreadable(String),
    /// It was changed a moment ago, and has not been read before.
    #[error("the poem is being written: it counts when it has been unchanged for some seconds")]
    BeingWritten,
    /// A table, by the name of its file.
    #[error(
        "this is a table by its name, and tables can't be posted yet: make a text file of it, a line for each post"
    )]
    Table,
    /// Readable, but not a poem.
    #[error(transparent)]
    Bad(#[from] PoemError),
}

impl SourceError {
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

    /// Whether it is about the file as it is now, so that another file in its place ends it.
    const fn is_about_contents(&self) -> bool {
        matches!(self, Self::Bad(_) | Self::Missing | Self::NotAFile(_) | Self::TooLarge(_) | Self::Table)
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
    /// The state of the file that poem or problem come from, if it can't change unseen any more.
    taken: Option<Fingerprint>,
    seen: Option<Observation>,
    poem: Option<Arc<Poem>>,
    /// Whether the poem is that of a file unchanged.
    is_settled: bool,
    problem: Option<SourceError>,
    news: bool,
    version: u64,
}

impl PoemCache {
    /// An empty poem_cache, which lets a file settle before it takes it.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, awaits_rest: true, kept: Mutex::default() }
    }

    /// One that takes each file as it stands, whoever may be writing it.
    pub fn impatient(clock: Arc<dyn Clock>) -> Self {
        Self { awaits_rest: false, ..Self::new(clock) }
    }

    /// The poem of a file, read anew if the file has changed.
    pub async fn read(&self, path: &Path, split: Split) -> Reading {
        self.read_as(path, split, Stability::Usual, true).await
    }

    /// The same for a person who has perhaps just edited the file, and waits: it has to rest for a shorter time.
    pub async fn read_by_hand(&self, path: &Path, split: Split) -> Reading {
        self.read_as(path, split, Stability::ByHand, true).await
    }

    /// The same; whoever reads next still hears that it has changed.
    pub async fn glance(&self, path: &Path, split: Split) -> Reading {
        self.read_as(path, split, Stability::Usual, false).await
    }

    /// Forgets every poem but these.
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
            move || look(&path, known)
        };
        let found = files::apart(path, look).await.map_err(SourceError::from).and_then(|found| found);
        let verdict = self.judge(&key, &found, stability);
        let parsed = match found {
            Ok(None) => None,
            Ok(Some(FileContents { fingerprint, bytes })) => {
                let held_back = verdict.wait().map_or(0, |_| stability::open_end(&bytes, split));
                Some((fingerprint, parse(bytes, held_back, split).await))
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

    /// Whether what was found in a file counts, or may be half written.
    fn judge(
        &self,
        key: &(PathBuf, Split),
        found: &Result<Option<FileContents>, SourceError>,
        stability: Stability,
    ) -> StabilityVerdict {
        let mut all = self.kept();
        let kept = all.entry(key.clone()).or_default();
        let (fingerprint, bytes) = match found {
            _ if !self.awaits_rest => return StabilityVerdict::AtRest,
            Ok(None) => return StabilityVerdict::AtRest,
            Ok(Some(contents)) => (contents.fingerprint, &*contents.bytes),
            // There is nothing that could settle.
            Err(problem) if !problem.is_about_contents() => return StabilityVerdict::AtRest,
            // A poem that was never there is missed at once.
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
    /// Takes what was found in a file unchanged.
    fn settle(&mut self, fingerprint: Option<Fingerprint>, found: Result<Poem, SourceError>) {
        self.seen.iter_mut().for_each(Observation::settle);
        // What kept the file from being read, such as its mode, may go away without a new fingerprint.
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

    /// Takes what was found in a file that may be half written, if there is nothing better.
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
        let mut problem = self.problem.clone();
        if self.poem.is_none() && problem.is_none() {
            problem = Some(SourceError::BeingWritten);
        }
        Reading { poem: self.poem.clone(), problem, changed, unsettled, version: self.version }
    }
}

/// What is in the file; `None` if it is still in a state that is known.
fn look(path: &Path, known: Option<Fingerprint>) -> Result<Option<FileContents>, SourceError> {
    if known.is_some() && std::fs::metadata(path).ok().as_ref().map(Fingerprint::from) == known {
        return Ok(None);
    }
    let contents = files::read_now(path, MAX_BYTES)?;
    if is_table(path) { Err(SourceError::Table) } else { Ok(Some(contents)) }
}

/// Whether a file is a table by its name.
fn is_table(path: &Path) -> bool {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    TABLES.iter().any(|table| end.eq_ignore_ascii_case(table))
}

/// The poem in these bytes without so many of the last, read where that keeps nobody else waiting.
async fn parse(mut bytes: Vec<u8>, held_back: usize, split: Split) -> Result<Poem, SourceError> {
    bytes.truncate(bytes.len() - held_back);
    if bytes.len() <= PARSED_AT_ONCE {
        return Ok(Poem::parse(&bytes, split)?);
    }
    let parsed = tokio::task::spawn_blocking(move || Poem::parse(&bytes, split)).await;
    parsed.map_or_else(|error| Err(SourceError::Unreadable(error.to_string())), |parsed| Ok(parsed?))
}

/// The same as [`read_file`]; other tasks go on meanwhile.
pub async fn read_file_async(path: &Path, split: Split) -> Result<Poem, SourceError> {
    let bytes = files::read_async(path, MAX_BYTES).await?.bytes;
    if is_table(path) {
        return Err(SourceError::Table);
    }
    parse(bytes, 0, split).await
}

/// Reads a poem's file once, as it stands, without a poem_cache.
pub fn read_file(path: &Path, split: Split) -> Result<Poem, SourceError> {
    let bytes = files::read(path, MAX_BYTES)?.bytes;
    if is_table(path) { Err(SourceError::Table) } else { Ok(Poem::parse(&bytes, split)?) }
}

#[cfg(test)]
mod tests;
