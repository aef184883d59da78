//! What an account has posted since the backup from which the ledger was restored.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::record::{POSTS, key_in};
use super::{Bluesky, BlueskySession, session_of, tid};
use crate::flock::account::Tokens;
use crate::net::timeline::{Fetched, PageSource, read_pages};
use crate::net::{Rejection, RemotePost, Session, Timeline, require_tokens};

/// Posts per page: even the longest ones, with facets, stay within the size limit of an answer.
const PAGE: &str = "40";
/// How many pages are read. No bot of ours posts more than 10,000 times between a backup and its return.
const PAGES: usize = 250;
/// How long a post may wait between planning and sending: an hour unless `max_late` says otherwise. Its key
/// is as old as its plan.
const BEFORE: TimeDelta = TimeDelta::hours(24);

impl Bluesky {
    /// All posts of the account since an instant, oldest first.
    pub(super) async fn posted_since(
        &self,
        since: DateTime<Utc>,
        session: &Session,
    ) -> Result<Timeline, Rejection> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let mut pages = RecordPages { bluesky: self, tokens, session: session_of(tokens)?, since };
        Ok(match read_pages(&mut pages, PAGES).await? {
            Timeline::Complete(posts) => Timeline::Complete(in_order(posts, since)),
            Timeline::Partial(posts, why) => Timeline::Partial(in_order(posts, since), why),
            Timeline::Unavailable(why) => Timeline::Unavailable(why),
        })
    }
}

/// The pages of an account. Records are sorted by key, newest first; a key contains the time at which it was
/// made.
struct RecordPages<'a> {
    bluesky: &'a Bluesky,
    tokens: &'a Tokens,
    session: BlueskySession<'a>,
    since: DateTime<Utc>,
}

impl PageSource for RecordPages<'_> {
    type Post = RemotePost;

    async fn page(&mut self, cursor: Option<&str>) -> Result<Fetched<RemotePost>, Rejection> {
        let BlueskySession { did, server, .. } = self.session;
        let mut asked = vec![("repo", did), ("collection", POSTS), ("limit", PAGE)];
        asked.extend(cursor.map(|cursor| ("cursor", cursor)));
        let request = self.bluesky.query(server, "com.atproto.repo.listRecords", &asked, None)?;
        let page = self.bluesky.done(request, "show the account's posts", self.tokens).await?;
        let records = page["records"].as_array().map_or(&[][..], Vec::as_slice);
        let known = |record: &Value| {
            let uri = record["uri"].as_str().filter(|uri| key_in(uri, did).is_some())?;
            Some(self.bluesky.seen(uri.to_owned(), &record["value"]))
        };
        let posts: Vec<RemotePost> = records.iter().filter_map(known).collect();
        let made = |post: &RemotePost| key_in(&post.remote_id, did).and_then(tid::time_of);
        let is_last = posts.last().and_then(made).is_some_and(|at| at < self.since - BEFORE);
        let next = page["cursor"].as_str().filter(|_| !is_last && !records.is_empty());
        Ok(Fetched::Page(posts, next.map(str::to_owned)))
    }
}

/// The posts since an instant, oldest first; posts of the same instant are sorted by key.
fn in_order(mut posts: Vec<RemotePost>, since: DateTime<Utc>) -> Vec<RemotePost> {
    posts.retain(|post| post.at >= since);
    posts.reverse();
    posts.sort_by_key(|post| post.at);
    posts
}
