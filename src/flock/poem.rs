//! A poem: text cut into lines, each known by what it says and not by where it stands.
//!
//! Reading files is the shelf's work; which line is next is [`super::pick`]'s.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

super::words! {
    /// How a poem's file is cut into postable lines.
    Split {
        /// Every line of the file that is not blank.
        Line = "line",
        /// Every group of lines between blank ones, line breaks kept.
        Stanza = "stanza",
    }
}

/// A poem: its lines in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poem {
    lines: Vec<Line>,
}

/// One postable unit of a poem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is known by.
    pub id: LineId,
    /// What is posted.
    pub text: String,
    /// Where it begins in the file, from 1: for messages only.
    pub number: usize,
}

/// What identifies a line: its text, and which of equal lines it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineId {
    /// The text.
    pub text: TextId,
    /// Which of the lines of equal text, from 1.
    pub occurrence: u32,
}

/// A text's identity: the first 16 bytes of the SHA-256 of its normalised form, so that white space and
/// the spelling of accents don't make a new text, and a ledger row stays small.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextId([u8; 16]);

/// Why bytes are no poem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoemError {
    /// Nothing to post in it.
    #[error("the poem is empty: write at least one line that is not a remark")]
    Empty,
    /// Bytes that are not UTF-8.
    #[error("this is not UTF-8: save the file as UTF-8")]
    NotUtf8 {
        /// Line in the file, from 1.
        line: usize,
    },
    /// A control character that no network can show.
    #[error("this holds the control character U+{code:04X}: remove it")]
    Control {
        /// Line in the file, from 1.
        line: usize,
        /// The code point.
        code: u32,
    },
}

impl PoemError {
    /// The line of the file that is to blame, from 1.
    pub fn line(&self) -> usize {
        match self {
            Self::Empty => 1,
            Self::NotUtf8 { line } | Self::Control { line, .. } => *line,
        }
    }
}

impl Poem {
    /// Reads a poem from the bytes of its file: UTF-8, a byte order mark and CR LF tolerated. A line that
    /// begins with `# ` is a remark, `#hashtag` is text.
    pub fn parse(bytes: &[u8], split: Split) -> Result<Self, PoemError> {
        let text = decode(bytes)?;
        let units = match split {
            Split::Line => single_lines(text),
            Split::Stanza => stanzas(text),
        };
        if units.is_empty() {
            return Err(PoemError::Empty);
        }
        Ok(Self { lines: number_occurrences(units) })
    }

    /// The lines in the order of the file.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// The normalised form of a text: NFC, white space folded.
pub fn normalised(text: &str) -> String {
    let nfc: String = text.nfc().collect();
    nfc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn decode(bytes: &[u8]) -> Result<&str, PoemError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| PoemError::NotUtf8 {
        line: 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count(),
    })?;
    match text.lines().enumerate().find_map(|(at, line)| Some((at, control_character(line)?))) {
        Some((at, code)) => Err(PoemError::Control { line: at + 1, code }),
        None => Ok(text),
    }
}

/// The first character of `text` that no post may hold: controls but tab and line break.
pub fn control_character(text: &str) -> Option<u32> {
    text.chars().find(|c| c.is_control() && !matches!(c, '\t' | '\n')).map(u32::from)
}

/// A text on one line, its line breaks as slashes, cut after `most` characters.
pub fn on_one_line(text: &str, most: usize) -> String {
    let text = text.replace('\n', " / ");
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text,
    }
}

/// The file's lines with their numbers, remarks left out.
fn without_remarks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end()));
    numbered.filter(|(_, line)| *line != "#" && !line.starts_with("# "))
}

fn single_lines(text: &str) -> Vec<(usize, String)> {
    let trimmed = without_remarks(text).map(|(number, line)| (number, line.trim()));
    trimmed.filter(|(_, line)| !line.is_empty()).map(|(n, line)| (n, line.to_owned())).collect()
}

fn stanzas(text: &str) -> Vec<(usize, String)> {
    let mut stanzas: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in without_remarks(text) {
        match stanzas.last_mut() {
            _ if line.is_empty() => open = false,
            Some((_, stanza)) if open => {
                stanza.push('\n');
                stanza.push_str(line);
            }
            _ => {
                stanzas.push((number, line.to_owned()));
                open = true;
            }
        }
    }
    stanzas
}

fn number_occurrences(units: Vec<(usize, String)>) -> Vec<Line> {
    let mut seen: HashMap<TextId, u32> = HashMap::new();
    let identify = |(number, text): (usize, String)| {
        let id = TextId::of(&text);
        let occurrence = seen.entry(id).and_modify(|n| *n += 1).or_insert(1);
        Line { id: LineId { text: id, occurrence: *occurrence }, text, number }
    };
    units.into_iter().map(identify).collect()
}

impl TextId {
    /// The identity of a text: NFC, with every run of white space folded into one space.
    pub fn of(text: &str) -> Self {
        let folded = normalised(text);
        let digest = Sha256::digest(folded.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// The bytes, for the ledger.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The identity that the ledger kept; `None` if it is not 16 bytes long.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for TextId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str, split: Split) -> Vec<(usize, String)> {
        let poem = Poem::parse(file.as_bytes(), split).unwrap();
        poem.lines().iter().map(|line| (line.number, line.text.clone())).collect()
    }

    #[test]
    fn lines_are_trimmed_and_remarks_left_out() {
        let file = "\u{feff}# a title\r\n\r\n  one \r\n#two is a hashtag\r\n#\r\n\tthree #four";
        let expect = [(3, "one"), (4, "#two is a hashtag"), (6, "three #four")];
        assert_eq!(texts(file, Split::Line), expect.map(|(n, t)| (n, t.to_owned())));
    }

    #[test]
    fn stanzas_keep_their_line_breaks() {
        let file = "one\n  two  \n# remark\nthree\n\n \n\nfour\n";
        let expect = [(1, "one\n  two\nthree"), (8, "four")];
        assert_eq!(texts(file, Split::Stanza), expect.map(|(n, t)| (n, t.to_owned())));
    }

    #[test]
    fn equal_lines_are_told_apart_by_their_count() {
        let poem = Poem::parse("Holy!\nso  be it\nHoly!\nso be\tit\n".as_bytes(), Split::Line).unwrap();
        let counts: Vec<u32> = poem.lines().iter().map(|line| line.id.occurrence).collect();
        assert_eq!(counts, [1, 1, 2, 2]);
    }

    #[test]
    fn spelling_of_accents_makes_no_new_text() {
        assert_eq!(TextId::of("caf\u{e9}  noir"), TextId::of("cafe\u{301} noir"));
        assert_ne!(TextId::of("Cafe noir"), TextId::of("cafe noir"));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(on_one_line("añb\ncd", 4), "añb…");
        assert_eq!(on_one_line("año\nñ", 9), "año / ñ");
    }

    #[test]
    fn bad_bytes_name_their_line() {
        let parse = |bytes: &[u8]| Poem::parse(bytes, Split::Line).unwrap_err();
        assert_eq!(parse(b"\n\n# only a remark\n"), PoemError::Empty);
        assert_eq!(parse(b"good\n\xff\xfeb\0"), PoemError::NotUtf8 { line: 2 });
        assert_eq!(parse(b"good\ngood\nb\0d"), PoemError::Control { line: 3, code: 0 });
        assert_eq!(parse(b"a\rb").line(), 1);
    }
}
