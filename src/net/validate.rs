//! Whether a bot can post a text on its network, why not, and how long the text is there. Each network's own way of
//! counting is with the network.

use super::{bluesky, feed, mastodon, mentions, x};
use crate::flock::account::{Account, TextLimits};
use crate::flock::{Bot, Mentions, NetworkKind};

/// Why a text does not fit a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Too long by the network's own way of counting.
    #[error("{length} characters as {network} counts them, {max} is the most: shorten it")]
    TooLong {
        /// Which network.
        network: NetworkKind,
        /// Its length there.
        length: usize,
        /// The most it may have.
        max: usize,
    },
    /// More bytes than the network takes, though not too many characters.
    #[error("{bytes} bytes, {max} is the most on {network}: shorten it")]
    TooHeavy {
        /// Which network.
        network: NetworkKind,
        /// Its length in UTF-8.
        bytes: usize,
        /// The most it may have.
        max: usize,
    },
    /// A character that the network refuses.
    #[error("character {position} is U+{code:04X}, which {network} refuses: remove it")]
    Character {
        /// Which network.
        network: NetworkKind,
        /// The code point.
        code: u32,
        /// Which character of the text it is, from 1.
        position: usize,
    },
    /// It mentions a person, and the bot is not to.
    #[error("it mentions {name} on {network}, and `mentions` is \"refuse\": take the name out")]
    Mention {
        /// Which network.
        network: NetworkKind,
        /// Who, as it stands in the text.
        name: String,
    },
    /// Nothing in it that the network would show.
    #[error("nothing in it that {network} would show: write something visible")]
    Blank {
        /// Which network.
        network: NetworkKind,
    },
}

/// Whether a bot can post a text, counted as its network counts, and, where its server has limits of its own, by those
/// that are remembered with its account; and whether it leaves people alone, if the bot is not to mention any.
pub fn validate(bot: &Bot, account: Option<&Account>, text: &str) -> Result<(), TextError> {
    if bot.mentions == Mentions::Refuse
        && let Some(name) = mentions(bot.network, text).first()
    {
        return Err(TextError::Mention { network: bot.network, name: (*name).to_owned() });
    }
    match bot.network {
        NetworkKind::X => x::length::check(text),
        NetworkKind::Mastodon => {
            let limits = mastodon_limits(bot, account);
            mastodon::length::check(text, bot.options.spoiler_text.as_deref(), limits)
        }
        NetworkKind::Bluesky => bluesky::length::check(text),
        NetworkKind::Feed | NetworkKind::Paper => feed::check(text),
    }
}

/// How long a text is as the bot's network counts, and how long it may be there.
pub fn length(bot: &Bot, account: Option<&Account>, text: &str) -> (usize, usize) {
    match bot.network {
        NetworkKind::X => (x::length::weighted(text), x::length::MAX),
        NetworkKind::Mastodon => {
            let (spoiler_text, limits) = (bot.options.spoiler_text.as_deref(), mastodon_limits(bot, account));
            let length = mastodon::length::length(text, spoiler_text.unwrap_or_default(), limits.per_url);
            (length, usize::try_from(limits.characters).unwrap_or(usize::MAX))
        }
        NetworkKind::Bluesky => (bluesky::length::length(text), bluesky::length::MAX),
        NetworkKind::Feed | NetworkKind::Paper => (text.chars().count(), feed::MAX),
    }
}

/// What a bot's server allows, as far as it is remembered with its account.
fn mastodon_limits(bot: &Bot, account: Option<&Account>) -> TextLimits {
    let known = account.filter(|account| account.network == bot.network);
    known.and_then(|account| account.limits).unwrap_or(mastodon::length::USUAL)
}
