//! The length of a text as X counts it, and whether X accepts the text as a post. Longer posts of paying accounts are
//! not considered.
//!
//! Links (`net/link`) and emoji (`emoji`) have fixed weights; everything else is weighed character by character.
//!
//! Sources: twitter-text, configuration v3 (at most 280; 1 or 2 per character, 23 per link, 2 per emoji), its reference
//! implementation, and its conformance tests.
//!
//! Where the rules are ambiguous, the larger count is used: a line wrongly considered too long is passed over, while
//! one wrongly considered short is refused by X and used up.

mod emoji;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::flock::NetworkKind;
use crate::net::TextError;
use crate::net::link::{self, is_invalid};

/// The maximum weighted length of a post (twitter-text configuration v3).
pub const MAX: usize = 280;

/// The weight of a link of any length: X replaces it by a `t.co` address of this length.
const LINK: usize = 23;

/// The weight of an emoji, regardless of the number of its code points.
const EMOJI: usize = 2;

/// The weighted length of a text as X counts it, or a little more where X's rules are ambiguous.
pub fn weighted(text: &str) -> usize {
    count(text, glyphs)
}

/// Checks whether X accepts a text as a post.
pub fn check(text: &str) -> Result<(), TextError> {
    judge(text, weighted(text))
}

/// The same for a text whose weighted length is known.
fn judge(text: &str, length: usize) -> Result<(), TextError> {
    let network = NetworkKind::X;
    if text.trim().is_empty() {
        return Err(TextError::Blank { network });
    }
    let invalid = |(_, character): &(usize, char)| is_invalid(*character);
    if let Some((before, character)) = text.chars().enumerate().find(invalid) {
        return Err(TextError::Character { network, code: character.into(), position: before + 1 });
    }
    if length > MAX {
        return Err(TextError::TooLong { network, length, max: MAX });
    }
    Ok(())
}

/// Whether X may find a link in a text.
pub(super) fn has_link(text: &str) -> bool {
    !link::links(&composed(text)).is_empty()
}

/// The weight of a text: of its links, and, as `plain` counts it, of the text between them.
fn count(text: &str, plain: fn(&str) -> usize) -> usize {
    let text = composed(text);
    let (mut sum, mut at) = (0, 0);
    for link in link::links(&text) {
        let weight = if link.is_sure { LINK } else { plain(&text[link.start..link.end]).max(LINK) };
        sum += plain(&text[at..link.start]) + weight;
        at = link.end;
    }
    sum + plain(&text[at..])
}

/// The text in NFC, the form in which X counts. Most texts are in NFC already.
fn composed(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

/// The weight of a text without links: an emoji sequence counts once, anything else by character.
fn glyphs(text: &str) -> usize {
    let (mut sum, mut rest) = (0, text);
    while let Some(next) = rest.chars().next() {
        let (weight, end) = match emoji::sequence_end(rest) {
            Some(end) => (EMOJI, end),
            // X's parsers disagree on whether these count as emoji without U+FE0F.
            None if matches!(next, '©' | '®') => (EMOJI, next.len_utf8()),
            None => (weight(next), next.len_utf8()),
        };
        sum += weight;
        rest = &rest[end..];
    }
    sum
}

/// The weight of a character. The inclusive ranges are those of the configuration.
fn weight(character: char) -> usize {
    match u32::from(character) {
        0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247 => 1,
        _ => 2,
    }
}
