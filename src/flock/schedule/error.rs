//! Errors in the text of a schedule.

/// A list of every minute of the hour has 169 characters; what is longer is a mistake.
pub(super) const MAX_CHARS: usize = 256;

/// The words of crontab(5) and what they stand for.
pub(super) const WORDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Why a text isn't a schedule. The caller adds the bot and the line in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Nothing but white space.
    #[error("the schedule is empty: write {EXPECTED}")]
    Empty,
    /// Longer than any sensible list of times.
    #[error(
        "the schedule has more than {MAX_CHARS} characters: write steps and ranges instead of long lists"
    )]
    TooLong,
    /// A character that no schedule contains: not ASCII, NUL or another control character.
    #[error(
        "the schedule contains the character {character:?}: write it in plain ASCII letters, digits and * , - / @"
    )]
    Character {
        /// The first invalid character.
        character: char,
    },
    /// Neither five nor six fields.
    #[error("the schedule has {found} field{s}: write {EXPECTED}", s = if *found == 1 { "" } else { "s" })]
    FieldCount {
        /// How many there are.
        found: usize,
    },
    /// `@reboot`: the start of a daemon is not a time.
    #[error("the schedule {text} names no time: a restart must not post, write {EXPECTED}")]
    Reboot {
        /// The word as written.
        text: String,
    },
    /// An unknown word that begins with `@`.
    #[error("the schedule {text:?} is unknown: write one of {}, or five or six fields", words())]
    Word {
        /// The text as written.
        text: String,
    },
    /// An invalid field.
    #[error("{field} {value:?} {problem}")]
    Field {
        /// The field's name, as in crontab(5).
        field: &'static str,
        /// The invalid entry of the field's list.
        value: String,
        /// What is wrong with it, and what to write.
        problem: String,
    },
    /// Every field is valid, but no day matches them all.
    #[error(
        "the schedule {text:?} never fires: no month it names has such a day, change day of month or month"
    )]
    NeverFires {
        /// The text as written.
        text: String,
    },
}

const EXPECTED: &str = "5 fields (minute, hour, day of month, month, day of week), 6 with the second first, or a word such as @daily";

/// All words, for an error's text.
fn words() -> String {
    WORDS.map(|(word, _)| word).join(", ")
}
