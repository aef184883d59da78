//! An entry of a poem, and what it is known by: what it says, not where it stands. How a poem's source is read is
//! decided in [`super::poem`].

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::iter;

use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use super::content::Content;
use super::due_date::DueDate;

/// One unit of a poem that is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its identity.
    pub id: EntryId,
    /// The identity that it would have by what it says, if a table names it by an `id` of its own: what was used under
    /// that is not posted again because it got a name.
    pub also: Option<EntryId>,
    /// The text to post; of a thread, all of it.
    pub text: String,
    /// What is posted, if that is more than the text. There is always one if the entry is known by something else than its
    /// text.
    pub content: Option<Box<Content>>,
    /// The date on which it comes, apart from all rounds.
    pub date: Option<DueDate>,
    /// The number of its first line in the file, from 1; for messages only.
    pub number: usize,
}

/// An entry's identity: what it says, and which one of several equal entries it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    /// What it says.
    pub key: EntryKey,
    /// Its number among entries that say the same, from 1.
    pub occurrence: u32,
}

/// What an entry says, in 16 bytes, so that a ledger row stays small. Of a text it is the beginning of the SHA-256 of its
/// normalized form, so that white space and the encoding of accents don't make a new text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EntryKey([u8; 16]);

/// What stands between the parts of a thread in what it is known by: what separates them in a text file.
const BETWEEN_PARTS: &str = "\n---\n";

/// An entry before it is known which one of several equal ones it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// What it is known by.
    pub key: EntryKey,
    /// What it says, if it is known by something else.
    pub also: Option<EntryKey>,
    /// Like [`Entry::text`].
    pub text: String,
    /// Like [`Entry::content`].
    pub content: Option<Box<Content>>,
    /// Like [`Entry::date`].
    pub date: Option<DueDate>,
    /// Like [`Entry::number`].
    pub number: usize,
}

impl Unit {
    /// A text alone.
    pub(super) fn plain(number: usize, text: String) -> Self {
        Self { key: EntryKey::of(&text), also: None, text, content: None, date: None, number }
    }

    /// An entry that says this, and is known by `key`.
    pub(super) fn of(number: usize, key: EntryKey, content: Content) -> Self {
        let text = content.whole_text();
        let is_plain = content.is_plain() && key == EntryKey::of(&text);
        let content = (!is_plain).then(|| Box::new(content));
        Self { key, also: None, text, content, date: None, number }
    }
}

/// Numbers equal entries. What entries with a name of their own say is counted after all that have none, so that a name
/// for one of several equal entries changes no number of the others.
pub(super) fn number_occurrences(units: Vec<Unit>) -> Vec<Entry> {
    let mut seen: HashMap<EntryKey, u32> = HashMap::new();
    let mut next = |key: EntryKey| {
        let occurrence = *seen.entry(key).and_modify(|n| *n += 1).or_insert(1);
        EntryId { key, occurrence }
    };
    let ids: Vec<EntryId> = units.iter().map(|unit| next(unit.key)).collect();
    let identified = units.into_iter().zip(ids).map(|(unit, id)| {
        let Unit { also, text, content, date, number, .. } = unit;
        Entry { id, also: also.map(&mut next), text, content, date, number }
    });
    identified.collect()
}

impl Entry {
    /// What it says, by whatever name it is known: entries that say the same are not posted one after the other.
    pub fn content_key(&self) -> EntryKey {
        self.also.unwrap_or(self.id).key
    }

    /// Whether it is among the used ones.
    pub fn is_used(&self, used: &HashSet<EntryId>) -> bool {
        used.contains(&self.id) || self.also.is_some_and(|also| used.contains(&also))
    }

    /// Whether one of its pictures has no description.
    pub fn lacks_alt(&self) -> bool {
        let mut media = self.content.iter().flat_map(|content| content.media());
        media.any(|medium| medium.alt.trim().is_empty())
    }

    /// The identities under which it counts as used on a day; the first one is the one that is recorded. `None` if it
    /// does not come on that day.
    pub fn dated(&self, day: NaiveDate) -> Option<(EntryId, Option<EntryId>)> {
        let on = |id: EntryId| EntryId { key: id.key.on(day), ..id };
        self.date.is_some_and(|date| date.is_on(day)).then(|| (on(self.id), self.also.map(on)))
    }
}

/// A text's normalized form: NFC, white space folded.
pub fn normalised(text: &str) -> String {
    let nfc: String = text.nfc().collect();
    nfc.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl EntryKey {
    /// A text's identity: NFC, with every run of white space folded into one space.
    pub fn of(text: &str) -> Self {
        let folded = normalised(text);
        Self(first_half(&Sha256::digest(folded.as_bytes())))
    }

    /// What a text says together with pictures, known by their names. Their descriptions don't matter, so that improving
    /// one repeats nothing.
    pub fn with_pictures(text: &str, names: &[&str]) -> Self {
        if names.is_empty() {
            return Self::of(text);
        }
        let text = normalised(text);
        let parts = [&[&*text], names].concat();
        Self::digest("entry with pictures", &parts)
    }

    /// What all parts say, with their pictures.
    pub fn of_content(content: &Content) -> Self {
        let texts: Vec<&str> = content.parts.iter().map(|part| part.text.as_str()).collect();
        let names: Vec<&str> = content.media().map(|medium| medium.name.as_str()).collect();
        Self::with_pictures(&texts.join(BETWEEN_PARTS), &names)
    }

    /// A row of a table that has a name of its own.
    pub fn named(id: &str) -> Self {
        Self::digest("entry with an id", &[id])
    }

    /// An entry with a date, on one of the days on which it comes.
    pub fn on(self, date: NaiveDate) -> Self {
        Self::digest("entry on a date", &[&String::from(self), &date.to_string()])
    }

    /// A digest that no text has, and none of another `domain`.
    fn digest(domain: &str, parts: &[&str]) -> Self {
        let mut digest = Sha256::new_with_prefix(b"flockd\0");
        for part in iter::once(&domain).chain(parts) {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(first_half(&digest.finalize()))
    }

    /// The bytes, for the ledger.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The identity from the ledger; `None` if it is not 16 bytes long.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

fn first_half(digest: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

impl EntryId {
    /// Its first digits, which are enough for a person to tell the lines of a poem apart.
    pub fn brief(&self) -> String {
        self.written(4)
    }

    /// The id with the number even of a line that is the first of its text, so that it means no other copy.
    pub fn exact(&self) -> String {
        format!("{}.{}", hex::encode(self.key.0), self.occurrence)
    }

    /// Whether a person may mean this line by `typed`: the first digits of its text's id; of one of several equal lines
    /// also its number, after a dot.
    pub fn matches(&self, typed: &str) -> bool {
        let (digits, number) = typed.split_once('.').map_or((typed, None), |(id, number)| (id, Some(number)));
        let is_number = |number: &str| number.parse() == Ok(self.occurrence);
        !digits.is_empty()
            && hex::encode(self.key.0).starts_with(&digits.to_ascii_lowercase())
            && number.is_none_or(is_number)
    }

    fn written(&self, bytes: usize) -> String {
        let digits = hex::encode(&self.key.0[..bytes]);
        if self.occurrence == 1 { digits } else { format!("{digits}.{}", self.occurrence) }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(16))
    }
}

impl From<EntryKey> for String {
    fn from(key: EntryKey) -> Self {
        hex::encode(key.0)
    }
}

impl TryFrom<String> for EntryKey {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, &'static str> {
        let bytes = hex::decode(digits).ok();
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).ok_or("an entry's key has 32 hexadecimal digits")
    }
}

impl fmt::Debug for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::poem::{Poem, Split};

    /// Every version must recognize the identities in existing ledgers.
    #[test]
    fn identities_stay_what_they_were() {
        let id = |text: &str| format!("{:?}", EntryKey::of(text));
        assert_eq!(id("one"), "7692c3ad");
        assert_eq!(id(" \u{feff}caf\u{e9}\tnoir "), id("\u{feff}cafe\u{301} noir"));
        assert_ne!(id("\u{200b}one"), id("one"));
    }

    #[test]
    fn a_person_names_a_line_by_its_first_digits() {
        let poem = Poem::parse(b"one\ntwo\none\n", Split::Line).unwrap();
        let [first, _, again] = poem.entries() else { panic!("three lines") };
        let id = "7692c3ad3540bb803c020b3aee66cd88";
        assert_eq!((first.id.to_string().as_str(), first.id.brief().as_str()), (id, "7692c3ad"));
        assert_eq!((again.id.to_string(), again.id.brief().as_str()), (format!("{id}.2"), "7692c3ad.2"));
        let meant = |typed: &str| {
            let lines = poem.entries().iter().filter(|line| line.id.matches(typed));
            lines.map(|line| line.number).collect::<Vec<_>>()
        };
        assert_eq!(meant("7692"), [1, 3]);
        assert_eq!(
            (meant("7692C3.2"), meant("7692.1"), meant(&format!("{id}.2"))),
            (vec![3], vec![1], vec![3])
        );
        for typed in ["", ".1", "7692.3", "7692.", "7692.x", "g", &format!("{id}0")] {
            assert!(meant(typed).is_empty(), "{typed:?}");
        }
    }

    #[test]
    fn equal_lines_are_told_apart_by_their_count() {
        let poem = Poem::parse("Holy!\nso  be it\nHoly!\nso be\tit\n".as_bytes(), Split::Line).unwrap();
        let counts: Vec<u32> = poem.entries().iter().map(|line| line.id.occurrence).collect();
        assert_eq!(counts, [1, 1, 2, 2]);
    }

    #[test]
    fn spelling_of_accents_makes_no_new_text() {
        assert_eq!(EntryKey::of("caf\u{e9}  noir"), EntryKey::of("cafe\u{301} noir"));
        assert_ne!(EntryKey::of("Cafe noir"), EntryKey::of("cafe noir"));
    }

    /// The ledger's rows of entries that are more than a text depend on it.
    #[test]
    fn identities_of_other_kinds_stay_what_they_are() {
        let keys = [
            EntryKey::with_pictures("one", &["owl.jpg"]),
            EntryKey::with_pictures("", &["owl.jpg", "barn.png"]),
            EntryKey::named("7"),
            EntryKey::of("one").on("2028-02-29".parse().unwrap()),
        ];
        assert_eq!(format!("{keys:?}"), "[6465ab61, c2b451b4, 33d51475, 555ec3f7]");
        assert_eq!(EntryKey::with_pictures(" one ", &[]), EntryKey::of("one"));
        assert_eq!(keys[0], EntryKey::with_pictures("\tone\n", &["owl.jpg"]));
    }

    #[test]
    fn a_name_for_one_of_several_changes_no_number_of_the_others() {
        let named = |name: &str| {
            let key = EntryKey::of("Holy!");
            Unit { key: EntryKey::named(name), also: Some(key), ..Unit::plain(1, "Holy!".to_owned()) }
        };
        let plain = || Unit::plain(1, "Holy!".to_owned());
        let entries = number_occurrences(vec![named("a"), plain(), named("b"), plain()]);
        let ids: Vec<_> = entries.iter().map(|entry| entry.also.unwrap_or(entry.id).occurrence).collect();
        assert_eq!(ids, [3, 1, 4, 2]);
        assert!(entries.iter().all(|entry| entry.content_key() == EntryKey::of("Holy!")));
        assert!(entries[0].also.is_some() && entries[0].id.occurrence == 1);
    }
}
