//! What an account has posted lately: read when it is not known whether a post arrived, and after the ledger was put
//! back from a copy. Statuses are compared by their text: what the HTML shows, and where that differs their source.
//! What can't be told is never taken for something else.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::Value;

use super::answer::{self, Answer};
use super::meaning::Meaning;
use super::{Mastodon, html, likeness};
use crate::flock::account::{Account, Tokens};
use crate::flock::post::{Cause, Post, Why};
use crate::net::resemblance::{self, Resemblance};
use crate::net::{ProbeResult, Rejection, RemotePost, Session, Timeline, http, require_tokens};

/// So long before the first attempt a status may have been made, by the server's clock, and still be that attempt: a
/// minute, and as much as clocks may differ before that is noticed and reckoned with.
const BEFORE: TimeDelta = TimeDelta::minutes(6);
/// So much earlier our clock may have said that it was, if it was ahead when the request left and was set right since: a
/// status with the very text may be that attempt, which a person has to say.
const EARLY: TimeDelta = TimeDelta::days(1);
/// The statuses of a page: half of what servers allow, as those of some have 5,000 characters, and a page must not be
/// longer than [`crate::net::http::BODY_MAX`]. One that is has half of them from then on.
const PAGE: usize = 20;
/// So many pages are read in a look for one post: 500 statuses. Whoever posts more in a few minutes is no bot of ours.
const PAGES_OF_A_LOOK: usize = 25;
/// Of so many statuses the source is asked for in a look: servers allow some 60 requests a minute.
const SOURCES_OF_A_LOOK: usize = 20;
/// So many pages are read of what was posted since the ledger was copied: 2,000 statuses, and a third of the requests
/// that a server allows in five minutes.
const PAGES: usize = 100;
/// Of so many of these the source is asked for: another third.
const SOURCES: usize = 100;

/// What was read.
enum Reading {
    /// All of it, newest first.
    Whole(Vec<Shown>),
    /// The newest of it, and why there is no more.
    Part(Vec<Shown>, Why),
    /// Nothing.
    Refused(Why),
}

impl Mastodon {
    /// Looks for a post among the account's newest.
    pub(super) async fn look_for(&self, post: &Post, session: &Session) -> Result<ProbeResult, Rejection> {
        // A clock that was ahead when the request left may have been set since: the earliest of what it has shown counts.
        let shown = [post.sent_at, post.settled_at, Some(self.clock.now())];
        let first = shown.into_iter().flatten().min().unwrap_or(post.planned_at);
        let all = match self.read_since(first, PAGES_OF_A_LOOK, session).await? {
            Reading::Whole(all) => all,
            Reading::Part(_, why) | Reading::Refused(why) => return Ok(ProbeResult::Unavailable(why)),
        };
        let (tokens, ours) =
            (require_tokens(session.tokens.as_ref())?, post.text.as_deref().unwrap_or_default());
        let (all, early): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| !one.is_early);
        let early = early.into_iter().map(|one| one.seen).filter(|one| likeness::is_same(ours, &one.text));
        let (same, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|one| likeness::is_same(ours, &one.seen.text));
        let mut seen: Vec<RemotePost> = same.into_iter().map(|shown| shown.seen).collect();
        let mut unsure = Vec::new();
        let mut like: Vec<_> =
            others.into_iter().filter(|one| is_worth_asking(ours, &one.seen.text)).collect();
        let marked_up = like.iter().filter(|one| one.is_marked_up).count();
        if seen.is_empty() && marked_up > SOURCES_OF_A_LOOK {
            return Ok(ProbeResult::Unavailable(too_many("that may be it", SOURCES_OF_A_LOOK)));
        }
        // What is shown without marks is what was written, as far as can be seen, so it is asked for last.
        like.sort_by_key(|one| !one.is_marked_up);
        for Shown { seen: one, .. } in like.into_iter().take(SOURCES_OF_A_LOOK) {
            match self.source_if_told(tokens, &one.remote_id).await {
                // Some servers keep even the source in another way than it was sent.
                Some(text) if likeness::is_same(ours, &text) => seen.push(RemotePost { text, ..one }),
                Some(text) => unsure.extend(is_changed(ours, &text).then_some(RemotePost { text, ..one })),
                None => unsure.push(one),
            }
        }
        let same: HashSet<String> = seen.iter().map(|seen| seen.remote_id.clone()).collect();
        seen.extend(unsure);
        let sight = ProbeResult::sorted(ours, seen, |seen| same.contains(&seen.remote_id), 0);
        let mut sight = self.weighed(sight, tokens).await;
        if let ProbeResult::Candidates { doubtful, .. } = &mut sight {
            doubtful.extend(early);
        }
        Ok(sight)
    }

    /// Takes a status that may be the post for it if it was posted with the very app of the token: at that time, and
    /// belonging to no other row, it is nothing else. One of another app may still be it, as a token can be exchanged
    /// between an attempt and a look, so that it is only the last of those in doubt.
    async fn weighed(&self, mut sight: ProbeResult, tokens: &Tokens) -> ProbeResult {
        if let ProbeResult::Candidates { seen, doubtful, .. } = &mut sight
            && doubtful.iter().any(|one| one.client.is_some())
            && let Some(own) = self.own_name(tokens).await
        {
            let ours = |one: &mut RemotePost| one.client.as_ref() == Some(&own);
            seen.extend(doubtful.extract_if(.., ours));
            doubtful.sort_by_key(|one| one.client.is_some());
        }
        sight
    }

    /// The name under which the server shows what is posted with a token.
    async fn own_name(&self, tokens: &Tokens) -> Option<String> {
        name_of_app(&self.app_of(tokens).await?)
    }

    /// A status as it was written, or `None` where the server does not tell, or can't now although it is asked twice: then
    /// what it shows has to do, and what it told of others counts all the same.
    async fn source_if_told(&self, tokens: &Tokens, id: &str) -> Option<String> {
        match self.source(tokens, id).await {
            Ok(source) => source,
            Err(_) => self.source(tokens, id).await.ok().flatten(),
        }
    }

    /// All that the account has posted since then.
    pub(super) async fn posted_since(
        &self,
        since: DateTime<Utc>,
        session: &Session,
    ) -> Result<Timeline, Rejection> {
        let (all, mut missing) = match self.read_since(since, PAGES, session).await? {
            Reading::Whole(all) => (all, None),
            Reading::Part(all, why) => (all, Some(why)),
            Reading::Refused(why) => return Ok(Timeline::Unavailable(why)),
        };
        let (tokens, mut posts, mut asked) = (require_tokens(session.tokens.as_ref())?, Vec::new(), 0);
        for Shown { mut seen, is_marked_up, .. } in all.into_iter().rev().filter(|one| !one.is_early) {
            if is_marked_up {
                asked += 1;
                if asked > SOURCES {
                    missing.get_or_insert(too_many("that were written in another way", SOURCES));
                    continue;
                }
                let Some(source) = self.source(tokens, &seen.remote_id).await? else {
                    let why = "the server does not tell how some statuses were written";
                    missing = Some(Why::new(Cause::Silence, why));
                    // Nor will it of the others.
                    asked = SOURCES;
                    continue;
                };
                seen.text = source;
            }
            posts.push(seen);
        }
        Ok(match missing {
            None => Timeline::Complete(posts),
            Some(why) => Timeline::Partial(posts, why),
        })
    }

    /// A status as it was written; `None` where the server does not tell.
    async fn source(&self, tokens: &Tokens, id: &str) -> Result<Option<String>, Rejection> {
        let path = format!("/api/v1/statuses/{id}/source");
        let answer = self.ask(self.request(tokens, Method::GET, &path)?).await?;
        if answer.succeeded() {
            return Ok(answer.json().and_then(|source| Some(source["text"].as_str()?.to_owned())));
        }
        // Where it is not known the HTML has to do; what passes is waited for.
        match answer.meaning() {
            Meaning::Silence | Meaning::Patience => {
                let us = self.secrets(Some(tokens));
                Err(answer::not_done(&answer, "show how a status was written", &us, self.clock.now()))
            }
            _ => Ok(None),
        }
    }

    /// Reads what was posted since then by our clock, and a little before; what else of the day before is on the same
    /// pages is said to be early.
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
        let (mut since, mut before, mut seen, mut size) = (since - BEFORE, None, Vec::new(), PAGE);
        for page in 0..pages {
            let answer = self.ask_for_page(tokens, account, before.as_deref(), size).await?;
            if page == 0 {
                since -= answer.ahead(self.clock.now()).unwrap_or_default();
            }
            if answer.is_too_long() && size > 1 {
                size /= 2;
                continue;
            }
            let page = match self.page(&answer, tokens)? {
                Ok(page) => page,
                Err(why) => return Ok(Reading::Refused(why)),
            };
            let early = |at: DateTime<Utc>| at < since;
            let posts = page.posts.into_iter().map(|one| Shown { is_early: early(one.seen.at), ..one });
            seen.extend(posts.filter(|one| one.seen.at >= since - EARLY));
            // Of what is pinned a server may show some first, so only the last one tells.
            match page.last {
                Some((last, at)) if at >= since && before.as_ref() != Some(&last) => before = Some(last),
                _ => return Ok(Reading::Whole(seen)),
            }
        }
        let why = too_many("since then", seen.len());
        Ok(Reading::Part(seen, why))
    }

    async fn ask_for_page(
        &self,
        tokens: &Tokens,
        account: &Account,
        before: Option<&str>,
        size: usize,
    ) -> Result<Answer, Rejection> {
        let before = before.map_or_else(String::new, |id| format!("&max_id={id}"));
        let path =
            format!("/api/v1/accounts/{}/statuses?limit={size}&exclude_reblogs=true{before}", account.id);
        self.ask(self.request(tokens, Method::GET, &path)?).await
    }

    /// A page of statuses, newest first; or why it may not be read. An error says that it can't be read now.
    fn page(&self, answer: &Answer, tokens: &Tokens) -> Result<Result<Page, Why>, Rejection> {
        let (what, now) = ("show the account's statuses", self.clock.now());
        let us = self.secrets(Some(tokens));
        if answer.succeeded() {
            return answer::read(answer, what, &us, now, Page::read).map(Ok);
        }
        let meaning = answer.meaning();
        // What only a stranger has said passes, too.
        if meaning == Meaning::Silence || meaning.passes() || !answer.speaks_api() {
            return Err(answer::not_done(answer, what, &us, now));
        }
        Ok(Err(answer::not_done(answer, what, &us, now).why))
    }
}

/// Whether it is worth asking how what is shown was written.
fn is_worth_asking(ours: &str, shown: &str) -> bool {
    likeness::is_like(ours, shown) || resemblance::of(ours, shown) != Resemblance::None
}

/// Whether a source is ours but for what servers change in texts.
fn is_changed(ours: &str, source: &str) -> bool {
    resemblance::of(ours, source) == Resemblance::Same
}

/// The name of an app, for people.
fn name_of_app(app: &Value) -> Option<String> {
    app["name"].as_str().map(http::words).filter(|name| !name.is_empty())
}

fn too_many(which: &str, number: usize) -> Why {
    let why = format!("the account has more than {number} statuses {which}, too many to read");
    Why::new(Cause::Silence, why)
}

/// A status as it is shown.
struct Shown {
    /// With the text that the HTML shows.
    seen: RemotePost,
    /// Whether that text may not be what was written.
    is_marked_up: bool,
    /// Whether it is older than what was asked for.
    is_early: bool,
}

/// A page, newest first.
struct Page {
    /// What the account has posted itself.
    posts: Vec<Shown>,
    /// The last on the page, be it what others have posted: its id and its time.
    last: Option<(String, DateTime<Utc>)>,
}

impl Page {
    /// Reads a page; `None` if it is none. A status that can't be read makes it unreadable: it may be the one.
    fn read(page: &Value) -> Option<Self> {
        let all: Vec<(bool, Shown)> = page
            .as_array()?
            .iter()
            .map(|status| Some((status["reblog"].is_null(), shown(status)?)))
            .collect::<Option<_>>()?;
        let last = all.last().map(|(_, Shown { seen, .. })| (seen.remote_id.clone(), seen.at));
        Some(Self { posts: all.into_iter().filter(|(own, _)| *own).map(|(_, shown)| shown).collect(), last })
    }
}

fn shown(status: &Value) -> Option<Shown> {
    let html = status["content"].as_str()?;
    let seen = RemotePost {
        remote_id: answer::id(status, "id")?,
        url: answer::url_of(status),
        text: html::text_of(html),
        at: DateTime::parse_from_rfc3339(status["created_at"].as_str()?).ok()?.to_utc(),
        client: name_of_app(&status["application"]),
    };
    Some(Shown { seen, is_marked_up: html::is_marked_up(html), is_early: false })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_read_whole_or_not_at_all() {
        let status = |id: &str, reblog: Value| json!({"id": id, "content": "<p>a</p>", "created_at": "2026-11-20T12:00:00.250Z", "reblog": reblog});
        let page = Page::read(&json!([status("2", Value::Null), status("1", json!({"id": "0"}))])).unwrap();
        assert_eq!(
            (page.posts.len(), &*page.posts[0].seen.text, page.last.unwrap().0),
            (1, "a", "1".to_owned())
        );
        let good = status("1", Value::Null);
        for page in [json!({}), json!(null), json!([good, {"id": "2"}]), json!([{"id": 1}]), json!(["a"])] {
            assert!(Page::read(&page).is_none(), "{page}");
        }
    }
}
