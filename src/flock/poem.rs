//! A poem: a source split into entries. What an entry is known by is in [`super::entry`], what stands in an entry beside
//! its text in `markup`.
//!
//! The poem cache reads the files; [`super::choose`] chooses the next line.

use std::collections::HashSet;
use std::iter;
use std::path::Path;

pub use super::entry::{Entry, EntryId, EntryKey, normalised};
use super::entry::{Unit, number_occurrences};
use super::folder::{self, Folder, FolderFile};
use super::markup::{self, MarkupError, NumberedLine};
use super::table::{self, Row, TableError};
use super::text::{forbidden_character, is_comment, resembles_comment, shows_nothing, visible};

super::words! {
    /// How a poem's file is split into lines to post.
    Split {
        /// Every line of the file that is not blank.
        Line = "line",
        /// Every group of lines between blank lines, with its line breaks.
        Stanza = "stanza",
        /// Everything between lines that are only `%`, with its line breaks and blank lines: a file for fortune(6).
        Percent = "%",
        /// Every row of a table whose fields are separated by commas, semicolons or tabs.
        Csv = "csv",
        /// Every row of a table whose fields are separated by tabs.
        Tsv = "tsv",
        /// Every JSON object of a file with one on each line.
        JsonLines = "jsonl",
        /// Every picture of a folder, with the text beside it.
        Folder = "folder",
    }
}

/// A poem: its lines in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poem {
    entries: Vec<Entry>,
    /// Numbers of lines in the file that are posted although they look like comments.
    doubtful: Vec<usize>,
    /// Of a folder, the file of each entry.
    files: Vec<String>,
    /// Of a folder, what is not posted although it may be meant to be.
    remarks: Vec<String>,
}

/// Why a file's contents are not a poem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoemError {
    /// There is nothing to post.
    #[error("the poem is empty: write at least one line that is not a comment")]
    Empty,
    /// Bytes that are not UTF-8.
    #[error("this is not UTF-8: save the file as UTF-8")]
    NotUtf8 {
        /// Entry in the file, from 1.
        line: usize,
    },
    /// Not text, or text that is not a poem.
    #[error("this is {0}: a poem is a text file, a line for each post, or a table")]
    Other(&'static str),
    /// A control character that no network can display.
    #[error("this holds the control character U+{code:04X}: remove it")]
    Control {
        /// Entry in the file, from 1.
        line: usize,
        /// The code point.
        code: u32,
    },
    /// A table that can't be posted as it is.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A picture that can't be posted.
    #[error(transparent)]
    Markup(#[from] MarkupError),
    /// A folder without anything to post.
    #[error(
        "the folder has nothing to post: put pictures there, each with a text file of the same name beside it"
    )]
    EmptyFolder,
    /// A file of a folder.
    #[error("{name}, line {}: {error}", error.line())]
    InFile {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: Box<PoemError>,
    },
}

impl Split {
    /// How a file with this name is split unless a person says otherwise, if its name tells.
    pub fn of_name(path: &Path) -> Option<Self> {
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Some(Self::Folder);
        }
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }

    /// Whether the file is a table, in which every line counts.
    pub const fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::JsonLines)
    }
}

impl PoemError {
    /// The offending line of the file, from 1.
    pub fn line(&self) -> usize {
        match self {
            Self::Empty | Self::EmptyFolder | Self::Other(_) => 1,
            Self::InFile { error, .. } => error.line(),
            Self::NotUtf8 { line } | Self::Control { line, .. } => *line,
            Self::Table(error) => error.line,
            Self::Markup(error) => error.line,
        }
    }
}

impl Poem {
    /// Parses a poem from a file's bytes: UTF-8; a byte order mark and CR LF are accepted. A line that begins with `#`
    /// and white space is a comment, `#hashtag` is text, and a line without visible characters is skipped.
    pub fn parse(bytes: &[u8], split: Split) -> Result<Self, PoemError> {
        let text = decode(bytes, split)?;
        let units = match split {
            Split::Line => {
                single_lines(text).map(|line| markup::unit(&[line], false)).collect::<Result<_, _>>()?
            }
            Split::Stanza => stanzas(&groups(text, str::is_empty))?,
            Split::Percent => stanzas(&groups(text, |line| line == PERCENT))?,
            Split::Csv => rows(table::csv(text)?)?,
            Split::Tsv => rows(table::tsv(text)?)?,
            Split::JsonLines => rows(table::json_lines(text)?)?,
            // A folder has no text of its own.
            Split::Folder => return Err(PoemError::EmptyFolder),
        };
        if units.is_empty() {
            return Err(PoemError::Empty);
        }
        // Every line of a table is meant to be a row.
        let doubtful = if split.is_table() { Vec::new() } else { doubtful(text) };
        let (files, remarks) = Default::default();
        Ok(Self { entries: number_occurrences(units), doubtful, files, remarks })
    }

    /// Reads a folder's files as a poem.
    pub fn of_folder(files: Vec<FolderFile>) -> Result<Self, PoemError> {
        let Folder { units, files, remarks } = folder::read(files);
        if units.is_empty() {
            return Err(PoemError::EmptyFolder);
        }
        Ok(Self { entries: number_occurrences(units), doubtful: Vec::new(), files, remarks })
    }

    /// The entries in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number of entries that an earlier version did not have, by any of their identities.
    pub fn new_since(&self, before: &Self) -> usize {
        let ids = |entry: &Entry| [Some(entry.id), entry.also];
        let known: HashSet<EntryId> = before.entries.iter().flat_map(ids).flatten().collect();
        self.entries.iter().filter(|entry| !entry.is_used(&known)).count()
    }

    /// The file of a folder that an entry of this poem comes from; `None` if the poem is a file itself.
    pub fn file_of(&self, entry: &Entry) -> Option<&str> {
        self.files.get(entry.number.checked_sub(1)?).map(String::as_str)
    }

    /// Files of a folder that are not posted although they may be meant to be, and why.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The numbers of lines in the file that are posted although they may be meant as comments.
    pub fn doubtful(&self) -> &[usize] {
        &self.doubtful
    }
}

/// The line that separates the entries of a fortune file (strfile(1)).
pub const PERCENT: &str = "%";

/// The most entries that the weights of a table may make: far more than any bot posts.
const MOST_ENTRIES: usize = 1_000_000;

/// File types that are not text, by their first bytes.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\xff\xfe", "text in UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16: save it as UTF-8"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"RIFF", "a picture or a sound"),
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a document or an archive: save it as plain text"),
    (b"\xd0\xcf\x11\xe0", "a document: save it as plain text"),
    (b"\x1f\x8b", "a compressed file: unpack it"),
];

/// Column names that suggest a table of posts.
const COLUMNS: &[&str] =
    &["alt", "body", "content", "date", "id", "image", "line", "post", "quote", "status", "text"];

/// What the file is instead of a text, judged by its contents.
fn not_text(bytes: &[u8]) -> Option<&'static str> {
    if let Some((_, what)) = OTHERS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(what);
    }
    // UTF-16 without a byte order mark: every other byte of Latin letters is zero.
    let head = &bytes[..bytes.len().min(64)];
    if head.len() >= 4 && head.chunks_exact(2).all(|pair| (pair[0] == 0) != (pair[1] == 0)) {
        return Some("text in UTF-16: save it as UTF-8");
    }
    None
}

/// The kind of table that a text is, judged by its first lines.
fn table_in(bytes: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}');
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (first, second) = (lines.next()?, lines.next());
    if first.starts_with('{') && serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(first).is_ok()
    {
        return Some("a table in JSON: write split = \"jsonl\"");
    }
    let is_header = |separator: char| {
        let columns: Vec<String> =
            first.split(separator).map(|it| it.trim_matches(['"', ' ']).to_lowercase()).collect();
        let is_name = |name: &String| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        };
        columns.len() > 1
            && columns.iter().all(is_name)
            && columns.iter().any(|name| COLUMNS.contains(&name.as_str()))
            && second.is_some_and(|row| row.matches(separator).count() >= columns.len() - 1)
    };
    ([',', '\t', ';'].into_iter().any(is_header)).then_some("a table: write split = \"csv\"")
}

fn decode(bytes: &[u8], split: Split) -> Result<&str, PoemError> {
    if let Some(what) = not_text(bytes).or_else(|| table_in(bytes).filter(|_| !split.is_table())) {
        return Err(PoemError::Other(what));
    }
    utf8(bytes)
}

/// The text of a file that belongs to a poem: UTF-8 without control characters.
///
/// # Errors
///
/// If it is something else.
pub fn text_of(bytes: &[u8]) -> Result<&str, PoemError> {
    match not_text(bytes) {
        Some(what) => Err(PoemError::Other(what)),
        None => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, PoemError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| PoemError::NotUtf8 {
        line: 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count(),
    })?;
    match text.lines().enumerate().find_map(|(at, line)| Some((at, forbidden_character(line)?))) {
        Some((at, code)) => Err(PoemError::Control { line: at + 1, code }),
        None => Ok(text),
    }
}

/// A text on one line, with slashes for line breaks, without characters that control a terminal, cut after `most`
/// characters.
pub fn on_one_line(text: &str, most: usize) -> String {
    let text = visible(&text.replace('\n', " / ")).into_owned();
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text,
    }
}

/// The file's lines with their numbers, without comments.
fn without_comments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end()));
    numbered.filter(|(_, line)| !is_comment(line))
}

fn doubtful(text: &str) -> Vec<usize> {
    without_comments(text).filter(|(_, line)| resembles_comment(line)).map(|(number, _)| number).collect()
}

fn single_lines(text: &str) -> impl Iterator<Item = NumberedLine<'_>> {
    let trimmed = without_comments(text).map(|(number, line)| (number, line.trim()));
    trimmed.filter(|(_, line)| !shows_nothing(line))
}

fn stanzas(groups: &[Vec<NumberedLine<'_>>]) -> Result<Vec<Unit>, MarkupError> {
    groups.iter().map(|group| markup::unit(group, true)).collect()
}

/// Groups of lines, between those that separate them. A group has no blank lines at its beginning and end.
fn groups(text: &str, separates: impl Fn(&str) -> bool) -> Vec<Vec<NumberedLine<'_>>> {
    let mut groups: Vec<Vec<NumberedLine<'_>>> = Vec::new();
    let mut open = false;
    for (number, line) in without_comments(text) {
        match groups.last_mut() {
            _ if separates(line) => open = false,
            Some(group) if open => group.push((number, line)),
            _ if line.is_empty() => {}
            _ => {
                groups.push(vec![(number, line)]);
                open = true;
            }
        }
    }
    for group in &mut groups {
        while group.pop_if(|(_, line)| line.is_empty()).is_some() {}
    }
    // An invisible line may join the parts of a group; a group of only invisible lines is dropped.
    groups.retain(|group| !group.iter().all(|(_, line)| shows_nothing(line)));
    groups
}

/// The rows of a table, each as often as it weighs.
fn rows(rows: Vec<Row>) -> Result<Vec<Unit>, PoemError> {
    let shows = |row: &Row| row.unit.content.is_some() || !shows_nothing(&row.unit.text);
    let visible = rows.into_iter().filter(shows).collect::<Vec<_>>();
    let count: usize = visible.iter().map(|row| row.weight).sum();
    if count > MOST_ENTRIES {
        let reason = format!("the weights of the table make {count} entries, {MOST_ENTRIES} is the most");
        return Err(TableError { line: 1, reason }.into());
    }
    Ok(visible.into_iter().flat_map(|row| iter::repeat_n(row.unit, row.weight)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str, split: Split) -> Vec<(usize, String)> {
        let poem = Poem::parse(file.as_bytes(), split).unwrap();
        poem.entries().iter().map(|line| (line.number, line.text.clone())).collect()
    }

    #[test]
    fn lines_are_trimmed_and_comments_left_out() {
        let file = "\u{feff}# a title\r\n\r\n  one \r\n#two is a hashtag\r\n#\r\n\tthree #four";
        let expect = [(3, "one"), (4, "#two is a hashtag"), (6, "three #four")];
        assert_eq!(texts(file, Split::Line), expect.map(|(n, t)| (n, t.to_owned())));
    }

    #[test]
    fn stanzas_keep_their_line_breaks() {
        let file = "one\n  two  \n# comment\nthree\n\n \n\nfour\n";
        let expect = [(1, "one\n  two\nthree"), (8, "four")];
        assert_eq!(texts(file, Split::Stanza), expect.map(|(n, t)| (n, t.to_owned())));
    }

    #[test]
    fn a_fortune_file_is_split_at_percent_signs() {
        let file = "one\n\n  two\n%\n%\n\n\nthree % four\n50 %\n\n%  \r\n# comment\n\u{200b}\n%\n100%\n%%\n%";
        let expect = [(1, "one\n\n  two"), (8, "three % four\n50 %"), (15, "100%\n%%")];
        assert_eq!(texts(file, Split::Percent), expect.map(|(n, t)| (n, t.to_owned())));
        assert_eq!(Poem::parse(b"%\n%\n", Split::Percent), Err(PoemError::Empty));
        // A stanza and an entry of the same text are the same line to the ledger.
        let stanza = Poem::parse(b"one\ntwo\n", Split::Stanza).unwrap();
        assert_eq!(
            Poem::parse(b"%\none\n\ntwo\n%\n", Split::Percent).unwrap().entries()[0].id,
            stanza.entries()[0].id
        );
    }

    #[test]
    fn comments_and_lines_that_show_nothing_are_not_posted() {
        let file = "  # ask Bob\n\t# tab\n#\tbehind\n#\u{a0}behind\n## heading\n\u{feff}# second file\n\u{200b}# hidden\n\
            \u{200b}\n\u{3164}\u{2800}\n\u{301}\nreal line\n\n\u{2060}\n\u{fe0f}\n";
        for split in [Split::Line, Split::Stanza] {
            let expect = match split {
                Split::Line => "real line",
                _ => "\u{200b}\n\u{3164}\u{2800}\n\u{301}\nreal line",
            };
            let found: Vec<String> = texts(file, split).into_iter().map(|(_, text)| text).collect();
            assert_eq!(found, [expect], "{split}");
        }
        let poem = Poem::parse("a\n##b\n# c\n#d\n// e\n".as_bytes(), Split::Stanza).unwrap();
        assert_eq!(poem.doubtful(), [2, 5]);
        let nothing = Poem::parse("\u{200b}\n # comment\n".as_bytes(), Split::Line);
        assert_eq!(nothing, Err(PoemError::Empty));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(on_one_line("añb\ncd", 4), "añb…");
        assert_eq!(on_one_line("a\u{1b}[2J", 20), "a\\u{1b}[2J");
        assert_eq!(on_one_line("año\nñ", 9), "año / ñ");
    }

    #[test]
    fn what_is_no_poem_is_called_by_its_name() {
        let tables =
            ["id,text\n1,one\n", "text;date\none;today\n", "\u{feff}Text\tAlt\na\tb\n", "{\"text\":\"a\"}\n"];
        for table in tables {
            let parsed = Poem::parse(table.as_bytes(), Split::Line);
            assert!(
                matches!(parsed, Err(PoemError::Other(what)) if what.starts_with("a table")),
                "{table:?}"
            );
        }
        for bytes in
            [&b"\xff\xfea\0\n\0"[..], b"a\0b\0c\0", b"\0a\0b\0c", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"]
        {
            assert!(matches!(Poem::parse(bytes, Split::Line), Err(PoemError::Other(_))), "{bytes:?}");
        }
        for poem in [
            "text, and more\nof it\n",
            "Rain,\nrain, rain\n",
            "{a brace}\n",
            "id;\n",
            "a, b\nc, d\n",
            "text,body\n",
        ] {
            assert!(Poem::parse(poem.as_bytes(), Split::Line).is_ok(), "{poem:?}");
        }
    }

    #[test]
    fn bad_bytes_name_their_line() {
        let parse = |bytes: &[u8]| Poem::parse(bytes, Split::Line).unwrap_err();
        assert_eq!(parse(b"\n\n# only a comment\n"), PoemError::Empty);
        assert_eq!(parse(b"good\n\xff\xfeb\0"), PoemError::NotUtf8 { line: 2 });
        assert_eq!(parse(b"good\ngood\nb\0d"), PoemError::Control { line: 3, code: 0 });
        assert_eq!(parse(b"a\rb").line(), 1);
    }
}
