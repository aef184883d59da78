//! Uploads: taken, processed, described, attached to posts, expired.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::super::{multipart, rfc5849};
use super::ordinary::invalid;
use super::{FakeAccount, FakeX, Reply, Request, Shared};

/// How long an unused upload lives.
const LIFETIME: TimeDelta = TimeDelta::hours(24);
/// The most characters of a description.
const ALT_MAX: usize = 1_000;
/// The categories, the types of files that each takes, and the prefix of their media keys.
const CATEGORIES: [(&str, &[&str], u32); 2] =
    [("tweet_image", &["image/jpeg", "image/png", "image/webp"], 3), ("tweet_gif", &["image/gif"], 16)];

/// A picture that X has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeMedia {
    pub id: String,
    pub key: String,
    pub handle: String,
    /// Its type.
    pub kind: String,
    pub bytes: Vec<u8>,
    pub alt: Option<String>,
    /// How many more queries say that it is not processed.
    pub queries_left: usize,
    at: DateTime<Utc>,
    used: bool,
}

/// The uploads so far, and the commands for them.
#[derive(Default)]
pub(super) struct Uploads {
    all: Vec<FakeMedia>,
    slowness: usize,
    numbered: u64,
}

impl FakeX {
    /// The uploads that it still has, oldest first.
    pub fn uploads(&self) -> Vec<FakeMedia> {
        self.shared.state.lock().unwrap().uploads.all.clone()
    }

    /// The next uploads are processed only after this many queries.
    pub fn processes_slowly(&self, queries: usize) {
        self.shared.state.lock().unwrap().uploads.slowness = queries;
    }

    /// Forgets the uploads that no post refers to.
    pub fn forgets_uploads(&self) {
        self.shared.state.lock().unwrap().uploads.all.retain(|media| media.used);
    }

    /// From now on no app may reply.
    pub fn forbids_replies(&self) {
        self.shared.state.lock().unwrap().forbids_replies = true;
    }
}

impl Shared {
    /// The endpoints under `/2/media/`.
    pub(super) fn media(
        &self,
        account: &FakeAccount,
        method: &str,
        path: &str,
        query: &str,
        seen: &Request,
    ) -> Reply {
        match (method, path) {
            ("POST", "/2/media/upload") => self.upload(account, seen),
            ("GET", "/2/media/upload") => self.upload_status(account, query),
            ("POST", "/2/media/metadata") => self.describe(account, &seen.body),
            _ => Reply::problem(404, "about:blank", "Not Found", "Not Found"),
        }
    }

    fn upload(&self, account: &FakeAccount, seen: &Request) -> Reply {
        let Some(parts) = multipart::parts(seen) else { return invalid("the body is no form") };
        let part = |name: &str| parts.iter().find(|part| part.name == name);
        let category = part("media_category").map(|part| String::from_utf8_lossy(&part.bytes).into_owned());
        let known = CATEGORIES.iter().find(|(name, ..)| category.as_deref() == Some(name));
        let Some((_, kinds, prefix)) = known else { return invalid("media_category is required") };
        let Some((file, kind)) = part("media").and_then(|file| Some((file, file.kind.clone()?))) else {
            return invalid("media is required");
        };
        if !kinds.contains(&&*kind) || file.bytes.is_empty() {
            return invalid("media type unrecognized");
        }
        let (mut state, at) = (self.state.lock().unwrap(), self.clock.now());
        let uploads = &mut state.uploads;
        uploads.numbered += 1;
        let id = (1_880_000_000_000_000_000 + uploads.numbered).to_string();
        let media = FakeMedia {
            key: format!("{prefix}_{id}"),
            id,
            handle: account.handle.clone(),
            kind,
            bytes: file.bytes.clone(),
            alt: None,
            queries_left: uploads.slowness,
            at,
            used: false,
        };
        let reply = Reply::json(200, &json!({"data": shown(&media)}));
        uploads.all.push(media);
        self.fake_server.has_changed();
        reply
    }

    fn upload_status(&self, account: &FakeAccount, query: &str) -> Reply {
        let query = rfc5849::form_parameters(query).unwrap_or_default();
        if rfc5849::value(&query, "command") != Ok("STATUS") {
            return invalid("The `command` query parameter value is not one of [STATUS]");
        }
        let id = rfc5849::value(&query, "media_id").unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        let own = |media: &&mut FakeMedia| media.id == id && media.handle == account.handle;
        let Some(media) = state.uploads.all.iter_mut().find(own) else { return invalid("media not found") };
        let mut data = shown(media);
        if media.queries_left == 0 {
            data["processing_info"] = json!({"state": "succeeded", "progress_percent": 100});
        }
        media.queries_left = media.queries_left.saturating_sub(1);
        Reply::json(200, &json!({"data": data}))
    }

    fn describe(&self, account: &FakeAccount, body: &str) -> Reply {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let Some(alt) = body["metadata"]["alt_text"]["text"].as_str() else {
            return Reply::problem(500, "about:blank", "Internal Server Error", "Internal Server Error");
        };
        if alt.chars().count() > ALT_MAX {
            return invalid("alt_text is too long");
        }
        let mut state = self.state.lock().unwrap();
        let own = |media: &&mut FakeMedia| body["id"] == media.id && media.handle == account.handle;
        let Some(media) = state.uploads.all.iter_mut().find(own) else { return invalid("media not found") };
        media.alt = Some(alt.to_owned());
        let described = json!({"id": media.id, "associated_metadata": {"alt_text": {"text": alt}}});
        Reply::json(200, &json!({"data": described}))
    }
}

impl Uploads {
    /// The keys of the pictures that a post asks for, which are used from now on; `None` if it can't have them.
    pub(super) fn attach(&mut self, ids: &[&str], handle: &str, now: DateTime<Utc>) -> Option<Vec<String>> {
        let free = |media: &FakeMedia| {
            media.handle == handle && !media.used && media.queries_left == 0 && now < media.at + LIFETIME
        };
        let places: Vec<usize> = ids
            .iter()
            .map(|id| self.all.iter().position(|media| media.id == *id && free(media)))
            .collect::<Option<_>>()?;
        if places.len() > 4 {
            return None;
        }
        places.iter().for_each(|place| self.all[*place].used = true);
        Some(places.into_iter().map(|place| self.all[place].key.clone()).collect())
    }
}

fn shown(media: &FakeMedia) -> Value {
    let mut data = json!({
        "id": media.id, "media_key": media.key, "size": media.bytes.len(),
        "expires_after_secs": LIFETIME.num_seconds(),
    });
    if media.queries_left > 0 {
        data["processing_info"] = json!({"state": "pending", "check_after_secs": 1});
    }
    data
}
