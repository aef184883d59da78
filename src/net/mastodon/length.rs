//! How long a text is on a Mastodon server.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::flock::NetworkKind;
use crate::flock::account::TextLimits;
use crate::net::Misfit;

/// What a server allows unless it is told otherwise (docs.joinmastodon.org, entities/Instance).
pub const USUAL: TextLimits = TextLimits { characters: 500, per_url: 23 };

/// Whether a text fits a server with these limits, together with what is shown instead of it.
///
/// # Errors
/// When it does not.
pub fn check(text: &str, spoiler_text: Option<&str>, limits: TextLimits) -> Result<(), Misfit> {
    let network = NetworkKind::Mastodon;
    let length = text.graphemes(true).count() + spoiler_text.map_or(0, |text| text.graphemes(true).count());
    let max = usize::try_from(limits.characters).unwrap_or(usize::MAX);
    match length {
        _ if text.trim().is_empty() => Err(Misfit::Blank { network }),
        _ if length <= max => Ok(()),
        _ => Err(Misfit::TooLong { network, length, max }),
    }
}
