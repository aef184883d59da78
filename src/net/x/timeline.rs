//! What an account has posted lately. Reading costs money on X, so nothing is read in the normal path: only when it
//! is not known whether a post arrived, and after the ledger was put back from a copy.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::Value;

use super::answer::{self, Answer};
use super::{X, patience, price};
use crate::flock::post::{Cause, Post, Why};
use crate::net::{Seen, Session, Setback, Sight, Timeline, to_sign_with};

/// So long before the first attempt a post may have been made, by X's clock, and still be that attempt.
const BEFORE: TimeDelta = TimeDelta::seconds(60);
/// So much more is asked for, in case our clock is ahead: X takes no request of one that is further off.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// So many pages of a hundred are read in a look for one post. Whoever posts more in a few minutes is no bot of
/// ours, and reading on costs half a dollar a page.
const PAGES_OF_A_LOOK: usize = 5;
/// X shows no more than the newest 3,200 posts (docs.x.com, "Timelines").
const PAGES: usize = 32;
/// Milliseconds between 1970 and the beginning of X's ids (docs.x.com, "X IDs").
const EPOCH: u64 = 1_288_834_974_657;

/// What was read.
enum Reading {
    /// All of it, newest first, and how far our clock is ahead of X's, if X said.
    Whole(Vec<Seen>, Option<TimeDelta>),
    /// Nothing, or not all.
    Refused(Why),
}

impl X {
    /// Looks for a post among the account's newest.
    pub(super) async fn look_for(&self, post: &Post, session: &Session) -> Result<Sight, Setback> {
        let first = post.sent_at.unwrap_or(post.planned_at);
        let (seen, ahead) = match self.read_since(first - BEFORE - SKEW, PAGES_OF_A_LOOK, session).await? {
            Reading::Whole(seen, ahead) => (seen, ahead.unwrap_or_default()),
            Reading::Refused(why) => return Ok(Sight::CannotTell(why)),
        };
        let cost = price::of_reading(seen.len());
        // By X's clock the attempt was made that much earlier.
        let earliest = first - BEFORE - ahead.max(TimeDelta::zero());
        let ours = post.text.as_deref().unwrap_or_default();
        let is_like = |seen: &Seen| seen.at >= earliest && super::likeness::is_same(ours, &seen.text);
        Ok(Sight::Like { seen: seen.into_iter().filter(is_like).collect(), cost })
    }

    /// All that the account has posted since then.
    pub(super) async fn posted_since(
        &self,
        since: DateTime<Utc>,
        session: &Session,
    ) -> Result<Timeline, Setback> {
        Ok(match self.read_since(since - BEFORE - SKEW, PAGES, session).await? {
            Reading::Whole(mut seen, _) => {
                seen.reverse();
                Timeline::Posts(seen)
            }
            Reading::Refused(why) => Timeline::CannotTell(why),
        })
    }

    async fn read_since(
        &self,
        since: DateTime<Utc>,
        pages: usize,
        session: &Session,
    ) -> Result<Reading, Setback> {
        let tokens = to_sign_with(session.tokens.as_ref())?;
        let Some(account) = &session.account else {
            return Ok(Reading::Refused(Why::new(Cause::Account, "it is not known which account this is")));
        };
        let start = since.to_rfc3339_opts(SecondsFormat::Secs, true).replace(':', "%3A");
        // No fields beside id and text: they come by themselves, and the time is in the id.
        let path =
            format!("/2/users/{}/tweets?max_results=100&exclude=retweets&start_time={start}", account.id);
        let (mut seen, mut next, mut ahead) = (Vec::new(), String::new(), None);
        for _ in 0..pages {
            let answer = self.ask(self.request(tokens, Method::GET, &format!("{path}{next}"))?).await?;
            let now = self.clock.now();
            let page = match answer::page(&answer, &self.secrets(Some(tokens)), now)? {
                Ok(page) => page,
                Err(why) => return Ok(Reading::Refused(why)),
            };
            ahead = ahead.or_else(|| patience::ahead(answer.headers(), now));
            seen.extend(page.posts.into_iter().map(|(id, text)| seen_as(id, text, &account.handle, since)));
            match page.next {
                Some(token) => next = format!("&pagination_token={token}"),
                None => return Ok(Reading::Whole(seen, ahead)),
            }
        }
        let why = format!("the account has more than {} posts since then, too many to read", pages * 100);
        Ok(Reading::Refused(Why::new(Cause::Silence, why)))
    }
}

/// A post as X shows it. Where an id does not tell the time, its post is one of those that were asked for.
fn seen_as(id: String, text: String, handle: &str, since: DateTime<Utc>) -> Seen {
    let at = made_at(&id).unwrap_or(since);
    let url = Some(answer::url_of(handle, &id));
    Seen { remote_id: id, url, text, at }
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
        let next = answer::name(&value["meta"], "next_token");
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
