//! TEMPORARY
use crate::flock::account::Account;
use crate::flock::content::Content;
use crate::flock::poem::Entry;
use crate::flock::{Bot, NetworkKind};
use crate::media::PictureLimits;
use crate::net::{self, TextError};
use std::time::Duration;
pub(super) fn part_pause(network: NetworkKind) -> Duration {
    if network == NetworkKind::X { Duration::from_secs(5) } else { Duration::ZERO }
}
pub(super) fn max_age(_: NetworkKind) -> Duration {
    Duration::from_secs(3000)
}
pub(super) fn picture_limits(_: &Bot, _: Option<&Account>) -> PictureLimits {
    PictureLimits {
        kinds: crate::flock::media::MediaKind::ALL.to_vec(),
        animated: vec![],
        max_bytes: 2_000_000,
        max_animated_bytes: 2_000_000,
        max_pixels: None,
        max_side: None,
    }
}
pub(super) fn validate_entry(bot: &Bot, account: Option<&Account>, entry: &Entry) -> Result<(), TextError> {
    match &entry.content {
        Some(content) => validate_content(bot, account, content),
        None => net::validate(bot, account, &entry.text),
    }
}
pub(super) fn validate_content(
    bot: &Bot,
    account: Option<&Account>,
    content: &Content,
) -> Result<(), TextError> {
    content
        .parts
        .iter()
        .filter(|part| part.media.is_empty())
        .try_for_each(|part| net::validate(bot, account, &part.text))
}
pub(super) fn price_of(network: NetworkKind, content: &Content) -> u32 {
    content.parts.iter().map(|part| net::price(network, &part.text)).sum()
}
