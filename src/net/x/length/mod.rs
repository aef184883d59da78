//! How long X thinks a text is, and whether it would take it as a post.
//!
//! Here: weights of characters, the sum, and the verdict. In `net/link`
//! and `emoji`: what is taken out of the text before characters are weighed. Not here: what to do
//! with a text that does not fit, other networks' limits, and the longer posts of paying accounts.
//!
//! Sources: twitter-text, configuration v3 (280 at most, 100 or 200 hundredths a character,
//! 23 a link, 2 an emoji), its published reference behaviour, and its conformance cases.
//!
//! Where the rules leave doubt the larger count is taken: a line wrongly called long is passed
//! over, while one wrongly called short is refused by X.

mod emoji;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::flock::NetworkKind;
use crate::net::TextError;
use crate::net::link::{self, is_invalid};

/// The most weighted characters a post may have (twitter-text configuration v3).
pub const MAX: usize = 280;

/// What a link weighs, however long: X puts a `t.co` address of this length in its place.
const LINK: usize = 23;

/// What an emoji weighs, however many code points it is made of.
const EMOJI: usize = 2;

/// Weighted length of a text as X counts it, or a little more where X's rules leave doubt.
pub fn weighted(text: &str) -> usize {
    count(text, glyphs)
}

/// Whether X would take a text as a post, and if not, why.
pub fn check(text: &str) -> Result<(), TextError> {
    judge(text, weighted(text))
}

/// The verdict on a text whose weight is known.
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

/// The weight of a text's links and, by `plain`, of all that stands between them.
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

/// The text in NFC, in which X counts; most texts already are.
fn composed(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect()),
    }
}

/// The weight of text without links: emoji sequences whole, the rest by the character.
fn glyphs(text: &str) -> usize {
    let (mut sum, mut rest) = (0, text);
    while let Some(next) = rest.chars().next() {
        let (weight, end) = match emoji::sequence_end(rest) {
            Some(end) => (EMOJI, end),
            // X's parsers disagree on whether these are emoji without U+FE0F.
            None if matches!(next, '©' | '®') => (EMOJI, next.len_utf8()),
            None => (weight(next), next.len_utf8()),
        };
        sum += weight;
        rest = &rest[end..];
    }
    sum
}

/// What one character weighs: the ranges are those of the configuration, end included.
fn weight(character: char) -> usize {
    match u32::from(character) {
        0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247 => 1,
        _ => 2,
    }
}
