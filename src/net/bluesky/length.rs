//! The length of a text on Bluesky: in graphemes, so that a flag or a family emoji counts as one, and in
//! bytes.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::flock::NetworkKind;
use crate::net::TextError;

/// The maximum length of a post, in graphemes and in bytes of UTF-8 (lexicon app.bsky.feed.post).
pub const MAX: usize = 300;
const BYTES_MAX: usize = 3_000;

/// Whether a text fits.
///
/// # Errors
/// When it does not.
pub fn check(text: &str) -> Result<(), TextError> {
    let network = NetworkKind::Bluesky;
    let length = length(text);
    match length {
        _ if text.trim().is_empty() => Err(TextError::Blank { network }),
        0..=MAX if text.len() > BYTES_MAX => {
            Err(TextError::TooHeavy { network, bytes: text.len(), max: BYTES_MAX })
        }
        0..=MAX => Ok(()),
        _ => Err(TextError::TooLong { network, length, max: MAX }),
    }
}

/// The length of a text in graphemes.
pub fn length(text: &str) -> usize {
    text.graphemes(true).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_what_people_see_as_one() {
        // Published examples of AT Protocol and more: whole clusters, whatever they consist of.
        for (text, expected) in [
            ("", 0),
            ("a~öñ©⽘", 6),
            ("👨‍👩‍👧‍👧", 1),
            ("👩‍👩‍👦‍👦🇩🇪🏳️‍🌈", 3),
            ("👍🏿👍🏻", 2),
            ("e\u{301}o\u{308}\u{332}", 2),
            ("नमस्ते", 3),
            ("שָׁלוֹם", 4),
            ("한국어", 3),
            ("\r\n", 1),
            ("1️⃣#️⃣", 2),
        ] {
            assert_eq!(length(text), expected, "{text:?}");
        }
    }

    #[test]
    fn both_limits_count() {
        assert_eq!(check(&"🇩🇪".repeat(300)), Ok(()));
        let network = NetworkKind::Bluesky;
        assert_eq!(check(&"🇩🇪".repeat(301)), Err(TextError::TooLong { network, length: 301, max: 300 }));
        let family = "👨‍👩‍👧‍👧";
        assert_eq!(check(&family.repeat(120)), Ok(()), "{} bytes each", family.len());
        assert_eq!(
            check(&family.repeat(121)),
            Err(TextError::TooHeavy { network, bytes: 3_025, max: 3_000 })
        );
        assert_eq!(check(" \u{3000}\n"), Err(TextError::Blank { network }));
    }
}
