//! Handles text that is not valid TOML: what to report, and how to read the rest anyway.
//!
//! The parser recovers from most errors, but not from all: after a header that it can't read, the following
//! keys land in another table, and a key without `=` ends the document. [`mend`] removes these lines, so that
//! one typo doesn't hide the errors of a hundred bots. The meaning of values is not known here.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use toml::de::Error;

use super::diagnostics::LineIndex;
use super::slip;
use super::suggest::{named, short};
use crate::flock::BotName;

/// The parser's message for an error that is handled separately; a test detects when it changes.
const DUPLICATE: &str = "duplicate key";
const UNQUOTED: &str = "string values must be quoted";
const NO_VALUE: &str = "key with no value";

/// One error per line, by line; and the text without the lines that would keep the parser from reading the
/// others, with the same number of lines.
pub(super) fn mend(text: &str, lines: &LineIndex, errors: &[Error]) -> (Vec<(usize, String)>, String) {
    let slips = slips(text, lines, errors);
    (complaints(text, &slips), mended(text, &slips))
}

/// The errors that the parser found only in the mended text, because an earlier error had ended the document.
/// Its reading of these lines is a guess, and must not appear in a message.
pub(super) fn behind(mended: &str, errors: &[Error], known: &[(usize, String)]) -> Vec<(usize, String)> {
    let known: HashSet<usize> = known.iter().map(|(line, _)| *line).collect();
    let slips = slips(mended, &LineIndex::of(mended), errors);
    let others = slips.iter().filter(|slip| !slip.is_duplicate() && !known.contains(&slip.line));
    others.map(|slip| (slip.line, slip.message(&HashMap::new()))).collect()
}

fn complaints(text: &str, slips: &[Slip<'_>]) -> Vec<(usize, String)> {
    let firsts = first_headers(text, slips);
    // Keys under a duplicate header are not reported as duplicates themselves.
    let mut excused: Range<usize> = 0..0;
    let mut complaints = Vec::new();
    for slip in slips {
        if slip.is_duplicate() && excused.contains(&slip.at) {
            continue;
        }
        if slip.is_duplicate() && slip.is_header() {
            excused = slip.at..end_of_table(text, slip.at);
        }
        complaints.push((slip.line, slip.message(&firsts)));
    }
    complaints
}

fn mended(text: &str, slips: &[Slip<'_>]) -> String {
    let slips: HashMap<usize, &Slip<'_>> = slips.iter().map(|slip| (slip.line, slip)).collect();
    let mut mended = String::with_capacity(text.len());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match slips.get(&(index + 1)) {
            Some(slip) if slip.is_header() && !slip.is_duplicate() => mended.push_str(&usable_header(line)),
            Some(slip) => mended.push_str(&slip.readable(line)),
            None => mended.push_str(line),
        }
    }
    mended
}

/// An error and its line.
struct Slip<'t> {
    at: usize,
    line: usize,
    /// The parser's message.
    error: &'t str,
    /// The span of text that it refers to.
    piece: &'t str,
    /// The whole line, trimmed.
    written: &'t str,
    /// Whether the line opens something that is still open at the end of the text.
    left_open: bool,
}

impl Slip<'_> {
    fn is_duplicate(&self) -> bool {
        self.error == DUPLICATE
    }

    fn is_header(&self) -> bool {
        self.written.starts_with('[') && !self.error.contains("array") && !self.error.contains("inline")
    }

    /// The name in a header that is not even in square brackets.
    fn other_header(&self) -> Option<String> {
        slip::header_in_other_brackets(self.written).filter(|_| !self.written.starts_with('['))
    }

    /// Whether the line does not continue something that was opened earlier.
    fn is_whole_line(&self) -> bool {
        !self.left_open && !["array", "inline", "multi-line"].iter().any(|piece| self.error.contains(piece))
    }

    /// The line in a form that the parser can read, or an empty line.
    fn readable(&self, line: &str) -> String {
        let has_no_key = self.is_whole_line() && slip::has_no_key(self.written);
        match self.other_header() {
            Some(name) => format!("[{name}]\n"),
            None if has_no_key || self.error.starts_with(NO_VALUE) => "\n".to_owned(),
            None => line.to_owned(),
        }
    }

    fn message(&self, firsts: &HashMap<String, usize>) -> String {
        let error = self.error;
        match error {
            _ if self.is_header() && self.is_duplicate() => duplicate_header(&inner(self.written), firsts),
            _ if self.is_header() => bad_header(self.written, error),
            DUPLICATE => format!("`{}` is written twice: remove one", named(self.piece)),
            _ if self.left_open => {
                format!(
                    "something opened here is never closed: look for a missing quote or bracket ({error})"
                )
            }
            _ => self.meant().unwrap_or_else(|| match error {
                _ if error.starts_with(UNQUOTED) => "a value needs quotes: write \"…\"".into(),
                _ if error.starts_with(NO_VALUE) => "a key needs a value: write key = \"…\"".into(),
                _ => format!("this is not TOML: {error}"),
            }),
        }
    }

    /// What the line itself seems to mean.
    fn meant(&self) -> Option<String> {
        let header = self.other_header().map(|name| slip::square_brackets(&name));
        header.or_else(|| slip::meant(self.written).filter(|_| self.is_whole_line()))
    }
}

/// The first error of each line, in the order of lines.
fn slips<'t>(text: &'t str, lines: &LineIndex, errors: &'t [Error]) -> Vec<Slip<'t>> {
    let end = text.trim_end().len();
    let placed = |error: &'t Error| {
        let (at, left_open) = place(text, end, error);
        (at, left_open, error)
    };
    let mut errors: Vec<(usize, bool, &Error)> = errors.iter().map(placed).collect();
    errors.sort_by_key(|(at, ..)| *at);
    errors.dedup_by_key(|(at, ..)| lines.line_at(*at));
    let slip = |(at, left_open, error): (usize, bool, &'t Error)| Slip {
        at,
        line: lines.line_at(at),
        error: error.message(),
        piece: error.span().and_then(|span| text.get(span)).unwrap_or_default(),
        written: line_around(text, at),
        left_open,
    };
    errors.into_iter().map(slip).collect()
}

/// Where to fix an error, and whether the fix is to close something there. The parser only notices at the end
/// of the text, at `end`, that something was never closed; a person looks for its opening.
fn place(text: &str, end: usize, error: &Error) -> (usize, bool) {
    const OPENERS: [(&str, &str); 4] = [
        ("multi-line literal", "'''"),
        ("multi-line basic", "\"\"\""),
        ("inline table", "{"),
        ("array", "["),
    ];
    let start = error.span().map_or(0, |span| span.start);
    let opener = OPENERS.iter().find(|(name, _)| error.message().contains(name));
    let opened = opener.filter(|_| start >= end).and_then(|(_, opener)| text.rfind(opener));
    (opened.unwrap_or(start.min(end)), opened.is_some())
}

/// The line that contains the byte at `at`, trimmed.
fn line_around(text: &str, at: usize) -> &str {
    let bytes = text.as_bytes();
    let start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let end = bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| at + end);
    text.get(start..end).unwrap_or_default().trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// The end of the table that begins at `at`: the next line with a header.
fn end_of_table(text: &str, at: usize) -> usize {
    let mut end = at;
    let mut rest = text[at..].split_inclusive('\n');
    end += rest.next().map_or(0, str::len);
    end + rest.take_while(|line| !line.trim_start().starts_with('[')).map(str::len).sum::<usize>()
}

/// The text between a header's brackets, without white space.
fn inner(header: &str) -> String {
    let header = header.split('#').next().unwrap_or_default();
    let inner = header.trim_start_matches('[').split(']').next().unwrap_or_default();
    inner.split('.').map(str::trim).collect::<Vec<_>>().join(".")
}

/// The first position of each header, if any header is duplicated.
fn first_headers(text: &str, slips: &[Slip<'_>]) -> HashMap<String, usize> {
    let mut firsts = HashMap::new();
    if !slips.iter().any(|slip| slip.is_header() && slip.is_duplicate()) {
        return firsts;
    }
    for (index, line) in text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with('[')) {
        firsts.entry(inner(line.trim())).or_insert(index + 1);
    }
    firsts
}

fn duplicate_header(header: &str, firsts: &HashMap<String, usize>) -> String {
    let first = firsts.get(header).map_or(String::new(), |line| format!(", first on line {line}"));
    match header.split_once('.') {
        Some(("bots", name)) if !name.contains('.') => {
            format!("bot {} is defined twice{first}: rename one", short(name))
        }
        Some(("apps", name)) if !name.contains('.') => {
            format!("app {} is defined twice{first}: rename one", short(name))
        }
        _ => format!("[{}] is written twice{first}: write its keys in one place", short(header)),
    }
}

fn bad_header(line: &str, error: &str) -> String {
    if let Some(name) = slip::header_in_other_brackets(line) {
        return slip::square_brackets(&name);
    }
    let header = inner(line);
    let mut parts = header.split('.');
    let name = parts.next().filter(|table| *table == "bots").and_then(|_| parts.next());
    match name.map(str::parse::<BotName>) {
        Some(Err(bad_name)) => bad_name.to_string(),
        _ => match slip::header(line) {
            Some(name) => slip::square_brackets(&name),
            None if may_be_a_list(&header) => {
                format!("this is not a table's name: write [bots.NAME], say ({error})")
            }
            None => format!("[{}] is not a table's name: write [bots.NAME], say ({error})", short(&header)),
        },
    }
}

/// Whether a header is rather a list of strings, which may be secrets.
fn may_be_a_list(header: &str) -> bool {
    header.contains(['"', '\'', ',', '{', '='])
}

/// A header similar to the given one that the parser accepts, with invalid parts replaced.
fn usable_header(header: &str) -> String {
    let usable = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let header = header.trim();
    let inner = inner(header);
    let in_other_words =
        slip::header(header).filter(|_| !inner.starts_with("bots.") && !inner.starts_with("apps."));
    let name = slip::header_in_other_brackets(header).or(in_other_words).unwrap_or(inner);
    let names: String = name.chars().map(usable).collect();
    format!("[{names}]\n")
}
