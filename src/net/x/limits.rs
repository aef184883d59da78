//! How many posts X accepts (docs.x.com, "Rate limits"), and what it charges for them, in thousandths of a US dollar:
//! pay-per-use since 2026-02-06, prices of 2026-04-20 (docs.x.com, "Pricing"). This is what can be known before any post
//! is sent; X's answers say how many are left. How much an app may spend is the engine's business.

use std::time::Duration;

use super::length;
use crate::net::Limits;

/// The limits of `POST /2/tweets`; where X's pages differ, the lower number.
pub const LIMITS: Limits =
    Limits { of_app_per_day: Some(10_000), of_bot: 100, window: Duration::from_secs(15 * 60) };

/// A post.
const POST: u32 = 15;

/// A post with a link in it.
const POST_WITH_LINK: u32 = 200;

/// Each post that is read. X charges less where the account owns the app, which can't be known here.
const READ: u32 = 5;

/// X shows no more than the newest 3,200 posts of an account (docs.x.com, "Timelines").
pub(super) const SHOWN: usize = 3_200;

/// What it costs at most to read all that X shows of an account.
pub fn price_of_history() -> u32 {
    price_of_reading(SHOWN)
}

/// What a post with this text costs. Where it is not sure whether X finds a link in it, the larger price.
pub fn price_of_post(text: &str) -> u32 {
    if length::has_link(text) { POST_WITH_LINK } else { POST }
}

/// What it costs to read so many posts.
pub(super) fn price_of_reading(posts: usize) -> u32 {
    u32::try_from(posts).unwrap_or(u32::MAX).saturating_mul(READ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_its_price_with_a_scheme_or_without() {
        assert_eq!(price_of_post("a line, e.g. of prose... and so on"), POST);
        for text in
            ["see https://example.org/a", "see example.com", "www.example.org", "a.gives", "a.web", "a.intel"]
        {
            assert_eq!(price_of_post(text), POST_WITH_LINK, "{text}");
        }
        assert_eq!((price_of_reading(0), price_of_reading(3)), (0, 15));
    }
}
