//! What a text is on a bot's network: whether it fits and why not, how long it is, whom it mentions, what it costs. Each
//! network's own way of counting is with the network.

use super::registry::adapter;
use crate::flock::account::Account;
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

/// A network's own ways with a text.
pub(super) struct TextRules {
    /// Whether a bot can post it, counted as its network counts, by the limits that its server has told.
    pub(super) check: fn(&Bot, Option<&Account>, &str) -> Result<(), TextError>,
    /// How long it is, and how long it may be.
    pub(super) length: fn(&Bot, Option<&Account>, &str) -> (usize, usize),
    /// Whom the network would tell of it, each as it stands there.
    pub(super) mentions: for<'t> fn(&'t str) -> Vec<&'t str>,
    /// Whether the network may find a link in it.
    pub(super) has_link: fn(&str) -> bool,
}

/// Whether a bot can post a text, and whether it leaves people alone if the bot is not to mention any.
///
/// # Errors
/// When it can't.
pub fn validate(bot: &Bot, account: Option<&Account>, text: &str) -> Result<(), TextError> {
    if bot.mentions == Mentions::Refuse
        && let Some(name) = mentions(bot.network, text).first()
    {
        return Err(TextError::Mention { network: bot.network, name: (*name).to_owned() });
    }
    (adapter(bot.network).text.check)(bot, account, text)
}

/// How long a text is as the bot's network counts, and how long it may be there.
pub fn length(bot: &Bot, account: Option<&Account>, text: &str) -> (usize, usize) {
    (adapter(bot.network).text.length)(bot, account, text)
}

/// Whom a network would tell of a post with this text, each as it stands there.
pub fn mentions(network: NetworkKind, text: &str) -> Vec<&str> {
    (adapter(network).text.mentions)(text)
}

/// What a post with this text costs on a network, in thousandths of a US dollar. Where it is not sure whether the network
/// finds a link in it, the larger price.
pub fn price(network: NetworkKind, text: &str) -> u32 {
    let prices = network.profile().prices;
    let costs_more = prices.post_with_link > prices.post && (adapter(network).text.has_link)(text);
    if costs_more { prices.post_with_link } else { prices.post }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_its_price_with_a_scheme_or_without() {
        let prices = NetworkKind::X.profile().prices;
        assert_eq!(price(NetworkKind::X, "a line, e.g. of prose... and so on"), prices.post);
        for text in
            ["see https://example.org/a", "see example.com", "www.example.org", "a.gives", "a.web", "a.intel"]
        {
            assert_eq!(price(NetworkKind::X, text), prices.post_with_link, "{text}");
            assert_eq!(price(NetworkKind::Mastodon, text), 0);
        }
        assert_eq!((prices.of_reading(0), prices.of_reading(3), prices.of_history()), (0, 15, 16_000));
    }
}
