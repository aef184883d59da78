//! The lines of `flock.toml` as a terminal may show them beside a diagnostic: never with a secret.
//!
//! Any line may contain one, even under a misspelled key, in a comment or after a missing quote. So a line is
//! not masked but rebuilt from the parts that the parser recognizes: a table's header, or a key, and its
//! value if the reader of that key has declared that it can't hold a secret ([`Section::plain`]). In a file
//! that is not valid TOML the parser's result is not trusted: only keys that flockd knows are shown, and no
//! value.
//!
//! [`Section::plain`]: super::section::Section::plain

use std::collections::{HashMap, HashSet};

use toml::de::{DeTable, DeValue};

use super::diagnostics::{Diagnostic, LineIndex};
use super::suggest::may_be_url;
use super::{SourceSpans, Written};

/// Replaces what is not shown.
const HIDDEN: &str = "…";

/// A longer name or key is not shown: it may be a misplaced secret.
const MAX_NAME: usize = 60;

/// A line as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The text before the marked part.
    pub before: String,
    /// The marked part.
    pub marked: String,
    /// The text after it.
    pub after: String,
}

/// A key in the text.
#[derive(Debug, Clone)]
struct Quoted {
    start: usize,
    end: usize,
    /// The names of the tables that contain it, joined with dots.
    table: String,
    name: String,
    value: Value,
}

/// The part of a key's value that may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// A string, number, date or boolean, between these bytes.
    Scalar(usize, usize),
    Array,
    Table,
}

/// The lines of one `flock.toml`, as they may be shown.
#[derive(Debug)]
pub struct Excerpts<'t> {
    text: &'t str,
    lines: LineIndex,
    places: &'t SourceSpans,
    /// The keys on the requested lines; `None` if the text is not valid TOML.
    entries: Option<HashMap<usize, Vec<Quoted>>>,
}

impl<'t> Excerpts<'t> {
    /// Parses the text again, to show the lines of these diagnostics.
    pub fn of(written: &'t Written, places: &'t SourceSpans, complaints: &[Diagnostic]) -> Self {
        let text = written.text();
        let of_the_file = complaints.iter().filter(|complaint| complaint.file == places.file());
        let wanted: HashSet<usize> = of_the_file.filter_map(|complaint| complaint.line).collect();
        let lines = LineIndex::of(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        let entries = errors.is_empty().then(|| {
            let mut entries = HashMap::new();
            collect(document.get_ref(), "", &mut |entry| {
                let line = lines.line_at(entry.start);
                if wanted.contains(&line) {
                    entries.entry(line).or_insert_with(Vec::new).push(entry);
                }
            });
            entries
        });
        Self { text, lines, places, entries }
    }

    /// A line, from 1; `None` if no part of it may be shown.
    pub fn line(&self, line: usize) -> Option<Excerpt> {
        match &self.entries {
            Some(entries) => self.parsed(line, entries.get(&line)?),
            None => self.header_in_doubt(line).or_else(|| self.key_in_doubt(line)),
        }
    }

    /// A line of valid TOML, with these keys.
    fn parsed(&self, line: usize, entries: &[Quoted]) -> Option<Excerpt> {
        let start = self.lines.start_of(line)?;
        let begin = self.after_blanks(start);
        match self.text[begin..].strip_prefix('[') {
            Some(rest) => self.header(begin + 1 + usize::from(rest.starts_with('[')), entries),
            None => self.statement(start, begin, entries),
        }
    }

    /// `[bots.walt]`; `inner` is the offset of its name.
    fn header(&self, inner: usize, entries: &[Quoted]) -> Option<Excerpt> {
        let entry = entries.iter().filter(|entry| entry.start >= inner).max_by_key(|entry| entry.start)?;
        let name = joined(&entry.table, &entry.name);
        let written: String = self.text.get(inner..entry.end)?.split_whitespace().collect();
        let is_header = entry.value == Value::Table && written == name && name.len() <= MAX_NAME;
        is_header.then(|| Excerpt::marked_whole(format!("[{name}]")))
    }

    /// `key = value`, whose line starts at `start` and its key at `begin`.
    fn statement(&self, start: usize, begin: usize, entries: &[Quoted]) -> Option<Excerpt> {
        let mut entry = entries.iter().find(|entry| entry.start == begin)?;
        let mut next = self.after_blanks(entry.end);
        while self.text[next..].starts_with('.') {
            next = self.after_blanks(next + 1);
            entry = entries.iter().find(|entry| entry.start == next)?;
            next = self.after_blanks(entry.end);
        }
        if !self.text[next..].starts_with('=') || entry.end - begin > MAX_NAME {
            return None;
        }
        let value = self.after_blanks(next + 1);
        let shown = self.plain_value(entry, value);
        Some(if self.places.keys().has(&entry.table, &entry.name) {
            let before = self.text[start..value].to_owned();
            Excerpt { before, marked: shown.unwrap_or(HIDDEN).to_owned(), after: String::new() }
        } else {
            let (before, key) = (&self.text[start..begin], &self.text[begin..entry.end]);
            let after = format!("{}{HIDDEN}", &self.text[entry.end..value]);
            Excerpt { before: before.to_owned(), marked: key.to_owned(), after }
        })
    }

    /// The value at `value`, if it is on one line and can't be a secret. Any URL may contain a password.
    fn plain_value(&self, entry: &Quoted, value: usize) -> Option<&'t str> {
        let Value::Scalar(start, end) = entry.value else { return None };
        let text = self.text.get(start..end).filter(|text| start == value && !text.contains('\n'))?;
        (self.places.keys().is_plain(&entry.table, &entry.name) && !may_be_url(text)).then_some(text)
    }

    /// A header that was read from a text that is not valid TOML.
    fn header_in_doubt(&self, line: usize) -> Option<Excerpt> {
        let name = self.written(line).trim().strip_prefix('[')?.split(']').next()?;
        let is_known = name.len() <= MAX_NAME && self.places.has_table(name);
        is_known.then(|| Excerpt::marked_whole(format!("[{name}]")))
    }

    /// A key that flockd knows, in a text that is not valid TOML.
    fn key_in_doubt(&self, line: usize) -> Option<Excerpt> {
        let written = self.written(line);
        let end = written.find(['=', ':'])?;
        let is_known = self.places.keys().has_anywhere(written[..end].trim());
        let before = format!("{} ", &written[..=end]);
        is_known.then(|| Excerpt { before, marked: HIDDEN.to_owned(), after: String::new() })
    }

    /// A line as it is written.
    fn written(&self, line: usize) -> &'t str {
        let start = self.lines.start_of(line);
        let rest = start.and_then(|start| self.text.get(start..));
        rest.and_then(|rest| rest.lines().next()).unwrap_or_default()
    }

    /// The offset of the first byte, from `at` on, that is neither space nor tab.
    fn after_blanks(&self, at: usize) -> usize {
        let rest = &self.text[at..];
        at + rest.find(|c| c != ' ' && c != '\t').unwrap_or(rest.len())
    }
}

impl Excerpt {
    fn marked_whole(marked: String) -> Self {
        Self { before: String::new(), marked, after: String::new() }
    }
}

/// All keys of a table and of its nested tables.
fn collect(table: &DeTable<'_>, path: &str, add: &mut impl FnMut(Quoted)) {
    for (key, value) in table {
        let name: &str = key.get_ref();
        let span = value.span();
        let kind = match value.get_ref() {
            DeValue::Table(_) => Value::Table,
            DeValue::Array(_) => Value::Array,
            _ => Value::Scalar(span.start, span.end),
        };
        let (start, end) = (key.span().start, key.span().end);
        add(Quoted { start, end, table: path.to_owned(), name: name.to_owned(), value: kind });
        let inner = joined(path, name);
        match value.get_ref() {
            DeValue::Table(table) => collect(table, &inner, add),
            DeValue::Array(list) => {
                let tables = list.iter().filter_map(|item| item.get_ref().as_table());
                tables.for_each(|table| collect(table, &inner, add));
            }
            _ => {}
        }
    }
}

fn joined(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}
