//! Reading what an account has posted, page by page, newest first: when it is not known whether a post arrived, and after
//! the ledger was restored from a backup.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Rejection, RemotePost, Timeline};
use crate::flock::post::{Cause, Post, Why};

/// How long before the first attempt, by the server's clock, a post may have been made to still be that attempt: a
/// minute, plus the difference between clocks that goes unnoticed.
pub(super) const CLOCK_SLACK: TimeDelta = TimeDelta::minutes(6);

/// The source of a timeline's pages.
pub(super) trait PageSource {
    /// A post as the page shows it.
    type Post;

    /// The newest page, or the one after `cursor`.
    ///
    /// # Errors
    /// When the page can't be read now.
    async fn page(&mut self, cursor: Option<&str>) -> Result<Fetched<Self::Post>, Rejection>;
}

/// The result of requesting a page.
pub(super) enum Fetched<P> {
    /// Its posts, newest first, and the cursor of the next page, if there is one.
    Page(Vec<P>, Option<String>),
    /// Nothing: the same page has to be requested again, in another way.
    Retry,
    /// The account must not be read.
    Unavailable(Why),
}

/// Reads pages until there are no more, but at most `pages_max` of them.
pub(super) async fn read_pages<S: PageSource>(
    source: &mut S,
    pages_max: usize,
) -> Result<Timeline<S::Post>, Rejection> {
    let (mut posts, mut cursor) = (Vec::new(), None);
    for _ in 0..pages_max {
        match source.page(cursor.as_deref()).await? {
            Fetched::Page(page, next) => {
                posts.extend(page);
                match next {
                    Some(next) => cursor = Some(next),
                    None => return Ok(Timeline::Complete(posts)),
                }
            }
            Fetched::Retry => {}
            Fetched::Unavailable(why) => return Ok(Timeline::Unavailable(why)),
        }
    }
    let why = too_many(posts.len(), "since then");
    Ok(Timeline::Partial(posts, why))
}

/// Why only some of an account's posts were read.
pub(super) fn too_many(number: usize, which: &str) -> Why {
    Why::new(Cause::Silence, format!("the account has more than {number} posts {which}, too many to read"))
}

/// Why nothing can be read for a session without an account.
pub(super) fn unknown_account() -> Why {
    Why::new(Cause::Account, "it is not known which account this is")
}

/// The earliest time at which a post can have arrived. The clock may have been ahead when the request left, and been
/// set since, so the earliest time that it has shown counts.
pub(super) fn earliest(post: &Post, now: DateTime<Utc>) -> DateTime<Utc> {
    let shown = [post.sent_at, post.settled_at, Some(now)];
    shown.into_iter().flatten().min().unwrap_or(post.planned_at)
}

impl Timeline {
    /// The same, in reverse order.
    pub(super) fn reversed(self) -> Self {
        let reversed = |mut posts: Vec<RemotePost>| {
            posts.reverse();
            posts
        };
        match self {
            Self::Complete(posts) => Self::Complete(reversed(posts)),
            Self::Partial(posts, why) => Self::Partial(reversed(posts), why),
            Self::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of numbers; every third page has to be requested twice.
    struct Numbers {
        pages: usize,
        asked: usize,
    }

    impl PageSource for Numbers {
        type Post = usize;

        async fn page(&mut self, cursor: Option<&str>) -> Result<Fetched<usize>, Rejection> {
            self.asked += 1;
            if self.asked.is_multiple_of(3) {
                return Ok(Fetched::Retry);
            }
            let page: usize = cursor.map_or(0, |cursor| cursor.parse().unwrap());
            let next = (page + 1 < self.pages).then(|| (page + 1).to_string());
            Ok(Fetched::Page(vec![2 * page, 2 * page + 1], next))
        }
    }

    #[tokio::test]
    async fn pages_are_read_to_the_end_or_to_the_bound() {
        let mut four = Numbers { pages: 4, asked: 0 };
        let all = read_pages(&mut four, 5).await.unwrap();
        assert_eq!((all, four.asked), (Timeline::Complete((0..8).collect()), 5));
        let mut five = Numbers { pages: 5, asked: 0 };
        let part = read_pages(&mut five, 5).await.unwrap();
        let Timeline::Partial(posts, why) = part else { panic!("{part:?}") };
        assert_eq!((posts.len(), five.asked, why.cause), (8, 5, Cause::Silence));
        assert!(why.reason.contains("more than 8 posts"), "{}", why.reason);
    }
}
