//! What an account has posted lately. Reading costs money on X, so nothing is read in the normal path: only when it
//! is not known whether a post arrived, and after the ledger was restored from a backup.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::diagnosis::API;
use super::text_match::SHORT;
use super::{X, name, url_of};
use crate::flock::NetworkKind;
use crate::flock::account::{Account, Tokens};
use crate::flock::media::Upload;
use crate::flock::post::{Cause, Post, Why};
use crate::net::diagnosis::inconclusive;
use crate::net::response::ApiResponse;
use crate::net::timeline::{CLOCK_SLACK, Fetched, PageSource, earliest, read_pages, unknown_account};
use crate::net::{Attached, ProbeResult, Rejection, RemotePost, Session, Timeline, require_tokens};

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
    /// Looks for a post among the account's newest: by its pictures if it has any, otherwise by its text, and a part of a
    /// thread also by the post that it answers.
    pub(super) async fn look_for(
        &self,
        post: &Post,
        attached: &Attached<'_>,
        session: &Session,
    ) -> Result<ProbeResult, Rejection> {
        let since = earliest(post, self.clock.now());
        let reading = if is_plain(attached) { Reading::Texts } else { Reading::Whole };
        let (posts, read) = match self.read_since(since, PAGES_OF_A_PROBE, reading, session).await? {
            (Timeline::Complete(posts), read) => (posts, read),
            (Timeline::Partial(_, why) | Timeline::Unavailable(why), _) => {
                return Ok(ProbeResult::Unavailable(why));
            }
        };
        let cost = NetworkKind::X.profile().prices.of_reading(read);
        let ours = post.own_text().unwrap_or_default();
        let is_answer = |post: &XPost| {
            attached.reply_to.is_none_or(|place| post.post.reply_to.as_ref() == Some(&place.parent))
        };
        let posts: Vec<XPost> = posts.into_iter().filter(is_answer).collect();
        let is_same = |post: &RemotePost| super::text_match::is_same(ours, &post.text);
        if attached.uploads.is_empty() {
            let posts = posts.into_iter().map(|post| post.post).collect();
            return Ok(ProbeResult::sorted(ours, posts, is_same, cost));
        }
        Ok(by_pictures(posts, attached.uploads, is_same, cost))
    }

    /// All that the account has posted since an instant, oldest first.
    pub(super) async fn posted_since(
        &self,
        since: DateTime<Utc>,
        session: &Session,
    ) -> Result<Timeline, Rejection> {
        let (timeline, _) = self.read_since(since, PAGES, Reading::Whole, session).await?;
        let plain = |posts: Vec<XPost>| posts.into_iter().map(|post| post.post).collect();
        let timeline = match timeline {
            Timeline::Complete(posts) => Timeline::Complete(plain(posts)),
            Timeline::Partial(posts, why) => Timeline::Partial(plain(posts), why),
            Timeline::Unavailable(why) => Timeline::Unavailable(why),
        };
        Ok(timeline.reversed())
    }

    /// Reads what was posted since an instant of our clock, and a little before, newest first. Also returns how many posts
    /// X has charged for.
    async fn read_since(
        &self,
        since: DateTime<Utc>,
        pages: usize,
        reading: Reading,
        session: &Session,
    ) -> Result<(Timeline<XPost>, usize), Rejection> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let Some(account) = &session.account else {
            return Ok((Timeline::Unavailable(unknown_account()), 0));
        };
        let mut pages_of_x =
            XPages { x: self, tokens, account, since: since - CLOCK_SLACK, reading, included: 0 };
        let timeline = read_pages(&mut pages_of_x, pages).await?;
        let read = match &timeline {
            Timeline::Complete(posts) | Timeline::Partial(posts, _) => posts.len() + pages_of_x.included,
            Timeline::Unavailable(_) => 0,
        };
        Ok((timeline, read))
    }
}

/// Whether a post is its text and nothing else.
fn is_plain(attached: &Attached<'_>) -> bool {
    attached.uploads.is_empty() && attached.reply_to.is_none()
}

/// Sorts posts by their pictures. One that has a picture of ours is it. One with the same text and as many pictures may be
/// it; one without pictures is not, whatever its text.
fn by_pictures(
    posts: Vec<XPost>,
    uploads: &[Upload],
    is_same: impl Fn(&RemotePost) -> bool,
    cost: u32,
) -> ProbeResult {
    let is_ours =
        |post: &XPost| post.media_keys.iter().any(|key| uploads.iter().any(|upload| is_of(upload, key)));
    let (seen, others): (Vec<_>, Vec<_>) = posts.into_iter().partition(is_ours);
    let doubtful = others.into_iter().map(|post| post.post);
    let doubtful = doubtful.filter(|post| post.pictures == uploads.len() && is_same(post)).collect();
    ProbeResult::Candidates { seen: seen.into_iter().map(|post| post.post).collect(), doubtful, cost }
}

/// Whether a media key is that of an upload. A key is a number for the kind of media, `_`, and the id of the upload.
fn is_of(upload: &Upload, key: &str) -> bool {
    upload.media_key.as_deref() == Some(key)
        || key.rsplit_once('_').is_some_and(|(_, id)| id == upload.remote_id)
}

/// What is read of each post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Id and text.
    Texts,
    /// Also its pictures, and which post it answers. X may charge for that post, too.
    Whole,
}

/// A post as X shows it.
struct XPost {
    post: RemotePost,
    /// The keys of its pictures.
    media_keys: Vec<String>,
}

/// The pages of an account, from an instant of X's clock on.
struct XPages<'a> {
    x: &'a X,
    tokens: &'a Tokens,
    account: &'a Account,
    since: DateTime<Utc>,
    reading: Reading,
    /// How many posts came beside those that were asked for.
    included: usize,
}

impl XPages<'_> {
    async fn ask(&self, cursor: Option<&str>) -> Result<ApiResponse, Rejection> {
        let path = format!("/2/users/{}/tweets?{}", self.account.id, query(self.since, self.reading, cursor));
        self.x.ask(self.x.request(self.tokens, Method::GET, &path)?, self.tokens).await
    }

    /// A post as X shows it. Where an id does not tell the time, its post is one of those that were asked for.
    fn post(&self, shown: Shown) -> XPost {
        let Shown { id, text, media_keys, reply_to } = shown;
        let at = made_at(&id).unwrap_or(self.since);
        let url = Some(url_of(&self.account.handle, &id));
        let text = own_text(&text, !media_keys.is_empty(), reply_to.is_some(), &self.account.handle);
        let (pictures, text) = (media_keys.len(), text.to_owned());
        // X no longer tells with which app something was posted.
        let post = RemotePost { remote_id: id, url, text, at, client: None, pictures, reply_to };
        XPost { post, media_keys }
    }
}

/// A text without what X adds to it: behind it a link to the post's pictures, and before an answer the handle of the account
/// that it answers.
fn own_text<'t>(text: &'t str, has_pictures: bool, is_answer: bool, handle: &str) -> &'t str {
    let link = |text: &'t str| {
        let (before, link) = text.rsplit_once(SHORT)?;
        let is_code = link.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_code.then(|| before.trim_end())
    };
    let text = if has_pictures { link(text).unwrap_or(text) } else { text };
    let rest = text.strip_prefix('@').and_then(|rest| rest.split_once(' '));
    match rest {
        Some((name, rest)) if is_answer && name.eq_ignore_ascii_case(handle) => rest,
        _ => text,
    }
}

impl PageSource for XPages<'_> {
    type Post = XPost;

    async fn page(&mut self, cursor: Option<&str>) -> Result<Fetched<XPost>, Rejection> {
        let mut response = self.ask(cursor).await?;
        if cursor.is_none()
            && let Some(ahead) = clock_ahead(&response)
        {
            self.since -= ahead;
            response = self.ask(None).await?;
        }
        match read(&response)? {
            Ok(XPage { posts, next, included }) => {
                self.included += included;
                let posts = posts.into_iter().map(|post| self.post(post));
                Ok(Fetched::Page(posts.filter(|post| post.post.at >= self.since).collect(), next))
            }
            Err(why) => Ok(Fetched::Unavailable(why)),
        }
    }
}

/// How far our clock is ahead of X's, if that matters: by a success, or by an error about the instant that we sent.
fn clock_ahead(response: &ApiResponse) -> Option<TimeDelta> {
    response.clock_ahead().filter(|_| response.succeeded() || response.status() == 400)
}

/// No fields are requested: id and text are always there, and the time is in the id. Pictures and parents come with the
/// expansions of the same name.
fn query(since: DateTime<Utc>, reading: Reading, cursor: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("max_results", "100").append_pair("exclude", "retweets");
    let since = since.max(DateTime::from_timestamp_secs(EARLIEST).unwrap_or(since));
    query.append_pair("start_time", &since.to_rfc3339_opts(SecondsFormat::Secs, true));
    if reading == Reading::Whole {
        query.append_pair("expansions", "attachments.media_keys,referenced_tweets.id");
    }
    query.extend_pairs(cursor.map(|cursor| ("pagination_token", cursor)));
    query.finish()
}

/// When a post was made, by its id.
pub(super) fn made_at(id: &str) -> Option<DateTime<Utc>> {
    let millis = (id.parse::<u64>().ok()? >> 22).checked_add(EPOCH)?;
    DateTime::from_timestamp_millis(i64::try_from(millis).ok()?)
}

/// A page.
struct XPage {
    posts: Vec<Shown>,
    /// What asks for the next one.
    next: Option<String>,
    /// How many posts came beside those that were asked for.
    included: usize,
}

/// What a page shows of a post.
struct Shown {
    id: String,
    text: String,
    media_keys: Vec<String>,
    reply_to: Option<String>,
}

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
        Value::Array(posts) => posts.iter().map(shown).collect::<Option<_>>()?,
        _ => return None,
    };
    let next = match &value["meta"]["next_token"] {
        Value::Null => None,
        Value::String(token) if !token.is_empty() => Some(token.clone()),
        // There are more posts, and no way to read them.
        _ => return None,
    };
    let included = value["includes"]["tweets"].as_array().map_or(0, Vec::len);
    Some(XPage { posts, next, included })
}

fn shown(value: &Value) -> Option<Shown> {
    let keys = value["attachments"]["media_keys"].as_array().into_iter().flatten();
    let media_keys = keys.filter_map(Value::as_str).map(str::to_owned).collect();
    let mut referenced = value["referenced_tweets"].as_array().into_iter().flatten();
    let reply_to = referenced.find(|post| post["type"] == "replied_to").and_then(|post| name(post, "id"));
    Some(Shown { id: name(value, "id")?, text: value["text"].as_str()?.to_owned(), media_keys, reply_to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_x_adds_to_a_text_is_taken_off() {
        for (text, has_pictures, is_answer, ours) in [
            ("sea https://t.co/AbC123", true, false, "sea"),
            ("sea https://t.co/AbC123", false, false, "sea https://t.co/AbC123"),
            ("https://t.co/AbC123", true, false, ""),
            ("https://t.co/a https://t.co/b", true, false, "https://t.co/a"),
            ("see https://t.co/a now", true, false, "see https://t.co/a now"),
            ("@Walt_Lines sea https://t.co/a", true, true, "sea"),
            ("@walt_lines sea", false, false, "@walt_lines sea"),
            ("@emily sea", false, true, "@emily sea"),
        ] {
            assert_eq!(own_text(text, has_pictures, is_answer, "walt_lines"), ours, "{text}");
        }
    }

    #[test]
    fn an_id_tells_when_its_post_was_made() {
        let at = made_at("1445880548472328192").unwrap();
        assert_eq!(at.to_rfc3339(), "2021-10-06T22:36:00.574+00:00");
        assert_eq!(made_at("01ARZ3NDEKTSV4RRFFQ69G5FAV"), None);
        assert_eq!(made_at("18446744073709551615").map(|at| at.timestamp() > 0), Some(true));
    }
}
