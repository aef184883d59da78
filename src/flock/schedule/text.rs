//! From the text of a schedule to its fields: white space, the number of fields, and words such as `@daily`.

use super::{
    error::{MAX_CHARS, ScheduleError, WORDS},
    field::{self, Field},
};

/// The six fields of a schedule, parsed and within range.
pub(super) struct CronFields {
    pub(super) second: Field,
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day: Field,
    pub(super) month: Field,
    pub(super) weekday: Field,
}

/// The text with single spaces between words and none around it; rejects characters that no schedule contains.
pub(super) fn fold(text: &str) -> Result<String, ScheduleError> {
    if text.chars().nth(MAX_CHARS).is_some() {
        return Err(ScheduleError::TooLong);
    }
    if let Some(character) = text.chars().find(|c| !c.is_ascii_graphic() && !c.is_ascii_whitespace()) {
        return Err(ScheduleError::Character { character });
    }
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.is_empty() {
        return Err(ScheduleError::Empty);
    }
    Ok(words.join(" "))
}

/// Parses folded text.
pub(super) fn fields(text: &str) -> Result<CronFields, ScheduleError> {
    if text.starts_with('@') {
        return read(word(text)?);
    }
    read(text)
}

fn word(text: &str) -> Result<&'static str, ScheduleError> {
    if text.eq_ignore_ascii_case("@reboot") {
        return Err(ScheduleError::Reboot { text: text.to_owned() });
    }
    let known = WORDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
    known.map(|(_, fields)| *fields).ok_or_else(|| ScheduleError::Word { text: text.to_owned() })
}

fn read(text: &str) -> Result<CronFields, ScheduleError> {
    let parts: Vec<&str> = text.split(' ').collect();
    let (second, rest) = match parts.as_slice() {
        [second, rest @ ..] if parts.len() == 6 => (*second, rest),
        rest => ("0", rest),
    };
    let &[minute, hour, day, month, weekday] = rest else {
        return Err(ScheduleError::FieldCount { found: parts.len() });
    };
    Ok(CronFields {
        second: field::SECOND.read(second)?,
        minute: field::MINUTE.read(minute)?,
        hour: field::HOUR.read(hour)?,
        day: field::DAY.read(day)?,
        month: field::MONTH.read(month)?,
        weekday: field::WEEKDAY.read(weekday)?,
    })
}
