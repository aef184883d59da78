//! An account's recent posts. They are read to find out whether a post arrived, and after the ledger was
//! restored from a backup. Statuses are compared by the text of their HTML and, if that differs, by their
//! source. A text that can't be read is never taken for a different one.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::Value;

use super::diagnosis::{self, API};
use super::text_match::{is_like, is_same};
use super::{Mastodon, html, id, url_of};
use crate::flock::account::{Account, Tokens};
use crate::flock::media::Upload;
use crate::flock::post::{Cause, Post, Why};
use crate::net::response::{ApiResponse, sentence};
use crate::net::text_match::{self, TextMatch};
use crate::net::timeline::{
    CLOCK_SLACK, Fetched, PageSource, earliest, read_pages, too_many, unknown_account,
};
use crate::net::{Attached, ProbeResult, Rejection, RemotePost, Session, Timeline, require_tokens};

/// How far our clock may have been ahead when the request was sent, if it was corrected since. An earlier
/// status with the same text may be that attempt, so a person has to decide.
const EARLY: TimeDelta = TimeDelta::days(1);
/// Statuses per page: half of what servers allow, because some servers have statuses of 5,000 characters, and
/// a page must not exceed [`crate::net::http::BODY_MAX`]. After one that does, pages are half as long.
const PAGE: usize = 20;
/// How many pages are read to find one post: 500 statuses. No bot posts more within a few minutes.
const PAGES_OF_A_PROBE: usize = 25;
/// How many sources of statuses are read per probe: servers allow some 60 requests a minute.
const SOURCES_OF_A_PROBE: usize = 20;
/// How many pages of posts since a backup are read: 2,000 statuses, and a third of the requests that a server
/// allows in five minutes.
const PAGES: usize = 100;
/// How many of their sources are read: another third of the requests.
const SOURCES: usize = 100;

impl Mastodon {
    /// Looks for a post among the account's newest ones: by its pictures if it has any, otherwise by its text, and
    /// a part of a thread also by the post that it answers.
    pub(super) async fn look_for(
        &self,
        post: &Post,
        attached: &Attached<'_>,
        session: &Session,
    ) -> Result<ProbeResult, Rejection> {
        let since = earliest(post, self.clock.now());
        let all = match self.read_since(since, PAGES_OF_A_PROBE, session).await? {
            Timeline::Complete(all) => all,
            Timeline::Partial(_, why) | Timeline::Unavailable(why) => {
                return Ok(ProbeResult::Unavailable(why));
            }
        };
        let (tokens, ours) = (require_tokens(session.tokens.as_ref())?, post.own_text().unwrap_or_default());
        let is_answer = |one: &Status| {
            attached.reply_to.is_none_or(|place| one.post.reply_to.as_ref() == Some(&place.parent))
        };
        let all: Vec<Status> = all.into_iter().filter(is_answer).collect();
        if !attached.uploads.is_empty() {
            return Ok(self.by_pictures(ours, all, attached.uploads, tokens).await);
        }
        Ok(self.by_text(ours, all, tokens).await)
    }

    /// Looks for a post with pictures. A status that has one of them is it. Some servers give a picture another id
    /// once it is posted, and some leave out pictures that they have forgotten, so one with a similar text may be it
    /// if it has as many pictures, or if it has none and comes from the token's own app.
    async fn by_pictures(
        &self,
        ours: &str,
        all: Vec<Status>,
        uploads: &[Upload],
        tokens: &Tokens,
    ) -> ProbeResult {
        let is_ours =
            |one: &Status| one.media.iter().any(|id| uploads.iter().any(|upload| upload.remote_id == *id));
        let (seen, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_ours);
        let is_alike =
            |one: &RemotePost| is_same(ours, &one.text) || text_match::of(ours, &one.text) != TextMatch::None;
        let others = others.into_iter().filter(|one| !one.is_early).map(|one| one.post);
        let (mut doubtful, others): (Vec<_>, Vec<_>) =
            others.filter(is_alike).partition(|one| one.pictures == uploads.len());
        let bare = others.into_iter().filter(|one| one.pictures == 0 && one.client.is_some());
        let bare: Vec<RemotePost> = bare.collect();
        if !bare.is_empty()
            && let Some(own) = self.own_name(tokens).await
        {
            doubtful.extend(bare.into_iter().filter(|one| one.client.as_ref() == Some(&own)));
        }
        let seen = seen.into_iter().map(|one| one.post).collect();
        ProbeResult::Candidates { seen, doubtful, cost: 0 }
    }

    /// Looks for a post without pictures.
    async fn by_text(&self, ours: &str, all: Vec<Status>, tokens: &Tokens) -> ProbeResult {
        let (all, early): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| !one.is_early);
        let early = early.into_iter().map(|one| one.post).filter(|one| is_same(ours, &one.text));
        let (same, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| is_same(ours, &one.post.text));
        let mut posts: Vec<RemotePost> = same.into_iter().map(|status| status.post).collect();
        let like: Vec<_> = others.into_iter().filter(|one| needs_source(ours, &one.post.text)).collect();
        let marked_up = like.iter().filter(|one| one.is_marked_up).count();
        if posts.is_empty() && marked_up > SOURCES_OF_A_PROBE {
            let why = too_many(SOURCES_OF_A_PROBE, "that may be this one");
            return ProbeResult::Unavailable(why);
        }
        let (same, unsure) = self.by_source(ours, like, tokens).await;
        posts.extend(same);
        let same: HashSet<String> = posts.iter().map(|post| post.remote_id.clone()).collect();
        posts.extend(unsure);
        let result = ProbeResult::sorted(ours, posts, |post| same.contains(&post.remote_id), 0);
        let mut result = self.weighed(result, tokens).await;
        if let ProbeResult::Candidates { doubtful, .. } = &mut result {
            doubtful.extend(early);
        }
        result
    }

    /// The statuses that are ours according to their source, and those that may be.
    async fn by_source(
        &self,
        ours: &str,
        mut like: Vec<Status>,
        tokens: &Tokens,
    ) -> (Vec<RemotePost>, Vec<RemotePost>) {
        let (mut same, mut unsure) = (Vec::new(), Vec::new());
        // The HTML of a status without markup probably equals its source, so it is checked last.
        like.sort_by_key(|one| !one.is_marked_up);
        for Status { post: one, .. } in like.into_iter().take(SOURCES_OF_A_PROBE) {
            match self.source_if_available(tokens, &one.remote_id).await {
                // Some servers alter even the source.
                Some(text) if is_same(ours, &text) => same.push(RemotePost { text, ..one }),
                Some(text) => unsure.extend(is_changed(ours, &text).then_some(RemotePost { text, ..one })),
                None => unsure.push(one),
            }
        }
        (same, unsure)
    }

    /// Promotes possible matches to certain ones if the token's own app posted them: at that time, and
    /// belonging to no other row, they can be nothing else. A status of another app may still be the post,
    /// because the token may have been replaced between attempt and probe, so it only moves to the end of the
    /// list.
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

    /// The name of the token's app, which the server shows with posts.
    async fn own_name(&self, tokens: &Tokens) -> Option<String> {
        sentence(&self.app_of(tokens).await?, "name")
    }

    /// The source of a status; `None` if the server does not provide it, or fails twice. Then the HTML has to
    /// suffice, and the sources of the other statuses still count.
    async fn source_if_available(&self, tokens: &Tokens, id: &str) -> Option<String> {
        match self.source(tokens, id).await {
            Ok(source) => source,
            Err(_) => self.source(tokens, id).await.ok().flatten(),
        }
    }

    /// All posts of the account since an instant, oldest first.
    pub(super) async fn posted_since(
        &self,
        since: DateTime<Utc>,
        session: &Session,
    ) -> Result<Timeline, Rejection> {
        let (all, mut missing) = match self.read_since(since, PAGES, session).await? {
            Timeline::Complete(all) => (all, None),
            Timeline::Partial(all, why) => (all, Some(why)),
            Timeline::Unavailable(why) => return Ok(Timeline::Unavailable(why)),
        };
        let (tokens, mut posts, mut asked) = (require_tokens(session.tokens.as_ref())?, Vec::new(), 0);
        for Status { mut post, is_marked_up, .. } in all.into_iter().rev().filter(|one| !one.is_early) {
            if is_marked_up {
                asked += 1;
                if asked > SOURCES {
                    missing.get_or_insert(too_many(SOURCES, "whose source differs"));
                    continue;
                }
                let Some(source) = self.source(tokens, &post.remote_id).await? else {
                    let why = "the server does not provide the source of some statuses";
                    missing = Some(Why::new(Cause::Silence, why));
                    // It will not provide the others' sources either.
                    asked = SOURCES;
                    continue;
                };
                post.text = source;
            }
            posts.push(post);
        }
        Ok(match missing {
            None => Timeline::Complete(posts),
            Some(why) => Timeline::Partial(posts, why),
        })
    }

    /// The source of a status; `None` if the server does not provide it.
    async fn source(&self, tokens: &Tokens, id: &str) -> Result<Option<String>, Rejection> {
        let path = format!("/api/v1/statuses/{id}/source");
        let response = self.ask(self.request(tokens, Method::GET, &path)?, tokens).await?;
        if response.succeeded() {
            return Ok(response.json().and_then(|source| Some(source["text"].as_str()?.to_owned())));
        }
        // Without a source, the HTML has to suffice; a temporary failure is an error.
        match diagnosis::may_pass(&response) {
            true => Err(API.failure(&response, "show the source of a status")),
            false => Ok(None),
        }
    }

    /// Reads the posts since an instant of our clock, and from slightly before, newest first. Other statuses
    /// on the same pages, up to a day older, are marked as early.
    async fn read_since(
        &self,
        since: DateTime<Utc>,
        pages: usize,
        session: &Session,
    ) -> Result<Timeline<Status>, Rejection> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let Some(account) = &session.account else { return Ok(Timeline::Unavailable(unknown_account())) };
        let mut source = StatusPages {
            server: self,
            tokens,
            account,
            since: since - CLOCK_SLACK,
            is_dated: false,
            size: PAGE,
        };
        read_pages(&mut source, pages).await
    }
}

/// The pages of an account, from an instant of the server's clock on.
struct StatusPages<'a> {
    server: &'a Mastodon,
    tokens: &'a Tokens,
    account: &'a Account,
    since: DateTime<Utc>,
    /// Whether `since` was converted to the server's clock.
    is_dated: bool,
    size: usize,
}

impl StatusPages<'_> {
    async fn ask(&self, before: Option<&str>) -> Result<ApiResponse, Rejection> {
        let before = before.map_or_else(String::new, |id| format!("&max_id={id}"));
        let (account, size) = (&self.account.id, self.size);
        let path = format!("/api/v1/accounts/{account}/statuses?limit={size}&exclude_reblogs=true{before}");
        self.server.ask(self.server.request(self.tokens, Method::GET, &path)?, self.tokens).await
    }

    /// The relevant statuses of a page, and the id with which to request the next one.
    fn counting(&self, page: StatusPage, before: Option<&str>) -> (Vec<Status>, Option<String>) {
        let posts = page.posts.into_iter().filter(|one| one.post.at >= self.since - EARLY);
        let posts = posts.map(|one| Status { is_early: one.post.at < self.since, ..one }).collect();
        // A server may list pinned statuses first, so only the last status shows how far back the page
        // reaches.
        let last = page.last.filter(|(last, at)| *at >= self.since && before != Some(last));
        (posts, last.map(|(last, _)| last))
    }
}

impl PageSource for StatusPages<'_> {
    type Post = Status;

    async fn page(&mut self, before: Option<&str>) -> Result<Fetched<Status>, Rejection> {
        let response = self.ask(before).await?;
        if before.is_none() && !self.is_dated {
            self.since -= response.clock_ahead().unwrap_or_default();
            self.is_dated = true;
        }
        if response.is_too_long() && self.size > 1 {
            self.size /= 2;
            return Ok(Fetched::Retry);
        }
        let task = "show the account's statuses";
        if response.succeeded() {
            let (posts, next) = self.counting(super::read(&response, task, StatusPage::read)?, before);
            return Ok(Fetched::Page(posts, next));
        }
        let failure = API.failure(&response, task);
        if API.forbids_reading(&response) { Ok(Fetched::Unavailable(failure.why)) } else { Err(failure) }
    }
}

/// Whether to fetch the source of a status.
fn needs_source(ours: &str, shown: &str) -> bool {
    is_like(ours, shown) || text_match::of(ours, shown) != TextMatch::None
}

/// Whether a source differs from ours only in what servers alter.
fn is_changed(ours: &str, source: &str) -> bool {
    text_match::of(ours, source) == TextMatch::Same
}

/// A status as the server returns it.
struct Status {
    /// Its text is that of the HTML.
    post: RemotePost,
    /// Whether its source may differ from that text.
    is_marked_up: bool,
    /// Whether it is older than the requested instant.
    is_early: bool,
    /// The ids of its pictures.
    media: Vec<String>,
}

/// A page, newest first.
struct StatusPage {
    /// The account's own statuses.
    posts: Vec<Status>,
    /// The last status on the page, even one of another account: its id and its time.
    last: Option<(String, DateTime<Utc>)>,
}

impl StatusPage {
    /// Reads a page; `None` if it is not one. One unreadable status makes the page unreadable, because it may
    /// be the post.
    fn read(page: &Value) -> Option<Self> {
        let all: Vec<(bool, Status)> = page
            .as_array()?
            .iter()
            .map(|value| Some((value["reblog"].is_null(), status(value)?)))
            .collect::<Option<_>>()?;
        let last = all.last().map(|(_, status)| (status.post.remote_id.clone(), status.post.at));
        Some(Self {
            posts: all.into_iter().filter(|(own, _)| *own).map(|(_, status)| status).collect(),
            last,
        })
    }
}

fn status(value: &Value) -> Option<Status> {
    let html = value["content"].as_str()?;
    let attachments = value["media_attachments"].as_array().map_or(&[][..], Vec::as_slice);
    let media: Vec<String> = attachments.iter().filter_map(id).collect();
    let post = RemotePost {
        remote_id: id(value)?,
        url: url_of(value),
        text: html::text_of(html),
        at: DateTime::parse_from_rfc3339(value["created_at"].as_str()?).ok()?.to_utc(),
        client: sentence(&value["application"], "name"),
        pictures: attachments.len(),
        reply_to: value["in_reply_to_id"].as_str().map(str::to_owned),
    };
    Some(Status { post, is_marked_up: html::is_marked_up(html), is_early: false, media })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_read_whole_or_not_at_all() {
        let status = |id: &str, reblog: Value| json!({"id": id, "content": "<p>a</p>", "created_at": "2026-11-20T12:00:00.250Z", "reblog": reblog});
        let page =
            StatusPage::read(&json!([status("2", Value::Null), status("1", json!({"id": "0"}))])).unwrap();
        assert_eq!(
            (page.posts.len(), &*page.posts[0].post.text, page.last.unwrap().0),
            (1, "a", "1".to_owned())
        );
        let good = status("1", Value::Null);
        for page in [json!({}), json!(null), json!([good, {"id": "2"}]), json!([{"id": 1}]), json!(["a"])] {
            assert!(StatusPage::read(&page).is_none(), "{page}");
        }
    }
}
