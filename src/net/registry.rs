//! The networks and their code. A new network has a line here, and its facts in [`crate::flock::network`]. What a text is on a
//! bot's network is asked here: whether it fits, how long it is, whom it mentions, what it costs.

use std::sync::Arc;

use super::adapter::{Adapter, ClientConfig, TextError};
use super::diagnosis::Explanation;
use super::{AccountApi, bluesky, feed, mastodon, x};
use crate::flock::account::Account;
use crate::flock::{Bot, Mentions, NetworkKind};

/// What the answers of all networks may mean, for the manual.
pub fn explanations() -> impl Iterator<Item = Explanation> {
    let networks = [x::diagnosis::ALL, mastodon::diagnosis::ALL, bluesky::diagnosis::ALL];
    networks.into_iter().flatten().map(|diagnosis| diagnosis.explained())
}

/// The code of the diagnosis that a message ends with; a server's words, which stand before it, may look like one.
pub fn code_in(message: &str) -> Option<&'static str> {
    let networks = [x::diagnosis::ALL, mastodon::diagnosis::ALL, bluesky::diagnosis::ALL];
    let written = message.rsplit('[').filter_map(|piece| piece.split_once(']')).map(|(code, _)| code);
    let known =
        |code: &str| networks.into_iter().flatten().map(|known| known.code).find(|known| *known == code);
    written.filter_map(known).next()
}

const fn adapter(network: NetworkKind) -> &'static Adapter {
    match network {
        NetworkKind::X => &x::ADAPTER,
        NetworkKind::Mastodon => &mastodon::ADAPTER,
        NetworkKind::Bluesky => &bluesky::ADAPTER,
        NetworkKind::Feed | NetworkKind::Paper => &feed::ADAPTER,
    }
}

/// A bot's client on a network; `None` if the network has no accounts.
pub fn connect(network: NetworkKind, config: ClientConfig) -> Option<Arc<dyn AccountApi>> {
    Some((adapter(network).connect?)(config))
}

/// Whether a bot can post a text, and whether it leaves people alone if the bot is not to mention any.
///
/// # Errors
/// When it can't.
pub fn validate(bot: &Bot, account: Option<&Account>, text: &str) -> Result<(), TextError> {
    mentions_none(bot, text)?;
    check(bot.network, bot.options.spoiler_text.as_deref(), account, text)
}

/// Whether a text leaves people alone if the bot is not to mention any.
pub(super) fn mentions_none(bot: &Bot, text: &str) -> Result<(), TextError> {
    if bot.mentions == Mentions::Refuse
        && let Some(name) = mentions(bot.network, text).first()
    {
        return Err(TextError::Mention { network: bot.network, name: (*name).to_owned() });
    }
    Ok(())
}

/// Whether a network takes a text with this content warning.
pub(super) fn check(
    network: NetworkKind,
    spoiler_text: Option<&str>,
    account: Option<&Account>,
    text: &str,
) -> Result<(), TextError> {
    (adapter(network).text.check)(spoiler_text, account, text)
}

/// How long a text is as the bot's network counts, and how long it may be there.
pub fn length(bot: &Bot, account: Option<&Account>, text: &str) -> (usize, usize) {
    (adapter(bot.network).text.length)(bot, account, text)
}

/// The accounts that the network would notify of a post with this text, as written in the text.
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
