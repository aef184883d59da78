//! Whether a text fits a bot's network, and how long it is there. Each network's own count is with the network.

use super::{Misfit, bluesky, feed, mastodon, mentions, x};
use crate::flock::account::{Account, TextLimits};
use crate::flock::{Bot, Mentions, NetworkKind};

/// Whether a bot can post a text, counted as its network counts, and, where its server has limits of its own, by those
/// that are remembered with its account; and whether it mentions nobody, if the bot is not to.
pub fn fits(bot: &Bot, account: Option<&Account>, text: &str) -> Result<(), Misfit> {
    if bot.mentions == Mentions::Refuse
        && let Some(name) = mentions(bot.network, text).first()
    {
        return Err(Misfit::Mention { network: bot.network, name: (*name).to_owned() });
    }
    match bot.network {
        NetworkKind::X => x::length::check(text),
        NetworkKind::Mastodon => {
            let limits = mastodon_limits(bot, account);
            mastodon::length::check(text, bot.manner.spoiler_text.as_deref(), limits)
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
            let (spoiler_text, limits) = (bot.manner.spoiler_text.as_deref(), mastodon_limits(bot, account));
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
