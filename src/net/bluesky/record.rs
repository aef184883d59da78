//! Posts as records: complete before the first attempt, written under a key derived from the post, and read
//! back by that key.
//!
//! `putRecord` with `"swapRecord": null` creates a record. If the same record exists, nothing happens; if a
//! different one exists, the server says so (`InvalidSwap`). So an attempt may be repeated at any time.

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Request;
use serde_json::{Value, json};

use super::diagnosis::{API, CONFLICT, NOT_FOUND};
use super::facets::{Facet, Feature, detect};
use super::{Bluesky, BlueskySession, session_of, tid, unclear, unusable};
use crate::flock::post::{Cause, Post, Why};
use crate::net::response::{self, ApiResponse};
use crate::net::{Outcome, ProbeResult, Rejection, RemotePost, Sent, Session, require_tokens};

/// The collection of posts.
pub(super) const POSTS: &str = "app.bsky.feed.post";
/// The type of a facet.
const FACET: &str = "app.bsky.richtext.facet";
/// The task of reading a record back, as it reads in a sentence.
const SHOW: &str = "show the post";

/// The URI of a post's record.
pub(super) fn uri_of(did: &str, key: &str) -> String {
    format!("at://{did}/{POSTS}/{key}")
}

/// The key in a URI of one of an account's posts.
pub(super) fn key_in<'a>(uri: &'a str, did: &str) -> Option<&'a str> {
    let key = uri
        .strip_prefix("at://")?
        .strip_prefix(did)?
        .strip_prefix('/')?
        .strip_prefix(POSTS)?
        .strip_prefix('/')?;
    let signs = |byte: u8| byte.is_ascii_alphanumeric() || b"._:~-".contains(&byte);
    (!key.is_empty() && key.bytes().all(signs)).then_some(key)
}

/// A record to be written.
struct Writing<'s> {
    auth: BlueskySession<'s>,
    key: String,
    record: Value,
}

impl Writing<'_> {
    fn uri(&self) -> String {
        uri_of(self.auth.did, &self.key)
    }
}

/// The record of a post, as it was fixed when the post was planned.
fn planned(post: &Post) -> Option<Value> {
    serde_json::from_str(post.record.as_deref()?).ok()
}

impl Bluesky {
    /// The record for a text. Resolves the handles that it mentions; one that does not exist stays plain
    /// text.
    pub(super) async fn record_of(&self, text: &str, at: DateTime<Utc>) -> Result<Value, Rejection> {
        let created_at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut record = json!({ "$type": POSTS, "text": text, "createdAt": created_at });
        let mut facets = Vec::new();
        for facet in detect(text) {
            facets.extend(self.marked(facet).await?);
        }
        if !facets.is_empty() {
            record["facets"] = Value::Array(facets);
        }
        if !self.languages.is_empty() {
            record["langs"] = json!(self.languages);
        }
        Ok(record)
    }

    async fn marked(&self, Facet { bytes, feature }: Facet) -> Result<Option<Value>, Rejection> {
        let feature = match feature {
            Feature::Link(uri) => json!({ "$type": format!("{FACET}#link"), "uri": uri }),
            Feature::Tag(tag) => json!({ "$type": format!("{FACET}#tag"), "tag": tag }),
            Feature::Mention(handle) => match self.resolved(&handle.to_ascii_lowercase()).await? {
                Some(did) => json!({ "$type": format!("{FACET}#mention"), "did": did }),
                None => return Ok(None),
            },
        };
        let index = json!({ "byteStart": bytes.start, "byteEnd": bytes.end });
        Ok(Some(json!({ "$type": FACET, "index": index, "features": [feature] })))
    }

    /// Makes the one attempt to write a post's record.
    pub(super) async fn write(&self, post: &Post, session: &Session) -> Sent {
        let (writing, request) = match self.writing(post, session) {
            Ok(writing) => writing,
            Err(rejection) => return Outcome::NotAccepted(rejection).into(),
        };
        let secrets = writing.auth.secrets();
        match response::attempt(&self.http, request, &API.protocol, &secrets, &*self.clock).await {
            Ok(response) => API.sent(&response, self.outcome(&response, &writing).await),
            Err(outcome) => outcome.into(),
        }
    }

    /// The record to write, and the request that writes it.
    fn writing<'s>(&self, post: &Post, session: &'s Session) -> Result<(Writing<'s>, Request), Rejection> {
        let auth = session_of(require_tokens(session.tokens.as_ref())?)?;
        let (key, record) = (tid::of(post.id), planned(post));
        let record = record.ok_or_else(|| {
            let reason =
                "its record is missing from the ledger, so it can't be sent as planned: please report this";
            Rejection::unanswered(Why::new(Cause::App, reason))
        })?;
        let body = json!({
            "repo": auth.did,
            "collection": POSTS,
            "rkey": key,
            "swapRecord": null,
            "record": record,
        });
        let request =
            self.procedure(auth.server, "com.atproto.repo.putRecord", Some(auth.access_token), Some(&body))?;
        Ok((Writing { auth, key, record }, request))
    }

    async fn outcome(&self, response: &ApiResponse, writing: &Writing<'_>) -> Outcome {
        if response.succeeded() {
            return match response.json() {
                Some(body) if body["uri"] == writing.uri() => self.posted(writing.uri()),
                _ => {
                    let (server, unusable) = (response.server(), response.unusable("URI of the post"));
                    Outcome::unsettled(&format!("{server} answered with success ({unusable})"))
                }
            };
        }
        let diagnosis = API.diagnose(response);
        if response.is_definite() && diagnosis == &CONFLICT {
            return self.taken(writing).await;
        }
        match API.outcome(response, diagnosis) {
            Outcome::NotAccepted(rejection) => {
                Outcome::NotAccepted(self.followed(diagnosis, rejection, &writing.auth).await)
            }
            outcome => outcome,
        }
    }

    fn posted(&self, uri: String) -> Outcome {
        let url = Some(self.url_of(&uri));
        Outcome::Posted { remote_id: uri, url, note: None }
    }

    /// The outcome of a post whose key is taken: by the post itself, or by another record.
    async fn taken(&self, writing: &Writing<'_>) -> Outcome {
        match self.get_record(&writing.auth, (POSTS, &writing.key)).await {
            Ok(Some(found)) if is_same(&writing.record, &found["value"]) => self.posted(writing.uri()),
            Ok(Some(_)) => Outcome::Refused {
                reason: format!(
                    "another record is where this post should be, at {}: post it again by hand",
                    writing.uri()
                ),
            },
            Ok(None) | Err(_) => {
                Outcome::unsettled("a record exists where this post should be, but can't be read")
            }
        }
    }

    /// Probes for a post's record. Its absence proves nothing yet: an interrupted attempt may still arrive,
    /// and if the line had been freed by then, it would be posted twice under two keys.
    pub(super) async fn look_for(&self, post: &Post, session: &Session) -> Result<ProbeResult, Rejection> {
        let auth = session_of(require_tokens(session.tokens.as_ref())?)?;
        let (key, ours) = (tid::of(post.id), planned(post).unwrap_or_default());
        let found = self.get_record(&auth, (POSTS, &key)).await?;
        let found = found.filter(|found| is_same(&ours, &found["value"]));
        let seen = found.map(|found| self.seen(uri_of(auth.did, &key), &found["value"]));
        Ok(ProbeResult::Candidates { seen: seen.into_iter().collect(), doubtful: Vec::new(), cost: 0 })
    }

    /// A record with its `uri`, `cid` and `value`; `None` if the server says that it does not exist.
    pub(super) async fn get_record(
        &self,
        auth: &BlueskySession<'_>,
        (collection, key): (&str, &str),
    ) -> Result<Option<Value>, Rejection> {
        let asked = [("repo", auth.did), ("collection", collection), ("rkey", key)];
        let request = self.query(auth.server, "com.atproto.repo.getRecord", &asked, None)?;
        let response = self.ask(request, &auth.secrets()).await?;
        if response.succeeded() {
            let body = response.json().filter(|body| body["value"].is_object());
            return body.map(Some).ok_or_else(|| unusable(&response, SHOW, "record"));
        }
        let diagnosis = API.diagnose(&response);
        if diagnosis == &NOT_FOUND {
            return Ok(None);
        }
        Err(self.followed(diagnosis, API.failure(&response, SHOW), auth).await)
    }

    /// A post from its record.
    pub(super) fn seen(&self, uri: String, record: &Value) -> RemotePost {
        let text = record["text"].as_str().unwrap_or_default().to_owned();
        let at = record["createdAt"].as_str().and_then(|at| at.parse().ok()).unwrap_or(DateTime::UNIX_EPOCH);
        let pictures = record["embed"]["images"].as_array().map_or(0, Vec::len);
        let reply_to = record["reply"]["parent"]["uri"].as_str().map(str::to_owned);
        RemotePost {
            url: Some(self.url_of(&uri)),
            remote_id: uri,
            text,
            at,
            client: None,
            pictures,
            reply_to,
        }
    }

    /// Where people see a post. A DID stays the same when the handle changes.
    fn url_of(&self, uri: &str) -> String {
        let mut parts = uri.trim_start_matches("at://").split('/');
        let (did, key) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
        format!("{}/profile/{did}/post/{key}", self.app.site_url)
    }

    /// Deletes a post's record. Succeeds if it was deleted earlier.
    pub(super) async fn delete_record(&self, post: &Post, session: &Session) -> Result<(), Rejection> {
        let tokens = require_tokens(session.tokens.as_ref())?;
        let auth = session_of(tokens)?;
        let key = match post.remote_id.as_deref() {
            // A person or the bot's policy settled it as posted; then it can only be under this key.
            None => tid::of(post.id),
            Some(uri) => key_in(uri, auth.did).map(str::to_owned).ok_or_else(|| {
                let reason = format!(
                    "{uri} is not a post of the account that is signed in: sign in as the one that posted it"
                );
                Rejection::unanswered(Why::new(Cause::Account, reason))
            })?,
        };
        let body = json!({ "repo": auth.did, "collection": POSTS, "rkey": key });
        let request = self.procedure(
            auth.server,
            "com.atproto.repo.deleteRecord",
            Some(auth.access_token),
            Some(&body),
        )?;
        let done = self.done(request, "delete it", tokens).await?;
        if done["commit"].is_object() {
            return Ok(());
        }
        // It was deleted earlier, or the answer is not the server's.
        match self.get_record(&auth, (POSTS, &key)).await? {
            None => Ok(()),
            Some(_) => Err(unclear("delete it", "the post is still there")),
        }
    }
}

/// Whether a record that the server shows is ours: no other program writes the same text at the same instant
/// under our key.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    !ours["text"].is_null() && ["text", "createdAt"].iter().all(|field| ours[field] == theirs[field])
}
