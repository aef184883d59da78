//! What X charges, in thousandths of a US dollar. Pay-per-use since 2026-02-06, prices of 2026-04-20 (docs.x.com,
//! "Pricing"). How much an app may spend is the engine's business.

use super::length;

/// A post.
const POST: u32 = 15;

/// A post with a link in it.
const POST_WITH_LINK: u32 = 200;

/// Each post that is read. It is less where the account owns the app, which nobody here can know.
const READ: u32 = 5;

/// X shows no more than the newest 3,200 posts of an account (docs.x.com, "Timelines").
pub(super) const SHOWN: usize = 3_200;

/// What it costs at most to read all that X shows of an account.
pub fn of_history() -> u32 {
    of_reading(SHOWN)
}

/// What a post with this text costs. Where it is not sure whether X finds a link in it, the larger price.
pub fn of_post(text: &str) -> u32 {
    if length::has_link(text) { POST_WITH_LINK } else { POST }
}

/// What it costs to read so many posts.
pub(super) fn of_reading(posts: usize) -> u32 {
    u32::try_from(posts).unwrap_or(u32::MAX).saturating_mul(READ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_its_price_with_a_scheme_or_without() {
        assert_eq!(of_post("a line, e.g. of prose... and so on"), POST);
        for text in
            ["see https://example.org/a", "see example.com", "www.example.org", "a.gives", "a.web", "a.intel"]
        {
            assert_eq!(of_post(text), POST_WITH_LINK, "{text}");
        }
        assert_eq!((of_reading(0), of_reading(3)), (0, 15));
    }
}
