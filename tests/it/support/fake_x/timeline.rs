//! An account's timeline, newest first. X charges for each post that it returns, so they are counted. Paging
//! backwards (`previous_token`) is not supported.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::super::rfc5849::{self, Parameters};
use super::ordinary::{EPOCH_MS, invalid};
use super::{FakeX, Reply, Shared, State, Stored, link};

/// The default page size.
const PAGE: usize = 10;
/// The supported parameters; any other is refused.
const PARAMETERS: &[&str] = &[
    "max_results",
    "since_id",
    "until_id",
    "start_time",
    "end_time",
    "pagination_token",
    "exclude",
    "tweet.fields",
    "post.fields",
    "expansions",
];
/// The supported expansions.
const EXPANSIONS: [&str; 2] = ["attachments.media_keys", "referenced_tweets.id"];
/// The prefix of the id in a token, so that neither is mistaken for the other.
const TOKEN: &str = "7140w";

/// Commands for timeline reads, and what they have cost.
#[derive(Default)]
pub(super) struct Timelines {
    /// How many reads each new post is hidden from.
    lag: usize,
    /// How many are left, by the id of the post.
    hidden: HashMap<String, usize>,
    refusal: Option<Reply>,
    reads: usize,
    returned: usize,
}

/// The requested posts.
struct Wanted {
    since_id: Option<u64>,
    until_id: Option<u64>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    before: Option<u64>,
    without_retweets: bool,
    without_replies: bool,
    dated: bool,
    /// Whether pictures and parents are shown.
    expanded: [bool; 2],
    most: usize,
}

impl FakeX {
    /// A post that was made on the account by hand, at this time.
    pub fn posts_by_hand(&self, handle: &str, text: &str, at: DateTime<Utc>) -> Stored {
        let mut state = self.shared.state.lock().unwrap();
        state.account(handle);
        let post = state.store(handle, text, at);
        self.has_changed();
        post
    }

    /// Each post that is stored from now on is missing from the next `n` reads of its account: X's reads lag
    /// behind its writes. Further pages belong to the same read.
    pub fn hide_new_posts(&self, n: usize) {
        self.shared.state.lock().unwrap().timelines.lag = n;
    }

    /// From now on every timeline read is answered with this; `None` allows reads again.
    pub fn refuse_looks(&self, refusal: Option<Reply>) {
        self.shared.state.lock().unwrap().timelines.refusal = refusal;
    }

    /// From now on a text is accepted even if the account has posted it already, so that a test can see the
    /// repeat.
    pub fn take_duplicates(&self) {
        self.shared.state.lock().unwrap().takes_duplicates = true;
    }

    /// How many timeline pages were requested, and how many posts they returned: each costs money.
    pub fn looks(&self) -> (usize, usize) {
        let state = self.shared.state.lock().unwrap();
        (state.timelines.reads, state.timelines.returned)
    }
}

impl Shared {
    /// `GET /2/users/{id}/tweets`.
    pub(super) fn timeline(&self, user: &str, query: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        state.timelines.reads += 1;
        if let Some(refusal) = &state.timelines.refusal {
            return refusal.clone();
        }
        if user.is_empty() || user.len() > 19 || !user.bytes().all(|byte| byte.is_ascii_digit()) {
            return invalid(&format!("The `id` query parameter value [{user}] is not valid"));
        }
        let query = rfc5849::form_parameters(query).unwrap_or_default();
        let wanted = match Wanted::by(&query, self.clock.now().timestamp()) {
            Ok(wanted) => wanted,
            Err(message) => return invalid(&message),
        };
        let handle =
            state.accounts.iter().find(|account| account.id == user).map(|known| known.handle.clone());
        let Some(handle) = handle else { return unknown_user(user) };
        let answer = state.page(&handle, &wanted);
        Reply::json(200, &answer)
    }
}

/// For an account that does not exist X answers with a success that reports it.
fn unknown_user(user: &str) -> Reply {
    Reply::json(
        200,
        &json!({"errors": [{
            "value": user, "detail": format!("Could not find user with id: [{user}]."), "title": "Not Found Error",
            "resource_type": "user", "parameter": "id", "resource_id": user,
            "type": "https://api.twitter.com/2/problems/resource-not-found",
        }]}),
    )
}

impl Timelines {
    /// Hides a post that is being stored, if commanded.
    pub(super) fn hide(&mut self, id: &str) {
        self.hidden.insert(id.to_owned(), self.lag);
    }
}

impl State {
    fn page(&mut self, handle: &str, wanted: &Wanted) -> Value {
        let mut posts: Vec<&Stored> = self.posts.iter().filter(|post| post.handle == handle).collect();
        let mut visible = Vec::new();
        posts.sort_by_key(|post| std::cmp::Reverse(number(&post.id)));
        for post in posts {
            match self.timelines.hidden.get_mut(&post.id) {
                Some(looks @ 1..) if wanted.before.is_none() => *looks -= 1,
                Some(1..) => {}
                _ => visible.push(post),
            }
        }
        let mut fitting = visible.into_iter().filter(|post| !post.deleted && wanted.has(post));
        let page: Vec<&Stored> = fitting.by_ref().take(wanted.most).collect();
        let parents = page.iter().filter_map(|post| post.reply_to.as_ref()).filter(|_| wanted.expanded[1]);
        let parents: Vec<&Stored> =
            parents.filter_map(|id| self.posts.iter().find(|post| post.id == *id && !post.deleted)).collect();
        self.timelines.returned += page.len() + parents.len();
        answer(&page, fitting.next().is_some(), &parents, wanted)
    }
}

fn answer(page: &[&Stored], more: bool, parents: &[&Stored], wanted: &Wanted) -> Value {
    let mut meta = json!({"result_count": page.len()});
    let (Some(newest), Some(oldest)) = (page.first(), page.last()) else { return json!({"meta": meta}) };
    (meta["newest_id"], meta["oldest_id"]) = (json!(newest.id), json!(oldest.id));
    if more {
        meta["next_token"] = json!(format!("{TOKEN}{:x}", number(&oldest.id)));
    }
    let data: Vec<Value> = page.iter().map(|post| shown(post, wanted)).collect();
    let mut answer = json!({"data": data, "meta": meta});
    if !parents.is_empty() {
        let parents: Vec<Value> = parents.iter().map(|post| shown(post, wanted)).collect();
        answer["includes"] = json!({"tweets": parents});
    }
    answer
}

fn shown(post: &Stored, wanted: &Wanted) -> Value {
    let mut fields = Map::new();
    fields.insert("id".to_owned(), json!(post.id));
    fields.insert("text".to_owned(), json!(link::shown_with(&post.id, &post.text, !post.media.is_empty())));
    fields.insert("edit_history_tweet_ids".to_owned(), json!([post.id]));
    if wanted.expanded[0] && !post.media.is_empty() {
        fields.insert("attachments".to_owned(), json!({"media_keys": post.media}));
    }
    if let Some(parent) = post.reply_to.as_ref().filter(|_| wanted.expanded[1]) {
        let referenced = json!([{"type": "replied_to", "id": parent}]);
        fields.insert("referenced_tweets".to_owned(), referenced);
    }
    if wanted.dated {
        let at = post.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        fields.insert("created_at".to_owned(), json!(at));
    }
    fields.into()
}

fn number(id: &str) -> u64 {
    id.parse().unwrap()
}

impl Wanted {
    /// The query at `now`, or X's complaint about it.
    fn by(query: &Parameters, now: i64) -> Result<Self, String> {
        if let Some((name, _)) = query.iter().find(|(name, _)| !PARAMETERS.contains(&name.as_str())) {
            return Err(format!("The query parameter [{name}] is not one of [{}]", PARAMETERS.join(",")));
        }
        let value = |name: &str| rfc5849::value(query, name).ok();
        let wrong = |name: &str, value: &str, what: &str| {
            format!("The `{name}` query parameter value [{value}] is {what}")
        };
        let most = value("max_results").map_or(Ok(PAGE), |text| match text.parse() {
            Ok(most @ 5..=100) => Ok(most),
            _ => Err(wrong("max_results", text, "not between 5 and 100")),
        })?;
        let id = |name| match value(name) {
            Some(text) => text.parse().map(Some).map_err(|_| wrong(name, text, "not a valid post id")),
            None => Ok(None),
        };
        let time = |name| match value(name).map(|text| (text, DateTime::parse_from_rfc3339(text))) {
            None => Ok(None),
            Some((_, Ok(at))) if (EPOCH_MS / 1_000..=now).contains(&at.timestamp()) => {
                Ok(Some(at.timestamp()))
            }
            Some((text, Ok(_))) => Err(wrong(name, text, "not between X's first post and now")),
            Some((text, Err(_))) => Err(wrong(name, text, "not a valid RFC3339 time")),
        };
        let before = value("pagination_token").map_or(Ok(None), |text| {
            let id = text.strip_prefix(TOKEN).and_then(|id| u64::from_str_radix(id, 16).ok());
            id.map(Some).ok_or_else(|| wrong("pagination_token", text, "not valid"))
        })?;
        let list = |name| value(name).unwrap_or_default().split(',').filter(|word| !word.is_empty());
        if let Some(odd) = list("exclude").find(|word| !["retweets", "replies"].contains(word)) {
            return Err(wrong("exclude", odd, "not one of [retweets,replies]"));
        }
        let fields = || list("tweet.fields").chain(list("post.fields"));
        if let Some(odd) = fields().find(|word| !["id", "text", "created_at"].contains(word)) {
            return Err(wrong("tweet.fields", odd, "not one of [id,text,created_at]"));
        }
        if let Some(odd) = list("expansions").find(|word| !EXPANSIONS.contains(word)) {
            return Err(wrong("expansions", odd, "not one of [attachments.media_keys,referenced_tweets.id]"));
        }
        Ok(Self {
            since_id: id("since_id")?,
            until_id: id("until_id")?,
            start_time: time("start_time")?,
            end_time: time("end_time")?,
            before,
            without_retweets: list("exclude").any(|word| word == "retweets"),
            without_replies: list("exclude").any(|word| word == "replies"),
            dated: fields().any(|word| word == "created_at"),
            expanded: EXPANSIONS.map(|known| list("expansions").any(|word| word == known)),
            most,
        })
    }

    /// Whether this post matches. Times are compared by the second; the first one is included, the last is
    /// not.
    fn has(&self, post: &Stored) -> bool {
        let (id, at) = (number(&post.id), post.at.timestamp());
        self.since_id.is_none_or(|since| id > since)
            && self.until_id.is_none_or(|until| id < until)
            && self.before.is_none_or(|before| id < before)
            && self.start_time.is_none_or(|start| at >= start)
            && self.end_time.is_none_or(|end| at < end)
            && !(self.without_retweets && post.text.starts_with("RT @"))
            && !(self.without_replies && post.text.starts_with('@'))
    }
}
