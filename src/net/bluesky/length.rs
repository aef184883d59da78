//! How long a text is on Bluesky.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::flock::NetworkKind;
use crate::net::Misfit;

/// The most graphemes of a post (lexicon app.bsky.feed.post).
const MAX: usize = 300;

/// Whether a text fits.
///
/// # Errors
/// When it does not.
pub fn check(text: &str) -> Result<(), Misfit> {
    let network = NetworkKind::Bluesky;
    let length = text.graphemes(true).count();
    match length {
        _ if text.trim().is_empty() => Err(Misfit::Blank { network }),
        0..=MAX => Ok(()),
        _ => Err(Misfit::TooLong { network, length, max: MAX }),
    }
}
