//! From an answer to what the caller does next. What the errors mean is in [`super::meaning`].
//!
//! Whatever leaves room for a write to have been done is `Unknown`, whoever else might call it an error.

use chrono::{DateTime, Utc};
use reqwest::Response;
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::Value;
use url::Url;

use super::meaning::Meaning;
use super::rate_limit;
use crate::flock::post::{Cause, Why};
use crate::flock::secret::Secret;
use crate::net::http::{self, BodyError};
use crate::net::{Cooldown, Rejection, api_error};

/// Who answers, if nobody else is said to. The sentences of [`Meaning`] call them so, too.
const PDS: &str = "the account's server";

/// An answer as it came.
pub(super) struct Answer {
    who: &'static str,
    status: u16,
    headers: HeaderMap,
    body: Result<Vec<u8>, BodyError>,
}

/// What an error says.
#[derive(Debug, Default)]
pub(super) struct Problem {
    /// Its name, such as `ExpiredToken`.
    pub(super) name: String,
    /// What it said, for people: short, on one line, without our secrets.
    pub(super) said: String,
    /// Whether it has the form of XRPC's errors, so that it proves something.
    pub(super) is_own: bool,
}

impl Problem {
    /// Reads an error's body; anything that is not JSON says nothing.
    fn read(headers: &HeaderMap, body: &[u8], us: &[&Secret]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_own = api_error::is_json(headers) && is_error(&value);
        let field = |name: &str| value[name].as_str().unwrap_or_default();
        let said = http::words(&http::without(field("message"), us));
        Self { name: http::words(&http::without(field("error"), us)), said, is_own }
    }
}

/// Whether this is an error of XRPC: a name in one word, and perhaps a sentence (atproto.com/specs/xrpc).
fn is_error(error: &Value) -> bool {
    let name = error["error"].as_str().unwrap_or_default();
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase());
    is_name
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && api_error::has_only(error, &["error", "message"])
}

impl Answer {
    /// Takes the answer in. A body that breaks off is kept as such: the status may settle it all the same.
    pub(super) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { who: PDS, status, headers, body: http::body(response).await }
    }

    /// The same, of somebody else.
    pub(super) fn of(self, who: &'static str) -> Self {
        Self { who, ..self }
    }

    pub(super) fn succeeded(&self) -> bool {
        self.status == 200
    }

    /// The whole body, if it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_ref().ok()?).ok()
    }

    /// An error, and what it means.
    pub(super) fn trouble(&self, us: &[&Secret]) -> (Meaning, Problem) {
        let problem = Problem::read(&self.headers, self.body.as_deref().unwrap_or_default(), us);
        (Meaning::of(self.status, &problem), problem)
    }

    /// Whether the server says, in the words of its API, that it has not taken the request.
    pub(super) fn is_definite(&self, problem: &Problem) -> bool {
        api_error::is_definite(self.status) && problem.is_own
    }

    /// Whether it is a success that may be the server's, although nothing is in it.
    pub(super) fn is_plain_success(&self) -> bool {
        let body = self.body.as_deref().ok();
        body.is_some_and(|body| api_error::is_plain_success(self.status, &self.headers, body))
    }

    /// Why a success can't be used; `missing` is what should be in it.
    pub(super) fn unusable(&self, missing: &str) -> String {
        let what =
            self.body.as_ref().err().map_or_else(|| format!("no {missing} is in it"), BodyError::to_string);
        format!("answered with success, but {what}")
    }

    /// The host to which it sends us.
    fn elsewhere(&self) -> Option<String> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        Url::parse(location).ok()?.host_str().map(http::words)
    }

    /// What is said of an answer that does not prove anything, with what to do about it.
    pub(super) fn doubtful(&self, meaning: Meaning, problem: &Problem) -> String {
        match meaning {
            Meaning::Silence => {
                format!("the account's server gave an answer that settles nothing ({})", self.said(problem))
            }
            _ => format!("an answer came that settles nothing: {}", self.sentence(meaning, problem)),
        }
    }

    /// Who should keep still after this answer.
    pub(super) fn holds(&self, now: DateTime<Utc>) -> Vec<Cooldown> {
        let spent = rate_limit::spent(&self.headers, now).map(|(scope, until)| {
            let reason = "a limit of the account's server is used up, as its answer to the last post said: nothing to \
                          do, unless it comes often";
            Cooldown { scope, until, why: Why::new(Cause::Limits, reason) }
        });
        spent.into_iter().collect()
    }

    /// How many more posts the server would take before its tightest limit, as far as it said.
    pub(super) fn room(&self) -> Option<u32> {
        rate_limit::room(&self.headers)
    }

    /// The rejection that an error is; `what` is what was asked for.
    pub(super) fn rejection(
        &self,
        what: &str,
        meaning: Meaning,
        problem: &Problem,
        now: DateTime<Utc>,
    ) -> Rejection {
        if meaning == Meaning::Silence {
            return self.unclear(what, &self.said(problem));
        }
        let retry_at =
            (meaning == Meaning::Patience).then(|| rate_limit::retry_at(&self.headers, now)).flatten();
        let why = Why::new(meaning.cause(), self.sentence(meaning, problem));
        Rejection { why, retry_at, answered: true, token_rejected: meaning == Meaning::Tokens }
    }

    /// What happened, what was said, and what to do.
    pub(super) fn sentence(&self, meaning: Meaning, problem: &Problem) -> String {
        let moved = (meaning == Meaning::Moved).then(|| self.elsewhere()).flatten();
        let where_to = moved.map_or_else(String::new, |host| format!(", {host}"));
        let what = meaning.what().replacen(PDS, self.who, 1);
        format!("{what}{where_to} ({}): {}", self.said(problem), meaning.remedy())
    }

    /// The rejection that an answer is which settles nothing, to a question which changes nothing.
    pub(super) fn unclear(&self, what: &str, heard: &str) -> Rejection {
        unclear_of(self.who, what, heard)
    }

    /// Status and words of an error, for people.
    pub(super) fn said(&self, problem: &Problem) -> String {
        let words = if problem.said.is_empty() { &problem.name } else { &problem.said };
        match words.trim_end_matches('.') {
            "" => format!("HTTP {}", self.status),
            words => format!("HTTP {}: {words}", self.status),
        }
    }
}

/// The same of an answer of the account's server in which something is missing.
pub(super) fn unclear(what: &str, heard: &str) -> Rejection {
    unclear_of(PDS, what, heard)
}

fn unclear_of(who: &str, what: &str, heard: &str) -> Rejection {
    let reason = format!("{who} gave no clear answer when asked to {what} ({heard}): try again");
    Rejection::unanswered(Why::new(Cause::Unreachable, reason))
}

/// What is not known of a write.
pub(super) fn unsettled(what: &str) -> String {
    format!("{what}; whether it was posted is not known")
}

/// A field for people to read.
pub(super) fn sentence_of(data: &Value, field: &str) -> Option<String> {
    data[field].as_str().map(http::words).filter(|words| !words.is_empty())
}
