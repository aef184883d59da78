//! What an account has posted lately. Reading costs money on X, so nothing is read in the normal path: only when it
//! is not known whether a post arrived, and after the ledger was put back from a copy.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::answer::{self, Answer};
use super::{X, limits};
use crate::flock::account::{Account, Tokens};
use crate::flock::post::{Cause, Post, Why};
use crate::net::{ProbeResult, Rejection, RemotePost, Session, Timeline, require_tokens};

/// So long before the first attempt a post may have been made, by X's clock, and still be that attempt: a minute, and
/// as much as our clock may have been ahead of X's when it was made. X takes no timestamp that is further off; where
/// none is signed, the clocks are compared.
const BEFORE: TimeDelta = TimeDelta::minutes(6);
/// So many pages of a hundred are read in a look for one post. Whoever posts more in a few minutes is no bot of
/// ours, and reading on costs half a dollar a page.
const PAGES_OF_A_LOOK: usize = 5;
/// As many pages as it takes to read all that X shows.
const PAGES: usize = limits::SHOWN / 100;
/// X takes no `start_time` before this: 2010-11-06 in UTC, in seconds since 1970, when its ids began to tell the time
/// (docs.x.com, "Get Posts").
const EARLIEST: i64 = 1_289_001_600;
/// Milliseconds between 1970 and the beginning of X's ids (docs.x.com, "X IDs").
const EPOCH: u64 = 1_288_834_974_657;

/// What was read.
enum Reading {
    /// All of it, newest first.
    Whole(Vec<RemotePost>),
    /// The newest of it, and why there is no more.
    Part(Vec<RemotePost>, Why),
    /// Nothing.
    Refused(Why),
}

impl X {
    /// Looks for a post among the account's newest.
    pub(super) async fn look_for(&self, post: &Post, session: &Session) -> Result<ProbeResult, Rejection> {
        // A clock that was ahead when the request left may have been set since: the earliest of what it has shown counts.
        let shown = [post.sent_at, post.settled_at, Some(self.clock.now())];
        let first = shown.into_iter().flatten().min().unwrap_or(post.planned_at);
        let seen = match self.read_since(first, PAGES_OF_A_LOOK, session).await? {
            Reading::Whole(seen) => seen,
            Reading::Part(_, why) | Reading::Refused(why) => return Ok(ProbeResult::Unavailable(why)),
        };
        let cost = limits::price_of_reading(seen.len());
        let ours = post.text.as_deref().unwrap_or_default();
        let is_same = |seen: &RemotePost| super::likeness::is_same(ours, &seen.text);
        Ok(ProbeResult::sorted(ours, seen, is_same, cost))
    }

    /// All that the account has posted since then.
    pub(super) async fn posted_since(
        &self,
        since: DateTime<Utc>,
        session: &Session,
    ) -> Result<Timeline, Rejection> {
        Ok(match self.read_since(since, PAGES, session).await? {
            Reading::Whole(mut seen) => {
                seen.reverse();
                Timeline::Complete(seen)
            }
            Reading::Part(mut seen, why) => {
                seen.reverse();
                Timeline::Partial(seen, why)
            }
            Reading::Refused(why) => Timeline::Unavailable(why),
        })
    }

    /// Reads what was posted since then by our clock, and a little before.
    async fn read_since(
        &self,
        since: DateTime<Utc>,
        pages: usize,
        session: &Session,
    ) -> Result<Reading, Rejection> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let Some(account) = &session.account else {
            return Ok(Reading::Refused(Why::new(Cause::Account, "it is not known which account this is")));
        };
        let mut since = since - BEFORE;
        let mut answer = self.ask_for_page(tokens, account, since, None).await?;
        if let Some(ahead) = answer.ahead(self.clock.now()) {
            since -= ahead;
            answer = self.ask_for_page(tokens, account, since, None).await?;
        }
        let mut seen = Vec::new();
        for page_number in 1.. {
            let page = match answer::page(&answer, &self.secrets(Some(tokens)), self.clock.now())? {
                Ok(page) => page,
                Err(why) => return Ok(Reading::Refused(why)),
            };
            seen.extend(page.posts.into_iter().map(|(id, text)| seen_as(id, text, &account.handle, since)));
            let Some(next) = page.next else { break };
            if page_number >= pages {
                let why =
                    format!("the account has more than {} posts since then, too many to read", pages * 100);
                return Ok(Reading::Part(seen, Why::new(Cause::Silence, why)));
            }
            answer = self.ask_for_page(tokens, account, since, Some(&next)).await?;
        }
        seen.retain(|seen| seen.at >= since);
        Ok(Reading::Whole(seen))
    }

    async fn ask_for_page(
        &self,
        tokens: &Tokens,
        account: &Account,
        since: DateTime<Utc>,
        next: Option<&str>,
    ) -> Result<Answer, Rejection> {
        let path = format!("/2/users/{}/tweets?{}", account.id, query(since, next));
        self.ask(self.request(tokens, Method::GET, &path)?).await
    }
}

/// No fields are asked for beside id and text: they come by themselves, and the time is in the id.
fn query(since: DateTime<Utc>, next: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("max_results", "100").append_pair("exclude", "retweets");
    let since = since.max(DateTime::from_timestamp_secs(EARLIEST).unwrap_or(since));
    query.append_pair("start_time", &since.to_rfc3339_opts(SecondsFormat::Secs, true));
    query.extend_pairs(next.map(|token| ("pagination_token", token)));
    query.finish()
}

/// A post as X shows it. Where an id does not tell the time, its post is one of those that were asked for.
fn seen_as(id: String, text: String, handle: &str, since: DateTime<Utc>) -> RemotePost {
    let at = made_at(&id).unwrap_or(since);
    let url = Some(answer::url_of(handle, &id));
    // X tells no longer with which app something was posted.
    RemotePost { remote_id: id, url, text, at, client: None }
}

/// When the post with this id was made.
fn made_at(id: &str) -> Option<DateTime<Utc>> {
    let millis = (id.parse::<u64>().ok()? >> 22).checked_add(EPOCH)?;
    DateTime::from_timestamp_millis(i64::try_from(millis).ok()?)
}

/// The posts of a page, and what asks for the next one.
pub(super) struct Page {
    pub(super) posts: Vec<(String, String)>,
    pub(super) next: Option<String>,
}

impl Page {
    /// Reads a page; `None` if it is none. A post that can't be read makes the page unreadable: it may be the one.
    pub(super) fn read(answer: &Answer) -> Option<Self> {
        let value = answer.json()?;
        let count = value["meta"]["result_count"].as_u64();
        let posts = match &value["data"] {
            // X leaves it out where there is nothing to show.
            Value::Null if count == Some(0) => Vec::new(),
            Value::Array(posts) => posts.iter().map(post).collect::<Option<_>>()?,
            _ => return None,
        };
        let next = match &value["meta"]["next_token"] {
            Value::Null => None,
            Value::String(token) if !token.is_empty() => Some(token.clone()),
            // There is more, and no way to it.
            _ => return None,
        };
        Some(Self { posts, next })
    }
}

fn post(value: &Value) -> Option<(String, String)> {
    Some((answer::name(value, "id")?, value["text"].as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_when_its_post_was_made() {
        let at = made_at("1445880548472328192").unwrap();
        assert_eq!(at.to_rfc3339(), "2021-10-06T22:36:00.574+00:00");
        assert_eq!(made_at("01ARZ3NDEKTSV4RRFFQ69G5FAV"), None);
        assert_eq!(made_at("18446744073709551615").map(|at| at.timestamp() > 0), Some(true));
    }
}
