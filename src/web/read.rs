//! What the pages and feeds read from the ledger. How it looks is not decided here.

use std::cmp::Reverse;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Site;
use crate::flock::post::{Post, PostId, State};
use crate::flock::{Bot, Flock, NetworkKind};
use crate::store::{Filter, StoreError};

/// How many bots a page lists: each costs a small read, and nobody scrolls through more.
pub(super) const BOTS_A_PAGE: usize = 100;

/// How many lines the index shows: an evening's reading, and a page of some 20 KB.
const LINES_SHOWN: u32 = 40;

/// How many entries a feed has. Readers that come by once a day miss nothing of a bot with a post every
/// half hour.
const FEED_ENTRIES: u32 = 50;

/// Which page of the bots is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Its number, from 1.
    pub(super) number: usize,
    /// How many there are, at least 1.
    pub(super) of: usize,
}

impl Leaf {
    /// The page that a query asks for, the first if it asks for none; `None` where there is no such page.
    pub(super) fn asked(query: Option<&str>, bots: usize) -> Option<Self> {
        let of = bots.div_ceil(BOTS_A_PAGE).max(1);
        let asked = query.unwrap_or("").split('&').find_map(|pair| pair.strip_prefix("page="));
        let number = asked.map_or(Some(1), |text| text.parse().ok())?;
        (1..=of).contains(&number).then_some(Self { number, of })
    }
}

/// The index page's matter.
pub(super) struct Index<'a> {
    pub(super) flock: &'a Flock,
    pub(super) leaf: Leaf,
    /// The bots of this page, each with what it posted last.
    pub(super) bots: Vec<(&'a Arc<Bot>, Option<Post>)>,
    /// The newest posts of all bots, newest first; on the first page only.
    pub(super) newest: Vec<Post>,
}

/// Reads what the index page shows.
pub(super) async fn index<'a>(site: &Site, flock: &'a Flock, leaf: Leaf) -> Result<Index<'a>, StoreError> {
    let newest = posted(site, Filter { limit: Some(LINES_SHOWN), ..Filter::default() }).await?;
    let mut bots = Vec::new();
    for bot in flock.bots.iter().skip((leaf.number - 1) * BOTS_A_PAGE).take(BOTS_A_PAGE) {
        // Most bots of a small flock are among the newest posts: one read serves them all.
        let last = match newest.iter().find(|post| post.bot == bot.name) {
            Some(post) => Some(post.clone()),
            None => last_of(site, bot).await?,
        };
        bots.push((bot, last));
    }
    let newest = if leaf.number == 1 { newest } else { Vec::new() };
    Ok(Index { flock, leaf, bots, newest })
}

async fn last_of(site: &Site, bot: &Bot) -> Result<Option<Post>, StoreError> {
    let filter = Filter { bot: Some(bot.name.clone()), limit: Some(1), ..Filter::default() };
    Ok(posted(site, filter).await?.into_iter().next())
}

/// The newest posts that a bot has in its feed, newest first.
pub(super) async fn feed_posts(site: &Site, bot: &Bot) -> Result<Vec<Post>, StoreError> {
    let filter = Filter {
        bot: Some(bot.name.clone()),
        network: Some(NetworkKind::Feed),
        limit: Some(FEED_ENTRIES),
        ..Filter::default()
    };
    posted(site, filter).await
}

/// A post that has its page here: it was posted to one of the feeds, and is not taken back.
pub(super) async fn feed_post(site: &Site, id: PostId) -> Result<Option<Post>, StoreError> {
    let here = |post: &Post| post.network == NetworkKind::Feed && post.state == State::Posted;
    Ok(site.store.post(id).await?.filter(here))
}

/// The ledger sorts by the time of planning; readers care for the time of posting.
pub(super) async fn posted(site: &Site, filter: Filter) -> Result<Vec<Post>, StoreError> {
    let mut posts = site.store.posts(&Filter { state: Some(State::Posted), ..filter }).await?;
    posts.sort_by_key(|post| Reverse((posted_at(post), post.id)));
    Ok(posts)
}

/// When a post was posted.
pub(super) fn posted_at(post: &Post) -> DateTime<Utc> {
    post.settled_at.unwrap_or(post.planned_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_there_is_not_asked_for() {
        let number = |query, bots| Leaf::asked(query, bots).map(|leaf| (leaf.number, leaf.of));
        assert_eq!(number(None, 0), Some((1, 1)));
        assert_eq!(number(Some("x=1&page=2"), 101), Some((2, 2)));
        assert_eq!(number(Some("page=50"), 5_000), Some((50, 50)));
        for nonsense in ["page=0", "page=51", "page=-1", "page=", "page=1e3", "page=99999999999999999999"] {
            assert_eq!(number(Some(nonsense), 5_000), None, "{nonsense}");
        }
    }
}
