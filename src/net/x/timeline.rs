//! What an account has posted lately. Reading costs money on X, so nothing is read in the normal path: only when it
//! is not known whether a post arrived, and after the ledger was restored from a backup.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::diagnosis::API;
use super::{X, name, url_of};
use crate::flock::NetworkKind;
use crate::flock::account::{Account, Tokens};
use crate::flock::post::{Cause, Post, Why};
use crate::net::diagnosis::inconclusive;
use crate::net::response::ApiResponse;
use crate::net::timeline::{CLOCK_SLACK, Fetched, PageSource, earliest, read_pages, unknown_account};
use crate::net::{ProbeResult, Rejection, RemotePost, Session, Timeline, require_tokens};

/// How many pages of a hundred are read to find one post. No bot of ours posts more in a few minutes, and reading on
/// costs half a dollar a page.
const PAGES_OF_A_PROBE: usize = 5;
/// As many pages as it takes to read all that X shows: the newest 3,200 posts of an account (docs.x.com, "Timelines").
const PAGES: usize = 3_200 / 100;
/// X takes no `start_time` before this: 2010-11-06 in UTC, in seconds since 1970, when its ids began to tell the time
/// (docs.x.com, "Get Posts").
const EARLIEST: i64 = 1_289_001_600;
/// Milliseconds between 1970 and the beginning of X's ids (docs.x.com, "X IDs").
const EPOCH: u64 = 1_288_834_974_657;

impl X {
    /// Looks for a post among the account's newest.
    pub(super) async fn look_for(&self, post: &Post, session: &Session) -> Result<ProbeResult, Rejection> {
        let since = earliest(post, self.clock.now());
        let posts = match self.read_since(since, PAGES_OF_A_PROBE, session).await? {
            Timeline::Complete(posts) => posts,
            Timeline::Partial(_, why) | Timeline::Unavailable(why) => {
                return Ok(ProbeResult::Unavailable(why));
            }
        };
        let cost = NetworkKind::X.profile().prices.of_reading(posts.len());
        let ours = post.text.as_deref().unwrap_or_default();
        let is_same = |post: &RemotePost| super::text_match::is_same(ours, &post.text);
        Ok(ProbeResult::sorted(ours, posts, is_same, cost))
    }

    /// All that the account has posted since an instant, oldest first.
    pub(super) async fn posted_since(
        &self,
        since: DateTime<Utc>,
        session: &Session,
    ) -> Result<Timeline, Rejection> {
        Ok(self.read_since(since, PAGES, session).await?.reversed())
    }

    /// Reads what was posted since an instant of our clock, and a little before, newest first.
    async fn read_since(
        &self,
        since: DateTime<Utc>,
        pages: usize,
        session: &Session,
    ) -> Result<Timeline, Rejection> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let Some(account) = &session.account else { return Ok(Timeline::Unavailable(unknown_account())) };
        let mut pages_of_x = XPages { x: self, tokens, account, since: since - CLOCK_SLACK };
        read_pages(&mut pages_of_x, pages).await
    }
}

/// The pages of an account, from an instant of X's clock on.
struct XPages<'a> {
    x: &'a X,
    tokens: &'a Tokens,
    account: &'a Account,
    since: DateTime<Utc>,
}

impl XPages<'_> {
    async fn ask(&self, cursor: Option<&str>) -> Result<ApiResponse, Rejection> {
        let path = format!("/2/users/{}/tweets?{}", self.account.id, query(self.since, cursor));
        self.x.ask(self.x.request(self.tokens, Method::GET, &path)?, self.tokens).await
    }

    /// A post as X shows it. Where an id does not tell the time, its post is one of those that were asked for.
    fn post(&self, (id, text): (String, String)) -> RemotePost {
        let at = made_at(&id).unwrap_or(self.since);
        let url = Some(url_of(&self.account.handle, &id));
        // X no longer tells with which app something was posted.
        RemotePost { remote_id: id, url, text, at, client: None }
    }
}

impl PageSource for XPages<'_> {
    type Post = RemotePost;

    async fn page(&mut self, cursor: Option<&str>) -> Result<Fetched<RemotePost>, Rejection> {
        let mut response = self.ask(cursor).await?;
        if cursor.is_none()
            && let Some(ahead) = clock_ahead(&response)
        {
            self.since -= ahead;
            response = self.ask(None).await?;
        }
        match read(&response)? {
            Ok((posts, next)) => {
                let posts = posts.into_iter().map(|post| self.post(post));
                Ok(Fetched::Page(posts.filter(|post| post.at >= self.since).collect(), next))
            }
            Err(why) => Ok(Fetched::Unavailable(why)),
        }
    }
}

/// How far our clock is ahead of X's, if that matters: by a success, or by an error about the instant that we sent.
fn clock_ahead(response: &ApiResponse) -> Option<TimeDelta> {
    response.clock_ahead().filter(|_| response.succeeded() || response.status() == 400)
}

/// No fields are requested: id and text are always there, and the time is in the id.
fn query(since: DateTime<Utc>, cursor: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("max_results", "100").append_pair("exclude", "retweets");
    let since = since.max(DateTime::from_timestamp_secs(EARLIEST).unwrap_or(since));
    query.append_pair("start_time", &since.to_rfc3339_opts(SecondsFormat::Secs, true));
    query.extend_pairs(cursor.map(|cursor| ("pagination_token", cursor)));
    query.finish()
}

/// When a post was made, by its id.
fn made_at(id: &str) -> Option<DateTime<Utc>> {
    let millis = (id.parse::<u64>().ok()? >> 22).checked_add(EPOCH)?;
    DateTime::from_timestamp_millis(i64::try_from(millis).ok()?)
}

/// The ids and texts of a page, and what asks for the next one.
type XPage = (Vec<(String, String)>, Option<String>);

/// Reads a page, or says why the account's posts can't be read. An error means that they can't be read now.
fn read(response: &ApiResponse) -> Result<Result<XPage, Why>, Rejection> {
    let task = "show the account's posts";
    if response.succeeded() {
        return match read_page(response) {
            Some(page) => Ok(Ok(page)),
            // X reports an account that it does not show in a success.
            None if names_problem(response) => {
                let reason =
                    format!("X shows no posts of the account ({}): look at it at x.com", response.quoted());
                Ok(Err(Why::new(Cause::Account, reason)))
            }
            None => Err(inconclusive("X", task, &response.unusable("list of posts"))),
        };
    }
    let failure = API.failure(response, task);
    if API.forbids_reading(response) { Ok(Err(failure.why)) } else { Err(failure) }
}

/// Whether a success names a problem by its kind.
fn names_problem(response: &ApiResponse) -> bool {
    response.error().codes.iter().any(|code| code.bytes().any(|byte| !byte.is_ascii_digit()))
}

/// Reads a page; `None` if it is not one. A post that can't be read makes the page unreadable: it may be the one.
fn read_page(response: &ApiResponse) -> Option<XPage> {
    let value = response.json()?;
    let count = value["meta"]["result_count"].as_u64();
    let posts = match &value["data"] {
        // X leaves it out when there is nothing to show.
        Value::Null if count == Some(0) => Vec::new(),
        Value::Array(posts) => posts.iter().map(id_and_text).collect::<Option<_>>()?,
        _ => return None,
    };
    let next = match &value["meta"]["next_token"] {
        Value::Null => None,
        Value::String(token) if !token.is_empty() => Some(token.clone()),
        // There are more posts, and no way to read them.
        _ => return None,
    };
    Some((posts, next))
}

fn id_and_text(value: &Value) -> Option<(String, String)> {
    Some((name(value, "id")?, value["text"].as_str()?.to_owned()))
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
