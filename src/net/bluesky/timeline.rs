//! What an account has posted lately: after the ledger was put back from a copy, all of it counts.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::record::{POSTS, key_in};
use super::{Bluesky, held, tid};
use crate::flock::post::{Cause, Why};
use crate::net::{Rejection, RemotePost, Session, Timeline, require_tokens};

/// Posts of a page: of the longest there are, with facets, fewer than the bytes of an answer that are read.
const PAGE: &str = "40";
/// So many pages are read. Whoever posts more than 10,000 times between a backup and its return is no bot of ours.
const PAGES: usize = 250;
/// So long before an instant a post may have been planned that was sent after it: a planned post waits for an hour
/// unless `max_late` says otherwise, and its key is as old as its plan.
const BEFORE: TimeDelta = TimeDelta::hours(24);

impl Bluesky {
    /// All that the account has posted since then, oldest first.
    pub(super) async fn posted_since(
        &self,
        since: DateTime<Utc>,
        session: &Session,
    ) -> Result<Timeline, Rejection> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let held = held(tokens)?;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for _ in 0..PAGES {
            let mut asked = vec![("repo", held.did), ("collection", POSTS), ("limit", PAGE)];
            if !cursor.is_empty() {
                asked.push(("cursor", &cursor));
            }
            let request = self.query(held.server, "com.atproto.repo.listRecords", &asked, None)?;
            let page = self.done(request, "show the account's posts", tokens).await?;
            let records = page["records"].as_array().map_or(&[][..], Vec::as_slice);
            let known = |record: &Value| {
                let uri = record["uri"].as_str().filter(|uri| key_in(uri, held.did).is_some())?;
                Some(self.seen(uri.to_owned(), &record["value"]))
            };
            let posts: Vec<RemotePost> = records.iter().filter_map(known).collect();
            // They come by their keys, newest first; a key says when it was made.
            let made = |seen: &RemotePost| key_in(&seen.remote_id, held.did).and_then(tid::time_of);
            let is_last = posts.last().and_then(made).is_some_and(|at| at < since - BEFORE);
            seen.extend(posts);
            match page["cursor"].as_str().filter(|_| !is_last && !records.is_empty()) {
                Some(next) => next.clone_into(&mut cursor),
                None => return Ok(Timeline::Complete(in_order(seen, since))),
            }
        }
        let reason = "the account has more than 10,000 posts since then, too many to read";
        Ok(Timeline::Partial(in_order(seen, since), Why::new(Cause::Silence, reason)))
    }
}

/// What was posted since then, oldest first; of one instant in the order of their keys.
fn in_order(mut seen: Vec<RemotePost>, since: DateTime<Utc>) -> Vec<RemotePost> {
    seen.retain(|seen| seen.at >= since);
    seen.reverse();
    seen.sort_by_key(|seen| seen.at);
    seen
}
