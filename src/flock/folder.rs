//! A folder as a poem: each picture is an entry, with what a text file beside it says. How the folder is read is decided in
//! `sources`.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::content::{Content, Medium, Part};
use super::entry::{EntryKey, Unit};
use super::picture_name;
use super::text::{forbidden_character, is_comment, shows_nothing};

/// What the line with the alt text begins with.
const ALT: &str = "alt:";

/// A file in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderFile {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FolderFileKind,
}

/// What a file in the folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderFileKind {
    /// A picture, by its name.
    Picture,
    /// A text file, with its contents.
    Text(String),
    /// Named like a picture or a text, but something that can't be posted: what it is.
    Other(&'static str),
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// The entries, in the order of their files' names.
    pub units: Vec<Unit>,
    /// The file of each entry.
    pub files: Vec<String>,
    /// What is not posted although it may be meant to be, and why.
    pub remarks: Vec<String>,
}

/// Whether a file with this name matters in a folder that is a poem: a picture or a text, and not hidden.
pub fn is_relevant(name: &str) -> bool {
    !name.starts_with('.') && (picture_name::resembles_picture(name) || is_text(name))
}

/// Whether a file with this name says something about a picture.
pub fn is_text(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, end)| !stem.is_empty() && end.eq_ignore_ascii_case("txt"))
}

/// Reads a folder's files as entries.
pub(super) fn read(mut files: Vec<FolderFile>) -> Folder {
    files.sort_by(|one, other| natural(&one.name, &other.name));
    let mut folder = Folder::default();
    let (captions, others): (Vec<_>, Vec<_>) =
        files.iter().partition(|file| matches!(file.kind, FolderFileKind::Text(_)));
    let captions: HashMap<&str, Caption> = captions
        .into_iter()
        .filter_map(|file| match &file.kind {
            FolderFileKind::Text(text) => Some((stem(&file.name), Caption::of(text))),
            _ => None,
        })
        .collect();
    let pictures: HashSet<&str> = others.iter().map(|file| stem(&file.name)).collect();
    for file in &files {
        let stem = stem(&file.name);
        match &file.kind {
            FolderFileKind::Picture => folder.picture(&file.name, captions.get(stem)),
            FolderFileKind::Text(_) if pictures.contains(stem) => {}
            FolderFileKind::Text(_) => folder.lone_text(&file.name, captions.get(stem)),
            FolderFileKind::Other(what) => {
                folder.remarks.push(format!("{} is not posted: this is {what}", file.name));
            }
        }
    }
    folder
}

impl Folder {
    fn picture(&mut self, file: &str, caption: Option<&Caption>) {
        let checked = picture_name::checked(file);
        let name = match checked {
            Ok(name) if forbidden_character(&name).is_none() && !name.contains(['\t', '\n']) => name,
            Ok(_) => return self.remarks.push(format!("{file:?} is not posted: give it a plain name")),
            Err(reason) => return self.remarks.push(format!("{file} is not posted: {reason}")),
        };
        let (text, alt) = caption.map(|it| (it.text.clone(), it.alt.clone())).unwrap_or_default();
        let key = EntryKey::with_pictures(&text, &[&name]);
        let media = vec![Medium { name, alt: alt.unwrap_or_default(), digest: None }];
        let content = Content { parts: vec![Part { text, media }], ..Content::default() };
        self.files.push(file.to_owned());
        self.units.push(Unit::of(self.files.len(), key, content));
    }

    /// A text beside no picture is an entry of its own, unless it describes one.
    fn lone_text(&mut self, file: &str, caption: Option<&Caption>) {
        match caption {
            Some(Caption { alt: Some(_), .. }) => {
                self.remarks.push(format!("{file} is not posted: the picture that it describes is missing"));
            }
            Some(Caption { text, .. }) if !shows_nothing(text) => {
                self.files.push(file.to_owned());
                self.units.push(Unit::plain(self.files.len(), text.clone()));
            }
            _ => {}
        }
    }
}

/// What a text file says about the picture beside it.
struct Caption {
    /// Its first paragraph.
    text: String,
    alt: Option<String>,
}

impl Caption {
    fn of(text: &str) -> Self {
        let lines = text.lines().map(str::trim_end).filter(|line| !is_comment(line));
        let (mut alt, mut paragraph) = (None, Vec::new());
        let mut is_over = false;
        for line in lines {
            if let Some(description) = after_alt(line) {
                alt.get_or_insert_with(|| description.to_owned());
            } else if line.trim().is_empty() {
                is_over |= !paragraph.is_empty();
            } else if !is_over {
                paragraph.push(line);
            }
        }
        Self { text: paragraph.join("\n"), alt }
    }
}

fn after_alt(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let begins = line.get(..ALT.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(ALT));
    begins.then(|| line[ALT.len()..].trim())
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The order in which people read names with numbers: `owl2` before `owl10`.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut rest, mut rest_other) = (one, other);
    while !rest.is_empty() && !rest_other.is_empty() {
        let (a, after) = run(rest);
        let (b, after_other) = run(rest_other);
        let order = if a.starts_with(is_digit) && b.starts_with(is_digit) {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then(a.cmp(b))
        } else {
            a.to_lowercase().cmp(&b.to_lowercase())
        };
        if order.is_ne() {
            return order;
        }
        (rest, rest_other) = (after, after_other);
    }
    rest.len().cmp(&rest_other.len()).then(one.cmp(other))
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// The number or the other characters that a name begins with, and the rest.
fn run(name: &str) -> (&str, &str) {
    let is_number = name.starts_with(is_digit);
    name.split_at(name.find(|c| is_digit(c) != is_number).unwrap_or(name.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(name: &str) -> FolderFile {
        FolderFile { name: name.to_owned(), kind: FolderFileKind::Picture }
    }

    fn text(name: &str, text: &str) -> FolderFile {
        FolderFile { name: name.to_owned(), kind: FolderFileKind::Text(text.to_owned()) }
    }

    /// Each entry's text, pictures and descriptions.
    fn shown(folder: &Folder) -> Vec<(String, String)> {
        let media = |unit: &Unit| {
            let media = unit.content.iter().flat_map(|content| content.media());
            media.map(|it| format!("{}={}", it.name, it.alt)).collect()
        };
        folder.units.iter().map(|unit| (unit.text.clone(), media(unit))).collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn a_picture_says_what_the_text_beside_it_says() {
        let folder = read(vec![
            picture("owl10.jpg"),
            text(
                "owl10.txt",
                "# a comment\n\nA barn owl.\nAt night.\nALT: a small owl, seen from below\n\nmy notes\n",
            ),
            picture("owl2.png"),
            text("owl2.TXT", "alt: an owl on a post"),
            picture("bare.gif"),
            text("alone.txt", "no picture\n"),
            text("gone.txt", "no picture\nalt: a picture\n"),
            text("empty.txt", "\n# nothing\n"),
        ]);
        assert_eq!(
            shown(&folder),
            pairs(&[
                ("no picture", ""),
                ("", "bare.gif="),
                ("", "owl2.png=an owl on a post"),
                ("A barn owl.\nAt night.", "owl10.jpg=a small owl, seen from below"),
            ])
        );
        assert_eq!(folder.files, ["alone.txt", "bare.gif", "owl2.png", "owl10.jpg"]);
        assert_eq!(folder.remarks.len(), 1);
        assert!(folder.remarks[0].starts_with("gone.txt"), "{:?}", folder.remarks);
    }

    #[test]
    fn what_is_not_posted_is_said() {
        let pipe = FolderFile { name: "pipe.jpg".into(), kind: FolderFileKind::Other("a pipe") };
        let folder = read(vec![pipe, picture("owl.heic"), text("owl.txt", "an owl"), picture("a\nb.jpg")]);
        assert!(folder.units.is_empty(), "a text belongs to its picture, also if that can't be posted");
        assert_eq!(folder.remarks.len(), 3, "{:?}", folder.remarks);
    }

    #[test]
    fn an_entry_is_known_by_its_text_and_the_name_of_its_picture() {
        let key = |caption: &str| read(vec![picture("owl.jpg"), text("owl.txt", caption)]).units[0].key;
        assert_eq!(key("An owl.\nalt: one"), key("An owl.\nalt: another\n\nnotes"));
        assert_ne!(key("An owl."), key("The owl."));
        assert_eq!(key("An owl."), EntryKey::with_pictures("An owl.", &["owl.jpg"]));
    }

    #[test]
    fn only_pictures_and_texts_matter() {
        for name in ["owl.jpg", "owl.HEIC", "owl.txt", "a b.Txt"] {
            assert!(is_relevant(name), "{name}");
        }
        for name in [".owl.jpg", ".DS_Store", "Thumbs.db", "README.md", "owl.jpg~", "owls", ".txt", "x.csv"] {
            assert!(!is_relevant(name), "{name}");
        }
    }

    proptest! {
        /// Names are put in one order, whatever the order in which the system lists them, and numbers count as numbers.
        #[test]
        fn the_order_is_that_of_names(
            names in prop::collection::hash_set("[a-cA-C]{0,2}[0-9]{0,3}[a-b]{0,1}", 1..20),
            numbers in (0_u32..10_000, 0_u32..10_000),
        ) {
            let mut names: Vec<String> = names.into_iter().collect();
            names.sort_by(|one, other| natural(one, other));
            let mut again: Vec<String> = names.iter().rev().cloned().collect();
            again.sort_by(|one, other| natural(one, other));
            prop_assert_eq!(again, names);
            let order = natural(&format!("owl{}.jpg", numbers.0), &format!("owl{}.jpg", numbers.1));
            prop_assert_eq!(order, numbers.0.cmp(&numbers.1));
        }
    }
}
