//! What the columns of a table mean. How rows are read from a file is decided in [`super`].

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::{Row, TableError, bad};
use crate::flock::content::{Content, Medium, Part};
use crate::flock::due_date::DueDate;
use crate::flock::entry::{EntryKey, Unit};
use crate::flock::picture_name;
use crate::flock::text::{forbidden_character, is_language_tag};

/// The column with the text to post.
pub(super) const TEXT: &str = "text";
/// The column with the file name of a picture; a number may follow.
pub(super) const IMAGE: &str = "image";
/// The column with the description of the picture with the same number.
const ALT: &str = "alt";
/// The column that says how often a row comes in a round.
const WEIGHT: &str = "weight";
/// The list of a thread's parts.
const PARTS: &str = "parts";
/// The most that a row may weigh.
const HEAVIEST: usize = 1_000;

/// The fields of a row by column, before they are understood.
pub(super) struct Fields<'f> {
    pub number: usize,
    pub named: Vec<(&'f str, Cell<'f>)>,
}

/// A field.
#[derive(Clone, Copy)]
pub(super) enum Cell<'f> {
    Text(&'f str),
    Json(&'f Value),
}

/// The name of a column as it is known here: without regard to case, and `image1` is `image`.
pub(super) fn column(name: &str) -> String {
    let name = name.trim().to_lowercase();
    match name.strip_suffix('1') {
        Some(first @ (IMAGE | ALT)) => first.to_owned(),
        _ => name,
    }
}

/// The name that occurs a second time.
pub(super) fn twice<'n>(mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut seen = HashSet::new();
    names.find(|name| !name.is_empty() && !seen.insert(*name))
}

impl Cell<'_> {
    fn is_empty(self) -> bool {
        match self {
            Self::Text(text) => text.trim().is_empty(),
            Self::Json(Value::Null) => true,
            Self::Json(Value::String(text)) => text.trim().is_empty(),
            Self::Json(Value::Array(values)) => values.is_empty(),
            Self::Json(_) => false,
        }
    }

    /// What is written, if it is a single value. Numbers and words count as they are written.
    fn written(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.trim().to_owned()),
            Self::Json(Value::String(text)) => Some(text.trim().to_owned()),
            Self::Json(Value::Null) => Some(String::new()),
            Self::Json(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
            Self::Json(Value::Array(values)) if values.is_empty() => Some(String::new()),
            Self::Json(_) => None,
        }
    }

    /// The texts of a list; a single text is a list of one.
    fn texts(self) -> Option<Vec<String>> {
        match self {
            Self::Json(Value::Array(values)) => values.iter().map(|value| Cell::Json(value).text()).collect(),
            single => single.text().map(|text| vec![text]),
        }
    }

    fn text(self) -> Option<String> {
        self.written().filter(|_| !matches!(self, Self::Json(Value::Number(_) | Value::Bool(_))))
    }
}

impl<'f> Fields<'f> {
    /// The fields of a JSON object.
    pub(super) fn of_object(number: usize, object: &'f Map<String, Value>) -> Result<Self, TableError> {
        let known: Vec<String> = object.keys().map(|name| column(name)).collect();
        if let Some(twice) = twice(known.iter().map(String::as_str)) {
            return Err(bad(number, format!("this row has two values for `{twice}`: remove one")));
        }
        Ok(Self { number, named: object.iter().map(|(name, value)| (&**name, Cell::Json(value))).collect() })
    }

    /// The row as it is posted; `None` if it is empty.
    pub(super) fn row(&self) -> Result<Option<Row>, TableError> {
        if self.named.iter().all(|(_, cell)| cell.is_empty()) {
            return Ok(None);
        }
        let parts = self.parts()?;
        let content = Content {
            spoiler_text: Some(self.written("spoiler_text")?).filter(|text| !text.is_empty()),
            sensitive: self.sensitive()?,
            languages: self.languages()?,
            parts,
        };
        let says = EntryKey::of_content(&content);
        let date = self.date()?;
        let weight = self.weight(date)?;
        let id = self.written("id")?;
        let key = if id.is_empty() { says } else { EntryKey::named(&id) };
        let mut unit = Unit::of(self.number, key, content);
        unit.also = (key != says).then_some(says);
        if date.is_some() {
            // What it is used under is not the key of its text.
            unit.content.get_or_insert_with(|| Box::new(Content::text(unit.text.as_str())));
        }
        unit.date = date;
        Ok(Some(Row { unit, weight }))
    }

    /// What is posted: one part, unless the row lists several.
    fn parts(&self) -> Result<Vec<Part>, TableError> {
        let Some(listed) = self.cell(PARTS).filter(|cell| !cell.is_empty()) else {
            return Ok(vec![self.part()?]);
        };
        let single = self.named.iter().find(|(name, cell)| {
            let name = column(name);
            !cell.is_empty() && (name == TEXT || numbered(&name).is_some())
        });
        if let Some((name, _)) = single {
            return Err(self.bad(format!("`{name}` and `parts` in one row: write it in one of the parts")));
        }
        let wrong = || self.bad("`parts` must be a list of objects with `text` or `image`".to_owned());
        let Cell::Json(Value::Array(parts)) = listed else { return Err(wrong()) };
        let part = |part: &Value| {
            let object = part.as_object().ok_or_else(wrong)?;
            Fields::of_object(self.number, object)?.part()
        };
        parts.iter().map(part).collect()
    }

    /// The text and the pictures of these fields.
    fn part(&self) -> Result<Part, TableError> {
        let text = match self.cell(TEXT) {
            None => String::new(),
            Some(cell) => {
                cell.text().ok_or_else(|| self.bad("`text` must be a text in quotes".to_owned()))?
            }
        };
        let text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        let part = Part { text: self.clean(text)?, media: self.media()? };
        if part.text.is_empty() && part.media.is_empty() {
            let reason = "this row has no text and no image: write one, or delete the row";
            return Err(self.bad(reason.to_owned()));
        }
        Ok(part)
    }

    /// The pictures, in the order of their numbers.
    fn media(&self) -> Result<Vec<Medium>, TableError> {
        let (mut names, mut alts) = (BTreeMap::new(), BTreeMap::new());
        for (name, cell) in self.named.iter().filter(|(_, cell)| !cell.is_empty()) {
            let name = column(name);
            let Some((kind, number)) = numbered(&name) else { continue };
            let texts = cell
                .texts()
                .ok_or_else(|| self.bad(format!("`{name}` must be a text in quotes, or a list of texts")))?;
            let found = if kind == IMAGE { &mut names } else { &mut alts };
            found.extend((0..).zip(texts).map(|(at, text)| ((number, at), text)));
        }
        names.retain(|_, name| !name.is_empty());
        let mut media = Vec::with_capacity(names.len());
        for (place, name) in names {
            let name = self.clean(name)?;
            let name =
                picture_name::checked(&name).map_err(|reason| self.bad(format!("the picture {reason}")))?;
            let alt = self.clean(alts.remove(&place).unwrap_or_default())?;
            media.push(Medium { name, alt, digest: None });
        }
        match alts.into_iter().find(|(_, alt)| !alt.is_empty()) {
            None => Ok(media),
            Some(((number, at), _)) => {
                let number = if number == 1 { String::new() } else { number.to_string() };
                let nth = if at == 0 { String::new() } else { format!(" has a text {} that", at + 1) };
                Err(self.bad(format!("`alt{number}`{nth} describes no picture: name it in `image{number}`")))
            }
        }
    }

    fn sensitive(&self) -> Result<bool, TableError> {
        match self.written("sensitive")?.to_lowercase().as_str() {
            "" | "false" | "no" | "0" => Ok(false),
            "true" | "yes" | "1" => Ok(true),
            other => Err(self.bad(format!("`sensitive` must be true or false, not {other:?}"))),
        }
    }

    fn languages(&self) -> Result<Vec<String>, TableError> {
        let Some(cell) = self.cell("language").filter(|cell| !cell.is_empty()) else { return Ok(Vec::new()) };
        let texts = cell.texts().unwrap_or_default();
        let languages: Vec<String> = texts
            .iter()
            .flat_map(|text| text.split([',', ' ']))
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect();
        match languages.is_empty() || languages.iter().any(|language| !is_language_tag(language)) {
            false => Ok(languages),
            true => {
                let reason = "`language` must be the code of a language, like \"en\" or \"pt-BR\"";
                Err(self.bad(reason.to_owned()))
            }
        }
    }

    fn date(&self) -> Result<Option<DueDate>, TableError> {
        let written = self.written("date")?;
        if written.is_empty() {
            return Ok(None);
        }
        let date = DueDate::parse(&written).ok_or_else(|| {
            self.bad(format!(
                "`date` must be a day like 2026-12-24, or 12-24 for every year, and {written:?} is none"
            ))
        });
        date.map(Some)
    }

    fn weight(&self, date: Option<DueDate>) -> Result<usize, TableError> {
        let written = self.written(WEIGHT)?;
        let weight = if written.is_empty() { Some(1) } else { written.parse().ok() };
        let Some(weight) = weight.filter(|weight| (1..=HEAVIEST).contains(weight)) else {
            return Err(self.bad(format!("`weight` must be a whole number from 1 to {HEAVIEST}")));
        };
        match date {
            Some(_) if weight > 1 => {
                Err(self.bad("a row with a `date` comes once that day: leave `weight` empty".to_owned()))
            }
            _ => Ok(weight),
        }
    }

    fn cell(&self, wanted: &str) -> Option<Cell<'f>> {
        let found = self.named.iter().find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found.map(|(_, cell)| *cell)
    }

    /// The single value of a column; empty if there is none.
    fn written(&self, column: &str) -> Result<String, TableError> {
        let Some(cell) = self.cell(column) else { return Ok(String::new()) };
        let written = cell.written().ok_or_else(|| self.bad(format!("`{column}` must be a single value")))?;
        self.clean(written)
    }

    /// A text without control characters. JSON may have any in its strings.
    fn clean(&self, text: String) -> Result<String, TableError> {
        match forbidden_character(&text) {
            None => Ok(text),
            Some(code) => Err(self.bad(format!("this holds the control character U+{code:04X}: remove it"))),
        }
    }

    fn bad(&self, reason: String) -> TableError {
        bad(self.number, reason)
    }
}

/// Whether a column is about a picture, and about which one, from 1.
fn numbered(column: &str) -> Option<(&'static str, u32)> {
    [IMAGE, ALT].into_iter().find_map(|kind| match column.strip_prefix(kind)? {
        "" => Some((kind, 1)),
        digits => digits.parse().ok().filter(|number| *number > 1).map(|number| (kind, number)),
    })
}
