//! How a bot posts an entry: as it is, or cut into a thread if it is too long and the bot wants that; or why it passes the
//! entry over. Whether it fits is decided in `entry`.

use std::borrow::Cow;

use super::entry::{EntryError, validate_content};
use super::registry::validate;
use crate::flock::account::Account;
use crate::flock::content::Content;
use crate::flock::poem::Entry;
use crate::flock::{Bot, ThreadMode, thread};

/// Why a bot passes an entry over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Something in it does not fit the network.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// As a thread it would be more posts than the bot may post in an hour.
    #[error("a thread of {parts} posts, and `max_per_hour` allows {most}: make it shorter, or raise that")]
    TooManyParts {
        /// How many posts it would be.
        parts: u32,
        /// How many are allowed.
        most: u32,
    },
    /// The picture of this name has no description.
    #[error("{0} has no alt text: describe it for people who can't see it, or write `alt_optional = true`")]
    NoAlt(String),
}

/// What is posted of an entry, if that is more than its text.
///
/// # Errors
/// When the bot can't post it.
pub fn fit<'e>(
    bot: &Bot,
    account: Option<&Account>,
    entry: &'e Entry,
) -> Result<Option<Cow<'e, Content>>, FitError> {
    if !bot.admits(entry) {
        let mut media = entry.content.iter().flat_map(|content| content.media());
        let bare = media.find(|medium| medium.alt.trim().is_empty());
        return Err(FitError::NoAlt(bare.map(|medium| medium.name.clone()).unwrap_or_default()));
    }
    let fits = |text: &str| text.is_empty() || validate(bot, account, text).is_ok();
    let cut = if bot.thread == ThreadMode::Auto { thread::cut(entry, fits) } else { None };
    let content = cut.map(Cow::Owned).or(entry.content.as_deref().map(Cow::Borrowed));
    match &content {
        Some(content) => validate_content(bot, account, content)?,
        None => validate(bot, account, &entry.text).map_err(EntryError::from)?,
    }
    match (thread::posts(bot.network, content.as_deref()), bot.max_per_hour) {
        (parts, most) if parts > most => Err(FitError::TooManyParts { parts, most }),
        _ => Ok(content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::poem::{Poem, Split};
    use crate::flock::{NetworkKind, samples};
    use crate::net::TextError;

    fn entry(text: &str) -> Entry {
        Poem::parse(text.as_bytes(), Split::Stanza).unwrap().entries()[0].clone()
    }

    fn bot(thread: ThreadMode) -> Bot {
        Bot { network: NetworkKind::Bluesky, thread, ..samples::bot("walt", "@daily") }
    }

    #[test]
    fn what_is_too_long_is_cut_if_the_bot_wants_that() {
        let line = "seven words stand in this long line ".repeat(5);
        let long = entry(&format!("{line}\n{line}\nend"));
        let refused = fit(&bot(ThreadMode::Marked), None, &long).unwrap_err();
        assert!(matches!(refused, FitError::Entry(EntryError::Text(TextError::TooLong { .. }))));
        let thread = fit(&bot(ThreadMode::Auto), None, &long).unwrap().unwrap();
        assert_eq!(thread.parts.len(), 2);
        let one_line = entry(&line.repeat(2));
        assert!(fit(&bot(ThreadMode::Auto), None, &one_line).is_err(), "a line is never cut");
        let short = entry("short");
        assert_eq!(fit(&bot(ThreadMode::Auto), None, &short), Ok(None));
    }

    #[test]
    fn each_part_has_to_fit_and_each_picture_to_be_described() {
        let line = "seven words stand in this long line ".repeat(5);
        let thread = entry(&format!("{line}\n---\n{line}"));
        assert_eq!(fit(&bot(ThreadMode::Marked), None, &thread).unwrap().unwrap().parts.len(), 2);
        let bare = entry("![an owl](1.jpg) ![](2.jpg)");
        let strict = bot(ThreadMode::Marked);
        assert_eq!(fit(&strict, None, &bare), Err(FitError::NoAlt("2.jpg".to_owned())));
        let lenient = Bot { alt_optional: true, ..strict };
        assert!(fit(&lenient, None, &bare).unwrap().is_some());
    }
}
