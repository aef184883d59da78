//! A table of `flock.toml`, read key by key. An invalid value becomes a diagnostic with its line, and reading
//! continues. Keys that no reader asks for are unknown.
//!
//! Which keys exist, and what they mean together, is defined in `global`, `apps`, `defaults` and `bots`.

use std::ops::RangeInclusive;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::diagnostics::Reporter;
use super::suggest::{self, short};
use super::zone_hint;
use crate::flock::schedule::Zone;

/// Maximum length of a text value: a path may have 4,096 bytes, and nothing else is longer.
const MAX_TEXT: usize = 4_096;

/// The format of a duration.
const LENGTH_OF_TIME: &str = "a quoted duration, like \"90s\", \"10m\" or \"1h 30m\"";

/// A value and its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// A table being read.
#[derive(Debug)]
pub(super) struct Section<'t, 'r> {
    /// Its name in messages: `bot walt`.
    pub(super) label: String,
    /// Its path: `bots.walt`.
    pub(super) path: String,
    /// The line of its header; `None` for the file itself, and for a table that is missing.
    pub(super) line: Option<usize>,
    pub(super) report: &'r mut Reporter,
    table: &'t DeTable<'t>,
    /// The keys that were requested, and their lines if they are present.
    pub(super) asked: Vec<(&'static str, Option<usize>)>,
    /// The keys whose values can't hold a secret.
    plain: Vec<&'static str>,
}

impl<'t, 'r> Section<'t, 'r> {
    pub(super) fn new(
        label: impl Into<String>,
        path: impl Into<String>,
        table: &'t DeTable<'t>,
        line: Option<usize>,
        report: &'r mut Reporter,
    ) -> Self {
        Self {
            label: label.into(),
            path: path.into(),
            line,
            report,
            table,
            asked: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// Declares that the value of this key can't hold a secret, and may be shown. Every other value stays
    /// hidden.
    pub(super) fn plain(&mut self, key: &'static str) -> &mut Self {
        self.plain.push(key);
        self
    }

    /// A text that is not empty and has no control characters.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Found<&'t str>> {
        let found = self.quoted(key).filter(|_| !self.is_in_doubt(key))?;
        self.unless(problem_in(found.value, Use::of(key)), key, found)
    }

    /// A list of one or more texts, each like [`Section::text`].
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Found<Vec<String>>> {
        let Found { value, line } = self.value(key)?;
        let texts = value.as_array().map(|list| list.iter().map(|item| item.get_ref().as_str()));
        let Some(texts) = texts.and_then(Iterator::collect::<Option<Vec<&str>>>) else {
            self.mistyped(key, "a list of strings, like [\"sendmail\", \"me@example.org\"]", value, line);
            return None;
        };
        let problem = texts
            .iter()
            .find_map(|text| problem_of(text).map(|problem| format!("has a string that {problem}")));
        let problem = problem
            .or_else(|| texts.is_empty().then(|| "is empty: write something, or remove the key".into()));
        self.unless(problem, key, Found { value: texts.into_iter().map(str::to_owned).collect(), line })
    }

    /// A text that may be empty and may contain line breaks, with surrounding white space removed.
    pub(super) fn prose(&mut self, key: &'static str) -> Option<Found<String>> {
        let Found { value, line } = self.quoted(key)?;
        let prose = value.replace("\r\n", "\n").trim().to_owned();
        let problem = length_of(&prose).or_else(|| control_in(prose.chars().filter(|c| *c != '\n')));
        self.unless(problem, key, Found { value: prose, line })
    }

    /// A whole number within `range`.
    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<Found<u32>> {
        let Found { value, line } = self.plain(key).value(key)?;
        let Some(written) = value.as_integer() else {
            self.mistyped(key, "a whole number", value, line);
            return None;
        };
        let number = u32::from_str_radix(written.as_str(), written.radix()).ok();
        let fitting = number.filter(|number| range.contains(number)).map(|value| Found { value, line });
        if fitting.is_none() {
            let (least, most) = range.into_inner();
            self.error(Some(line), format!("`{key}` must be from {least} to {most}"));
        }
        fitting
    }

    /// True or false.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<Found<bool>> {
        let Found { value, line } = self.plain(key).value(key)?;
        let known = value.as_bool().map(|value| Found { value, line });
        if known.is_none() {
            self.mistyped(key, "true or false without quotes", value, line);
        }
        known
    }

    /// A duration, such as "10m".
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Found<Duration>> {
        let Found { value, line } = self.plain(key).value(key)?;
        let Some(text) = value.as_str() else {
            self.mistyped(key, LENGTH_OF_TIME, value, line);
            return None;
        };
        if self.is_in_doubt(key) {
            return None;
        }
        self.parsed_duration(key, text, line)
    }

    /// Parses a duration from a text that was read already.
    pub(super) fn parsed_duration(&mut self, key: &str, text: &str, line: usize) -> Option<Found<Duration>> {
        let duration = humantime::parse_duration(text).ok().map(|value| Found { value, line });
        if duration.is_none() {
            let shown =
                if self.report.whole || text.len() <= 10 { suggest::value(text) } else { "…".into() };
            self.error(Some(line), format!("`{key}` must be {LENGTH_OF_TIME}, not \"{shown}\""));
        }
        duration
    }

    /// One of the words of a closed list.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        all: &[T],
        as_str: fn(T) -> &'static str,
    ) -> Option<Found<T>> {
        let Found { value: text, line } = self.plain(key).text(key)?;
        let known = all.iter().copied().find(|word| as_str(*word) == text);
        if known.is_none() {
            let words: Vec<String> = all.iter().map(|word| format!("\"{}\"", as_str(*word))).collect();
            let expect = words.join(" or ");
            self.error(Some(line), format!("`{key}` must be {expect}, not \"{}\"", short(text)));
        }
        known.map(|value| Found { value, line })
    }

    /// A list of words of a closed list, without duplicates; it may be empty.
    pub(super) fn words<T: Copy + PartialEq>(
        &mut self,
        key: &'static str,
        all: &[T],
        as_str: fn(T) -> &'static str,
    ) -> Option<Found<Vec<T>>> {
        let Found { value, line } = self.plain(key).value(key)?;
        let written = value.as_array().map(|list| list.iter().map(|item| item.get_ref().as_str()));
        let written = written.and_then(Iterator::collect::<Option<Vec<&str>>>);
        let known = |text: &&str| all.iter().copied().find(|word| as_str(*word) == *text);
        let words = written.and_then(|texts| texts.iter().map(known).collect::<Option<Vec<T>>>());
        let twice = |words: &Vec<T>| words.iter().enumerate().any(|(at, word)| words[..at].contains(word));
        let Some(words) = words.filter(|words| !twice(words)) else {
            let words: Vec<String> = all.iter().map(|word| format!("\"{}\"", as_str(*word))).collect();
            let expect = format!("`{key}` must be a list of {}, each once at most", words.join(", "));
            self.error(Some(line), expect);
            return None;
        };
        Some(Found { value: words, line })
    }

    /// An IANA time zone.
    pub(super) fn zone(&mut self, key: &'static str) -> Option<Found<Zone>> {
        let Found { value: text, line } = self.plain(key).text(key)?;
        let zone = self.report.zones.get(text).map(|value| Found { value, line });
        if zone.is_none() {
            let hint = self.report.suggest(|| Some(zone_hint::hint(text)));
            let hint =
                hint.unwrap_or_else(|| "write a zone from the IANA list, like \"Europe/Berlin\"".into());
            self.error(Some(line), format!("unknown time zone \"{}\": {hint}", short(text)));
        }
        zone
    }

    /// A path. A relative one is resolved to the file's folder.
    pub(super) fn path(&mut self, key: &'static str) -> Option<Found<PathBuf>> {
        let found = self.plain(key).quoted(key).filter(|_| !self.is_in_doubt(key))?;
        let Found { value, line } = self.unless(problem_in(found.value, Use::Path), key, found)?;
        // Without `./`, so that two spellings of one file are one path.
        let mut path: PathBuf =
            Path::new(value).components().filter(|part| *part != Component::CurDir).collect();
        if value.ends_with('/') {
            // It is meant to be a folder.
            path.push("");
        }
        Some(Found { value: self.report.base.join(path), line })
    }

    /// A table inside this one.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Found<&'t DeTable<'t>>> {
        let Found { value, line } = self.value(key)?;
        let Some(table) = value.as_table() else {
            let header = if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) };
            let expect = format!("a table: write [{}] on a line of its own", short(&header));
            self.mistyped(key, &expect, value, line);
            return None;
        };
        Some(Found { value: table, line })
    }

    /// The raw value. Every other accessor calls this.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Found<&'t DeValue<'t>>> {
        let found = self.table.get_key_value(key);
        let found = found.map(|(key, value)| (self.report.line_at(key.span().start), value.get_ref()));
        self.asked.push((key, found.map(|(line, _)| line)));
        found.map(|(line, value)| Found { value, line })
    }

    /// Whether a string may have swallowed other lines of a broken file because its closing quote is missing.
    /// Its contents say nothing, and must not be shown.
    pub(super) fn is_in_doubt(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| {
            matches!(value.get_ref(), DeValue::String(_)) && self.report.is_in_doubt(value.span())
        })
    }

    /// The line of a requested key, if it is present.
    pub(super) fn line_of(&self, key: &str) -> Option<usize> {
        self.asked.iter().find(|(asked, _)| *asked == key)?.1
    }

    /// Whether a requested key is present, valid or not.
    pub(super) fn wrote(&self, key: &str) -> bool {
        self.line_of(key).is_some()
    }

    /// Reports that a required key is missing, unless the file could not be parsed completely.
    pub(super) fn missing(&mut self, key: &str, remedy: &str) {
        if !self.wrote(key) {
            self.absent(format!("`{key}` is missing: {remedy}"));
        }
    }

    /// Reports that something is missing, unless the file could not be parsed completely.
    pub(super) fn absent(&mut self, message: String) {
        if self.report.whole {
            self.error(self.line, message);
        }
    }

    pub(super) fn error(&mut self, line: Option<usize>, message: impl AsRef<str>) {
        let message = self.labelled(message.as_ref());
        self.report.error(line, message);
    }

    pub(super) fn warning(&mut self, line: Option<usize>, message: impl AsRef<str>) {
        let message = self.labelled(message.as_ref());
        self.report.warning(line, message);
    }

    /// Reports a value of the wrong type. The value itself is not displayed: it may be a secret.
    pub(super) fn mistyped(&mut self, key: &str, expect: &str, value: &DeValue<'_>, line: usize) {
        let kind = match value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(Some(line), format!("`{key}` must be {expect}, not {kind}"));
    }

    /// Reports every key that was not requested.
    pub(super) fn no_more_keys(&mut self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.asked.iter().any(|(asked, _)| *asked == name) {
                continue;
            }
            let known = self.asked.iter().map(|(asked, _)| *asked);
            let hint = match self.report.suggest(|| suggest::nearest(name, known)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it; flock.toml.example explains every key there is".into(),
            };
            let line = self.report.line_at(key.span().start);
            self.error(Some(line), format!("unknown key `{}`: {hint}", self.report.shown_key(name)));
        }
    }

    /// Finishes reading: reports unknown keys and records source spans.
    pub(super) fn finish(mut self) {
        self.no_more_keys();
        let written = self.asked.iter().filter_map(|(key, line)| Some((*key, (*line)?)));
        let written = written.collect();
        self.report.places.learn(&self.path, &self.asked, &self.plain);
        self.report.places.add(self.path, self.line, written);
    }

    fn quoted(&mut self, key: &'static str) -> Option<Found<&'t str>> {
        let Found { value, line } = self.value(key)?;
        let text = value.as_str().map(|value| Found { value, line });
        if text.is_none() {
            self.mistyped(key, "a quoted string", value, line);
        }
        text
    }

    fn unless<T>(&mut self, problem: Option<String>, key: &str, found: Found<T>) -> Option<Found<T>> {
        let Some(problem) = problem else { return Some(found) };
        self.error(Some(found.line), format!("`{key}` {problem}"));
        None
    }

    fn labelled(&self, message: &str) -> String {
        if self.label.is_empty() { message.to_owned() } else { format!("{}: {message}", self.label) }
    }
}

/// An entry of a table of named tables, such as `[bots.walt]` in `bots`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'t> {
    pub(super) name: &'t str,
    pub(super) line: usize,
    pub(super) table: &'t DeTable<'t>,
}

/// The entries of a table of named tables, in the order of the file. An entry that is not a table is
/// reported.
pub(super) fn named<'t>(
    kind: &str,
    table: Option<Found<&'t DeTable<'t>>>,
    report: &mut Reporter,
) -> Vec<Named<'t>> {
    let mut entries: Vec<_> = table.iter().flat_map(|found| found.value.iter()).collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut named = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let name: &str = key.get_ref();
        let line = report.line_at(key.span().start);
        match value.get_ref().as_table() {
            Some(table) => named.push(Named { name, line, table }),
            None => {
                let name = report.shown_key(name);
                report
                    .error(Some(line), format!("`{name}` belongs to no table: write [{kind}.NAME] above it"));
            }
        }
    }
    named
}

/// What is wrong with a text, whatever its use. The text itself is not displayed: it may be a secret.
pub(super) fn problem_of(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("is empty: write something, or remove the key".into());
    }
    length_of(text).or_else(|| control_in(text.chars()))
}

/// The use of a text, as far as it matters for control characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Path,
    Schedule,
    Other,
}

impl Use {
    fn of(key: &str) -> Self {
        match key {
            "schedule" => Self::Schedule,
            "database" => Self::Path,
            _ => Self::Other,
        }
    }
}

/// What is wrong with a text. The remedy depends on its use, because a control character may have been
/// intended.
fn problem_in(text: &str, used: Use) -> Option<String> {
    let control = text.chars().find(|c| c.is_control());
    match (used, control.and_then(escape)) {
        _ if text.trim().is_empty() => problem_of(text),
        (Use::Path, Some((name, escape))) => Some(format!(
            "holds {name}, which `{escape}` in double quotes stands for: write `/` in a path, or single quotes"
        )),
        (Use::Schedule, Some((name, _))) => Some(format!("holds {name}: write a space")),
        _ => problem_of(text),
    }
}

/// The name of a control character, and how it gets into a text by mistake.
fn escape(control: char) -> Option<(&'static str, &'static str)> {
    match control {
        '\t' => Some(("a tab", "\\t")),
        '\n' => Some(("a line break", "\\n")),
        '\r' => Some(("a carriage return", "\\r")),
        '\u{8}' => Some(("a backspace", "\\b")),
        '\u{c}' => Some(("a form feed", "\\f")),
        '\u{1b}' => Some(("an escape character", "\\e")),
        _ => None,
    }
}

fn length_of(text: &str) -> Option<String> {
    let length = text.len();
    (length > MAX_TEXT).then(|| format!("has {length} bytes, {MAX_TEXT} is the most: shorten it"))
}

fn control_in(mut text: impl Iterator<Item = char>) -> Option<String> {
    let control = text.find(|c| c.is_control())?;
    Some(format!("holds the control character U+{:04X}: remove it", u32::from(control)))
}
