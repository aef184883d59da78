//! Diagnostics: what is wrong, in which file and line, and how to fix it; and how they are collected while a
//! file is read.
//!
//! The checks of poems and secrets use the same type, so that a person reads a single list. The printer
//! handles colors and layout.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use super::known_keys::KnownKeys;
use super::suggest;
use super::zones::Zones;

crate::flock::words! {
    /// Whether the flock can run regardless.
    Severity {
        /// It can't run.
        Error = "error",
        /// It can run.
        Warning = "warning",
        /// It can run, and no problem was found.
        Note = "note",
    }
}

/// A problem in `flock.toml`, or in a file that it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether the flock can run regardless.
    pub severity: Severity,
    /// The file to fix.
    #[serde(serialize_with = "as_shown")]
    pub file: PathBuf,
    /// The line in it, from 1; `None` if the diagnostic is about the file as a whole.
    pub line: Option<usize>,
    /// Which bot and key, what is wrong, and how to fix it: lower case, no full stop, and never a secret.
    pub message: String,
}

impl Diagnostic {
    /// Whether it keeps the flock from running.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// Every diagnostic about one flock, in the order of lines. At least one of them is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut complaints = self.0.iter();
        if let Some(first) = complaints.next() {
            write!(f, "{first}")?;
        }
        complaints.try_for_each(|complaint| write!(f, "\n{complaint}"))
    }
}

impl std::error::Error for Diagnostics {}

/// A path that is not UTF-8 must not make the whole list unserializable.
fn as_shown<S: Serializer>(file: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&file.display())
}

/// Maximum number of listed diagnostics. The rest are only counted.
pub(super) const MAX_COMPLAINTS: usize = 1_000;

/// Maximum number of suggestions. Each one compares a name with up to a thousand others, and a flock of
/// 100,000 bots that all name the same wrong app should get its answer within seconds.
const MAX_SUGGESTIONS: usize = 100;

/// The byte offsets at which the lines of a text end.
#[derive(Debug)]
pub(super) struct LineIndex(Vec<usize>);

impl LineIndex {
    pub(super) fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect())
    }

    /// The line, from 1, of the byte at `offset`.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }

    /// Whether the byte at `offset` is behind the last line break.
    fn is_on_last(&self, offset: usize) -> bool {
        self.0.last().is_none_or(|end| *end < offset)
    }

    /// The offset at which a line, from 1, starts.
    pub(super) fn start_of(&self, line: usize) -> Option<usize> {
        if line == 1 { Some(0) } else { self.0.get(line.checked_sub(2)?).map(|end| end + 1) }
    }
}

/// Collects the diagnostics and source spans of one file.
#[derive(Debug)]
pub(super) struct Reporter {
    /// The folder of the file, to which relative paths are resolved.
    pub(super) base: PathBuf,
    /// Whether the whole text could be parsed. If not, nothing can be reported as missing.
    pub(super) whole: bool,
    pub(super) places: SourceSpans,
    /// The time zone rules in effect.
    pub(super) zones: Zones,
    lines: LineIndex,
    complaints: Vec<Diagnostic>,
    broken_lines: HashSet<usize>,
    suggestions: usize,
    /// The table and key of each secret that is written in the file itself.
    pub(super) literal_secrets: Vec<(String, &'static str)>,
}

impl Reporter {
    /// Starts with the lines that are not valid TOML, and their errors.
    pub(super) fn new(file: &Path, lines: LineIndex, broken: Vec<(usize, String)>, zones: Zones) -> Self {
        let mut report = Self {
            base: file.parent().unwrap_or(Path::new("")).to_owned(),
            whole: broken.is_empty(),
            places: SourceSpans::new(file),
            zones,
            lines,
            complaints: Vec::new(),
            broken_lines: HashSet::new(),
            suggestions: 0,
            literal_secrets: Vec::new(),
        };
        for (line, message) in broken {
            report.error(Some(line), message);
            report.broken_lines.insert(line);
        }
        report
    }

    pub(super) fn line_at(&self, offset: usize) -> usize {
        self.lines.line_at(offset)
    }

    /// A key as a message names it. In a broken file it may be anything.
    pub(super) fn shown_key(&self, key: &str) -> String {
        if self.whole { suggest::short(key) } else { suggest::named(key).to_owned() }
    }

    /// Whether a text of a broken file ends on another line than it begins, or with the file.
    pub(super) fn is_in_doubt(&self, text: Range<usize>) -> bool {
        let of_several_lines = self.line_at(text.start) != self.line_at(text.end);
        !self.whole && (of_several_lines || self.lines.is_on_last(text.end))
    }

    pub(super) fn error(&mut self, line: Option<usize>, message: String) {
        self.complain(Severity::Error, line, message);
    }

    pub(super) fn warning(&mut self, line: Option<usize>, message: String) {
        self.complain(Severity::Warning, line, message);
    }

    /// Looks for a suggestion, unless the maximum is reached.
    pub(super) fn suggest<T>(&mut self, find: impl FnOnce() -> Option<T>) -> Option<T> {
        self.suggestions += 1;
        if self.suggestions <= MAX_SUGGESTIONS { find() } else { None }
    }

    /// Warns of unreliable time zone rules, and describes the rules in effect. `None` if no zone was used.
    pub(super) fn check_zones(&mut self, now: DateTime<Utc>) -> Option<String> {
        let told = self.zones.told()?;
        let problems = self.zones.problems(now);
        problems.into_iter().for_each(|problem| self.warning(None, problem));
        Some(told)
    }

    /// Everything found, diagnostics sorted by line.
    pub(super) fn finish(self) -> (Vec<Diagnostic>, SourceSpans) {
        let mut complaints = self.complaints;
        complaints.sort_by_key(|complaint| complaint.line);
        if complaints.len() > MAX_COMPLAINTS {
            shorten(&mut complaints);
        }
        (complaints, self.places)
    }

    /// A line that is not valid TOML has its diagnostic already; errors in what the parser recovered from it
    /// are not reported.
    fn complain(&mut self, severity: Severity, line: Option<usize>, message: String) {
        if line.is_some_and(|line| self.broken_lines.contains(&line)) {
            return;
        }
        self.complaints.push(Diagnostic { severity, file: self.places.file().to_owned(), line, message });
    }
}

/// Keeps the first diagnostics, and adds one that counts the rest and has the highest severity among them.
fn shorten(complaints: &mut Vec<Diagnostic>) {
    let rest = complaints.split_off(MAX_COMPLAINTS);
    let severity = if rest.iter().any(Diagnostic::is_error) { Severity::Error } else { Severity::Warning };
    let message = format!("and {} more problems: fix these first", rest.len());
    complaints.push(Diagnostic { severity, file: rest[0].file.clone(), line: None, message });
}

#[cfg(test)]
mod report_tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one() {
        let lines = LineIndex::of("a\nbc\n");
        assert_eq!([0, 1, 2, 4, 5].map(|at| lines.line_at(at)), [1, 1, 2, 2, 3]);
    }

    #[test]
    fn a_flood_of_complaints_is_shortened_and_stays_an_error() {
        let mut report =
            Reporter::new(Path::new("flock.toml"), LineIndex::of(""), Vec::new(), Zones::built_in());
        (0..MAX_COMPLAINTS).for_each(|line| report.warning(Some(line), "odd".into()));
        report.error(Some(9_999), "bad".into());
        let (complaints, _) = report.finish();
        assert_eq!(complaints.len(), MAX_COMPLAINTS + 1);
        let last = complaints.last().unwrap();
        assert_eq!(
            (last.is_error(), last.to_string()),
            (true, "flock.toml: and 1 more problems: fix these first".into())
        );
    }
}

/// The lines of every table and key that was read.
#[derive(Debug, Clone, Default)]
pub struct SourceSpans {
    file: PathBuf,
    tables: HashMap<String, TableSpans>,
    keys: KnownKeys,
}

/// One table. Keys are static strings, so a flock of 100,000 bots stores no text here but its names.
#[derive(Debug, Clone)]
struct TableSpans {
    line: Option<usize>,
    keys: Box<[(&'static str, usize)]>,
}

impl SourceSpans {
    /// Spans of this file, still empty.
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }

    /// The file itself.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line of a key such as `bots.walt.poem`; if the key is missing, the line of the table that it
    /// belongs to. `None` if there is no such table.
    pub fn line_of(&self, path: &str) -> Option<usize> {
        if let Some(table) = self.tables.get(path) {
            return table.line;
        }
        let (parent, key) = path.rsplit_once('.')?;
        let Some(table) = self.tables.get(parent) else {
            return self.line_of(parent);
        };
        let written = table.keys.iter().find(|(name, _)| *name == key);
        written.map(|(_, line)| *line).or(table.line)
    }

    /// The table, such as `bots.walt`, that contains a line. Lines of nested tables count as its own.
    pub(super) fn table_at(&self, line: usize) -> Option<&str> {
        let begun = self.tables.iter().filter_map(|(path, table)| Some((table.line?, path)));
        let (_, path) = begun.filter(|(begin, _)| *begin <= line).max()?;
        let end = path.match_indices('.').nth(1).map_or(path.len(), |(at, _)| at);
        Some(&path[..end])
    }

    /// An error, which keeps the flock from running, at `path`.
    pub fn error(&self, path: &str, message: impl Into<String>) -> Diagnostic {
        self.complaint(Severity::Error, path, message.into())
    }

    /// A warning, with which the flock can run, at `path`.
    pub fn warning(&self, path: &str, message: impl Into<String>) -> Diagnostic {
        self.complaint(Severity::Warning, path, message.into())
    }

    /// Records the line of a table and the lines of its keys.
    pub(super) fn add(&mut self, path: String, line: Option<usize>, keys: Box<[(&'static str, usize)]>) {
        self.tables.insert(path, TableSpans { line, keys });
    }

    /// Records which keys a table may have, and which of them have values that can't hold a secret.
    pub(super) fn learn(
        &mut self,
        table: &str,
        asked: &[(&'static str, Option<usize>)],
        plain: &[&'static str],
    ) {
        self.keys.add(table, asked, plain);
    }

    /// Whether there is a table at this path.
    pub(super) fn has_table(&self, path: &str) -> bool {
        self.tables.contains_key(path)
    }

    /// The keys that tables may have.
    pub(super) fn keys(&self) -> &KnownKeys {
        &self.keys
    }

    /// A note at `path`.
    pub fn note(&self, path: &str, message: impl Into<String>) -> Diagnostic {
        self.complaint(Severity::Note, path, message.into())
    }

    fn complaint(&self, severity: Severity, path: &str, message: String) -> Diagnostic {
        Diagnostic { severity, file: self.file.clone(), line: self.line_of(path), message }
    }
}

#[cfg(test)]
mod spans_tests {
    use super::*;

    #[test]
    fn what_is_not_written_stands_where_it_would_be() {
        let mut places = SourceSpans::new(Path::new("flock.toml"));
        places.add("bots.walt".into(), Some(4), Box::new([("poem", 6)]));
        assert_eq!(places.line_of("bots.walt"), Some(4));
        assert_eq!(places.line_of("bots.walt.poem"), Some(6));
        assert_eq!(places.line_of("bots.walt.poem.env"), Some(6));
        assert_eq!(places.line_of("bots.walt.jitter"), Some(4));
        assert_eq!(places.line_of("bots.emily.poem"), None);
        assert_eq!(places.error("bots.walt.poem", "gone").to_string(), "flock.toml:6: gone");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(line: Option<usize>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, file: "a/flock.toml".into(), line, message: "odd".into() }
    }

    #[test]
    fn a_place_that_editors_can_jump_to_comes_first() {
        assert_eq!(complaint(Some(12)).to_string(), "a/flock.toml:12: odd");
        assert_eq!(complaint(None).to_string(), "a/flock.toml: odd");
        let both = Diagnostics(vec![complaint(Some(1)), complaint(Some(2))]);
        assert_eq!(both.to_string(), "a/flock.toml:1: odd\na/flock.toml:2: odd");
    }

    #[test]
    fn programs_get_the_four_promised_keys() {
        let json = serde_json::to_string(&complaint(Some(3))).unwrap();
        let expect = r#"{"severity":"warning","file":"a/flock.toml","line":3,"message":"odd"}"#;
        assert_eq!(json, expect);
    }
}
