//! Whether an entry fits a bot's network, and what it costs there: its texts, its pictures, its parts, and how it is shown.
//! What is in a picture's file is judged in `media`; here only its name and its description count.

use super::adapter::TextError;
use super::registry::{check, mentions_none, price};
use crate::flock::account::{Account, ServerPictures};
use crate::flock::content::{Content, Medium, Part};
use crate::flock::media::MediaKind;
use crate::flock::network::{AltUnit, MediaRules};
use crate::flock::post::{Cause, Why};
use crate::flock::{Bot, NetworkKind, Warnings};
use crate::media::PictureLimits;

/// Why an entry does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Its text does not fit.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The text of one of its parts does not fit.
    #[error("part {part}: {error}")]
    Part {
        /// Which part, from 1.
        part: usize,
        /// Why.
        error: TextError,
    },
    /// A post would have too many pictures.
    #[error(
        "{count} pictures, {max} is the most for a post on {network}: leave some out, or spread them over parts"
    )]
    TooManyPictures {
        /// Which network.
        network: NetworkKind,
        /// How many there are.
        count: usize,
        /// The maximum.
        max: usize,
    },
    /// A description is too long.
    #[error("the description of {name} has {length} characters, {max} is the most on {network}: shorten it")]
    AltTooLong {
        /// Which network.
        network: NetworkKind,
        /// The picture's file.
        name: String,
        /// The length of its description, as the network counts.
        length: usize,
        /// The maximum.
        max: usize,
    },
    /// The network takes no pictures of this type, and it can't be turned into another.
    #[error("{name} is a GIF, which {network} does not take: make it a JPEG, PNG or WebP")]
    GifRefused {
        /// Which network.
        network: NetworkKind,
        /// The picture's file.
        name: String,
    },
    /// A GIF has to be the only picture of its post.
    #[error("{name} is a GIF, which must be the only picture of a post on {network}: leave the others out")]
    GifNotAlone {
        /// Which network.
        network: NetworkKind,
        /// The picture's file.
        name: String,
    },
    /// The network has no place for the warning.
    #[error(
        "{network} has no place for its `{key}`: leave it out, or set warnings = \"ignore\" to post without it"
    )]
    Warning {
        /// Which network.
        network: NetworkKind,
        /// The key of the warning.
        key: &'static str,
    },
    /// The bot's sign-in does not allow uploading pictures.
    #[error("{}", .0.reason)]
    NoUploads(Why),
}

/// What a bot's network takes, as far as it is known: its server's limits, otherwise the usual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLimits {
    /// The maximum number of pictures of a post.
    pub per_post: usize,
    /// The maximum size of a file, in bytes.
    pub max_bytes: u64,
    /// The same for a GIF.
    pub max_gif_bytes: u64,
    /// The maximum number of pixels.
    pub max_pixels: u64,
    /// The maximum width and height.
    pub max_side: u32,
    /// The types that it takes.
    pub kinds: Vec<MediaKind>,
    /// The maximum length of a description.
    pub alt_max: usize,
    /// How that length is counted.
    pub alt_unit: AltUnit,
}

impl From<MediaLimits> for PictureLimits {
    fn from(limits: MediaLimits) -> Self {
        Self {
            animated: limits.kinds.iter().copied().filter(|kind| *kind == MediaKind::Gif).collect(),
            kinds: limits.kinds,
            max_bytes: limits.max_bytes,
            max_animated_bytes: limits.max_gif_bytes,
            max_pixels: Some(limits.max_pixels),
            max_side: Some(limits.max_side),
        }
    }
}

/// Which pictures a bot can post.
pub fn media_limits(bot: &Bot, account: Option<&Account>) -> MediaLimits {
    let rules = &bot.network.profile().media;
    let known = account.filter(|account| account.network == bot.network);
    let server = known.and_then(|account| account.pictures.as_ref());
    let usual = MediaLimits {
        per_post: rules.per_post,
        max_bytes: rules.max_bytes,
        max_gif_bytes: rules.max_gif_bytes,
        max_pixels: rules.max_pixels,
        max_side: rules.max_side,
        kinds: rules.kinds.to_vec(),
        alt_max: rules.alt_max,
        alt_unit: rules.alt_unit,
    };
    server.map_or(usual.clone(), |server| limits_of(server, usual))
}

/// The limits that a server says, and the usual ones for the rest.
fn limits_of(server: &ServerPictures, usual: MediaLimits) -> MediaLimits {
    let most = |number: Option<u32>, usual| number.and_then(|n| usize::try_from(n).ok()).unwrap_or(usual);
    let kinds = server.kinds.clone().filter(|kinds| !kinds.is_empty());
    MediaLimits {
        per_post: most(server.per_post, usual.per_post),
        max_bytes: server.max_bytes.unwrap_or(usual.max_bytes),
        max_gif_bytes: server.max_bytes.unwrap_or(usual.max_gif_bytes),
        max_pixels: server.max_pixels.unwrap_or(usual.max_pixels),
        alt_max: most(server.alt_max, usual.alt_max),
        kinds: kinds.unwrap_or(usual.kinds),
        ..usual
    }
}

/// Whether an account's tokens allow uploading pictures, as far as that is known.
///
/// # Errors
/// When they don't: why, and what to do. Texts can still be posted.
pub fn may_upload(account: &Account) -> Result<(), Why> {
    let network = account.network;
    let Some(scope) = network.profile().media.scope else { return Ok(()) };
    let granted: Vec<&str> = account
        .access
        .iter()
        .flat_map(|access| access.split([' ', ',']))
        .filter(|had| !had.is_empty())
        .collect();
    // An access level, as of OAuth 1.0a, is no list of scopes, and allows uploads wherever it allows posts.
    let are_scopes = granted.iter().any(|had| had.contains(['.', ':']));
    let covers = |had: &&str| *had == scope || Some(*had) == scope.split(':').next();
    if !are_scopes || granted.iter().any(covers) {
        return Ok(());
    }
    let reason = format!(
        "the bot's sign-in does not allow pictures, as it lacks {scope}: sign in again and agree to everything; until then \
         only texts are posted"
    );
    Err(Why::new(Cause::SignIn, reason))
}

/// Whether a bot can post this: each part fits, with its pictures and their descriptions.
///
/// # Errors
/// When it can't.
pub fn validate_content(bot: &Bot, account: Option<&Account>, content: &Content) -> Result<(), EntryError> {
    warnings_fit(bot, content)?;
    if let Some(account) = account
        && content.media().next().is_some()
    {
        may_upload(account).map_err(EntryError::NoUploads)?;
    }
    let limits = media_limits(bot, account);
    let spoiler_text = content.spoiler_text.as_deref().or(bot.options.spoiler_text.as_deref());
    if !bot.network.profile().threads.has_replies() {
        let whole = Part { text: content.whole_text(), media: content.media().cloned().collect() };
        text_fits(bot, account, spoiler_text, &whole)?;
        return pictures_fit(bot.network, &limits, &whole.media);
    }
    for (part, number) in content.parts.iter().zip(1..) {
        text_fits(bot, account, spoiler_text, part).map_err(|error| match content.parts.len() {
            1 => EntryError::Text(error),
            _ => EntryError::Part { part: number, error },
        })?;
        pictures_fit(bot.network, &limits, &part.media)?;
    }
    Ok(())
}

/// Whether the network has a place for the entry's own warnings, or the bot may leave them out.
fn warnings_fit(bot: &Bot, content: &Content) -> Result<(), EntryError> {
    let (network, MediaRules { hides_pictures, has_spoiler_text, .. }) =
        (bot.network, bot.network.profile().media);
    let key = match content {
        _ if bot.warnings == Warnings::Ignore => return Ok(()),
        Content { sensitive: true, .. } if !hides_pictures => "sensitive",
        Content { spoiler_text: Some(_), .. } if !has_spoiler_text => "spoiler_text",
        _ => return Ok(()),
    };
    Err(EntryError::Warning { network, key })
}

/// Whether the text of a part fits. Beside pictures it may be empty.
fn text_fits(
    bot: &Bot,
    account: Option<&Account>,
    spoiler_text: Option<&str>,
    part: &Part,
) -> Result<(), TextError> {
    mentions_none(bot, &part.text)?;
    match check(bot.network, spoiler_text, account, &part.text) {
        Err(TextError::Blank { .. }) if !part.media.is_empty() => Ok(()),
        checked => checked,
    }
}

/// Whether the pictures of a post fit: their number, their descriptions, and GIFs by their names.
fn pictures_fit(network: NetworkKind, limits: &MediaLimits, media: &[Medium]) -> Result<(), EntryError> {
    let (count, max) = (media.len(), limits.per_post);
    if count > max {
        return Err(EntryError::TooManyPictures { network, count, max });
    }
    for Medium { name, alt, .. } in media {
        let (length, max) = (limits.alt_unit.length(alt), limits.alt_max);
        if length > max {
            return Err(EntryError::AltTooLong { network, name: name.clone(), length, max });
        }
    }
    let Some(Medium { name, .. }) = media.iter().find(|medium| is_gif(&medium.name)) else { return Ok(()) };
    let name = name.clone();
    match network.profile().media.gif_alone && count > 1 {
        _ if !limits.kinds.contains(&MediaKind::Gif) => Err(EntryError::GifRefused { network, name }),
        true => Err(EntryError::GifNotAlone { network, name }),
        false => Ok(()),
    }
}

/// Whether a file is a GIF, by its name.
fn is_gif(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("gif"))
}

/// What an entry costs on a network, in thousandths of a US dollar: all of its posts, with their pictures.
pub fn price_of(network: NetworkKind, content: &Content) -> u32 {
    let prices = network.profile().prices;
    let texts = content.parts.iter().map(|part| price(network, &part.text));
    let described = |medium: &Medium| if medium.alt.is_empty() { 0 } else { prices.alt_text };
    let pictures = content.media().map(|medium| prices.upload + described(medium));
    texts.chain(pictures).fold(0, u32::saturating_add)
}

#[cfg(test)]
mod tests;
