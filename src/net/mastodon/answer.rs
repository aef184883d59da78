//! From an answer of a server to what the caller does next. What the errors mean is in [`super::meaning`].
//!
//! Whatever leaves room for the status to be out there is `Unknown`, whoever else might call it an error.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Response;
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;
use url::Url;

use super::meaning::Meaning;
use super::rate_limit;
use crate::flock::post::{Cause, Post, Why};
use crate::flock::secret::Secret;
use crate::net::http::{self, BodyError};
use crate::net::{Cooldown, Outcome, Rejection, Scope, Sent, api_error};

/// The most characters of an id. Mastodon's have 18, others' 26; they end up in URLs.
const ID_MAX: usize = 64;

/// The longest address of a status that is kept.
const URL_MAX: usize = 2_048;

/// The header with which a server says that it says again what it said to the same key before (Pleroma).
const REPLAYED: &str = "idempotent-replayed";

/// An answer as it came.
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Result<Vec<u8>, BodyError>,
}

impl Answer {
    /// Takes the answer in. A body that breaks off is kept as such: the status may settle it all the same.
    pub(super) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: http::body(response).await }
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the server's API says that something with this id is done, by showing it.
    pub(super) fn shows(&self, id: &str) -> bool {
        let shown = || api_error::object(&self.headers, self.body.as_ref().ok()?);
        self.succeeded() && shown().is_some_and(|shown| self::id(&shown, "id").as_deref() == Some(id))
    }

    /// Whether it is a success that may be the API's, although nothing is shown.
    pub(super) fn is_plain_success(&self) -> bool {
        let body = self.body.as_deref().ok();
        body.is_some_and(|body| api_error::is_plain_success(self.status, &self.headers, body))
    }

    /// Whether the server's API says that there is no such thing.
    pub(super) fn is_not_there(&self) -> bool {
        matches!(self.status, 404 | 410) && self.speaks_api()
    }

    /// Whether the server's API says that it has not taken the request.
    fn is_definite(&self) -> bool {
        api_error::is_definite(self.status) && self.speaks_api()
    }

    /// Whether it was longer than is read.
    pub(super) fn is_too_long(&self) -> bool {
        matches!(self.body, Err(BodyError::TooLong))
    }

    /// The whole body, if it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_ref().ok()?).ok()
    }

    /// How far our clock is ahead of the server's, or may be, if so far that it counts.
    pub(super) fn ahead(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        crate::net::rate_limit::ahead(&self.headers, now)
    }

    /// Whether it is an error in the words of the API. What stands before a server shows pages, or errors of its own.
    pub(super) fn speaks_api(&self) -> bool {
        let error = || api_error::object(&self.headers, self.body.as_ref().ok()?);
        error().is_some_and(|error| is_error(&error))
    }

    /// What an answer that is no success means.
    pub(super) fn meaning(&self) -> Meaning {
        let replayed = self.headers.get(REPLAYED).is_some_and(|value| value.as_bytes() == b"true");
        match Meaning::of(self.status, self.speaks_api()) {
            Meaning::Silence if replayed && self.status >= 400 => Meaning::Again,
            meaning => meaning,
        }
    }

    /// Status and words of an error, for people, without what must not be repeated.
    pub(super) fn said(&self, us: &[&Secret]) -> String {
        let json = self.json().unwrap_or_default();
        let words = ["error", "error_description", "message"].map(|field| json[field].as_str());
        let words: Vec<String> =
            words.into_iter().flatten().map(|words| http::words(&http::without(words, us))).collect();
        let place = self.place().map(|place| format!(", and is at {place}"));
        match (&*words.join(": "), &self.body) {
            ("", Err(error)) if self.succeeded() => format!("HTTP {}, but {error}", self.status),
            ("", _) => format!("HTTP {}{}", self.status, place.unwrap_or_default()),
            (words, _) => format!("HTTP {}: {}", self.status, words.trim_end_matches('.')),
        }
    }

    /// Where an answer sends people: scheme, host and port, as the rest may hold a secret.
    fn place(&self) -> Option<String> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        Url::parse(location).ok().map(|url| http::words(&url.origin().ascii_serialization()))
    }
}

/// Whether this is an error as the API has it: `{"error": "..."}` (docs.joinmastodon.org, "Error"), or that of Phoenix,
/// on which Pleroma is built, or that of a validation by Laravel, on which Pixelfed is.
fn is_error(error: &Value) -> bool {
    if api_error::has_text(error, "error") {
        return api_error::has_only(error, &["error", "error_description", "details", "identifier"]);
    }
    let errors = &error["errors"];
    let phoenix = api_error::has_only(error, &["errors"]) && api_error::has_text(errors, "detail");
    let laravel = api_error::has_only(error, &["message", "errors"]) && errors.is_object();
    phoenix || (laravel && api_error::has_text(error, "message"))
}

/// An id that is fit to be put into a URL: letters, digits, `_` and `-`.
pub(super) fn id(value: &Value, field: &str) -> Option<String> {
    let text = value[field].as_str()?;
    let fit = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    (fit && (1..=ID_MAX).contains(&text.len())).then(|| text.to_owned())
}

/// Where people see a status: its own address, or where others know it by.
pub(super) fn url_of(status: &Value) -> Option<String> {
    let fit = |url: &&str| {
        let known = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        known && url.len() <= URL_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
    };
    ["url", "uri"].into_iter().find_map(|field| status[field].as_str().filter(fit)).map(str::to_owned)
}

/// What became of a post. `account` is the id of the one it was sent for, where known; `us` is what must not be
/// repeated.
pub(super) fn posted(
    answer: &Answer,
    post: &Post,
    account: Option<&str>,
    us: &[&Secret],
    now: DateTime<Utc>,
) -> Sent {
    let outcome =
        if answer.succeeded() { taken(answer, account, us) } else { not_taken(answer, post, us, now) };
    Sent { outcome, cooldowns: holds(answer, now), room: rate_limit::room(&answer.headers) }
}

/// A success names the status and its author; one that does not, or names another account, settles nothing.
fn taken(answer: &Answer, account: Option<&str>, us: &[&Secret]) -> Outcome {
    let status = answer.json().unwrap_or_default();
    let author = id(&status["account"], "id");
    let own = author.is_some() && (account.is_none() || author.as_deref() == account);
    match id(&status, "id") {
        Some(remote_id) if own => Outcome::Posted { remote_id, url: url_of(&status), note: None },
        _ => {
            let what = match author {
                Some(_) if !own => "names a status of another account",
                _ => "names no status of the account",
            };
            unsettled(&format!("the server answered with success and {what} ({})", answer.said(us)))
        }
    }
}

fn not_taken(answer: &Answer, post: &Post, us: &[&Secret], now: DateTime<Utc>) -> Outcome {
    // A key that brought a status before brings "not found" once that is gone.
    if post.doubted && answer.is_not_there() {
        let said = answer.said(us);
        let reason = format!("an earlier attempt had arrived, and was deleted on the server since ({said})");
        return Outcome::Refused { reason };
    }
    let meaning = answer.meaning();
    // What a repeated key brings is an answer of the API to an attempt that did nothing.
    if !answer.is_definite() && meaning != Meaning::Again {
        return unsettled(&doubtful(meaning, answer, us));
    }
    match meaning {
        Meaning::Text => Outcome::Refused { reason: sentence(Meaning::Text, answer, us) },
        Meaning::Odd => Outcome::Unclear(rejection(Meaning::Odd, answer, us, now)),
        meaning => Outcome::NotAccepted(rejection(meaning, answer, us, now)),
    }
}

/// What is said of an answer that does not prove anything, with what to do about it.
fn doubtful(meaning: Meaning, answer: &Answer, us: &[&Secret]) -> String {
    match meaning {
        Meaning::Silence => format!("the server gave an answer that settles nothing ({})", answer.said(us)),
        _ => format!("an answer came that settles nothing: {}", sentence(meaning, answer, us)),
    }
}

/// What became of a post whose request left without an answer.
pub(super) fn silence(error: &reqwest::Error) -> Outcome {
    unsettled(&format!("the request left, and then: {}", http::explain(error)))
}

fn unsettled(what: &str) -> Outcome {
    Outcome::Unknown { reason: format!("{what}; whether it was posted is not known") }
}

/// For how long the bot should keep still after this answer: the limit is used up, or the server said so of itself.
fn holds(answer: &Answer, now: DateTime<Utc>) -> Vec<Cooldown> {
    let silent = !answer.succeeded() && !answer.is_definite();
    let asked = if silent { rate_limit::retry_at(&answer.headers, now) } else { None };
    let until = rate_limit::spent(&answer.headers, now).max(asked);
    let reason = "the server's limit is used up, as its answer to the last post said: nothing to do, unless it is often so";
    let hold = |until| Cooldown { scope: Scope::Bot, until, why: Why::new(Cause::Limits, reason) };
    until.map(hold).into_iter().collect()
}

/// Something that is only read: it is there, or why not. `what` is what was asked for. Reading changes nothing, so
/// nothing is left in doubt.
pub(super) fn read<T>(
    answer: &Answer,
    what: &str,
    us: &[&Secret],
    now: DateTime<Utc>,
    find: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, Rejection> {
    if !answer.succeeded() {
        return Err(not_done(answer, what, us, now));
    }
    let found = answer.json().and_then(|json| find(&json));
    found.ok_or_else(|| {
        let reason = format!(
            "the server was asked to {what}, and its answer is not one of Mastodon's API ({}): look whether `api_url` \
             is right",
            answer.said(us)
        );
        Rejection { answered: true, ..Rejection::unanswered(Why::new(Cause::App, reason)) }
    })
}

/// Why a request that changes nothing when it is made twice was not done.
pub(super) fn not_done(answer: &Answer, what: &str, us: &[&Secret], now: DateTime<Utc>) -> Rejection {
    match answer.meaning() {
        Meaning::Silence => {
            let reason = format!(
                "the server gave no clear answer when asked to {what} ({}): try again",
                answer.said(us)
            );
            Rejection::unanswered(Why::new(Cause::Unreachable, reason))
        }
        // There is no text to blame.
        Meaning::Text => rejection(Meaning::Odd, answer, us, now),
        meaning => rejection(meaning, answer, us, now),
    }
}

/// Why nothing was accepted, as this meaning has it.
pub(super) fn rejection(meaning: Meaning, answer: &Answer, us: &[&Secret], now: DateTime<Utc>) -> Rejection {
    Rejection {
        why: Why::new(meaning.cause(), sentence(meaning, answer, us)),
        retry_at: if meaning.passes() { rate_limit::retry_at(&answer.headers, now) } else { None },
        answered: true,
        // There is no newer one to be had.
        token_rejected: false,
    }
}

/// What happened, what the server said, and what to do.
fn sentence(meaning: Meaning, answer: &Answer, us: &[&Secret]) -> String {
    format!("{} ({}): {}", meaning.what(), answer.said(us), meaning.remedy())
}
