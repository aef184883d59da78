//! From an answer of X to what the caller does next. What the errors mean is in [`super::meaning`].
//!
//! Whatever leaves room for the post to be out there is `Unknown`, whoever else might call it an error.

use chrono::{DateTime, Utc};
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::meaning::Meaning;
use super::patience;
use super::problem::Problem;
use crate::flock::Credentials;
use crate::flock::post::{Cause, Why};
use crate::net::http::{self, BodyError};
use crate::net::{Outcome, Setback};

/// The most characters of an id or a handle. X's ids have 19 and its handles 15; they end up in URLs.
const NAME_MAX: usize = 64;

/// An answer as it came.
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Result<Vec<u8>, BodyError>,
}

/// An account as X tells it.
pub(super) struct Me {
    pub(super) id: String,
    pub(super) handle: String,
}

impl Answer {
    /// Takes the answer in. A body that breaks off is kept as such: the status may settle it all the same.
    pub(super) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: http::body(response).await }
    }

    fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A field of `data` that is fit to be a name: letters, digits and `_`.
    fn name(&self, field: &str) -> Option<String> {
        let value: Value = serde_json::from_slice(self.body.as_ref().ok()?).ok()?;
        let text = value["data"][field].as_str()?;
        let fit = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (fit && (1..=NAME_MAX).contains(&text.len())).then(|| text.to_owned())
    }

    /// Why a success can't be used.
    fn unusable(&self) -> String {
        let what = self.body.as_ref().err().map_or_else(|| "no id is in it".to_owned(), BodyError::to_string);
        format!("X answered with success (HTTP {}), but {what}", self.status)
    }

    /// An error, and what it means.
    fn trouble(&self, us: &Credentials) -> (Meaning, Problem) {
        let problem = Problem::read(self.body.as_deref().unwrap_or_default(), us);
        (Meaning::of(self.status, &problem), problem)
    }
}

/// What became of a post. `handle` is the account's, where known; `us` is what must not be repeated.
pub(super) fn posted(answer: &Answer, handle: Option<&str>, us: &Credentials, now: DateTime<Utc>) -> Outcome {
    if answer.succeeded() {
        return answer.name("id").map_or_else(
            || Outcome::Unknown { reason: unsettled(&answer.unusable()) },
            |id| {
                let url = format!("https://x.com/{}/status/{id}", handle.unwrap_or("i"));
                Outcome::Posted { remote_id: id, url: Some(url) }
            },
        );
    }
    let (meaning, problem) = answer.trouble(us);
    match meaning {
        Meaning::Text => Outcome::Refused { reason: sentence(meaning, answer.status, &problem) },
        Meaning::Duplicate => Outcome::Duplicate { reason: sentence(meaning, answer.status, &problem) },
        Meaning::Silence => {
            let said = said(answer.status, &problem);
            Outcome::Unknown { reason: unsettled(&format!("X gave an answer that settles nothing ({said})")) }
        }
        _ => Outcome::NotAccepted(setback(meaning, answer, &problem, now)),
    }
}

/// What became of a post whose request left without an answer.
pub(super) fn silence(error: &reqwest::Error) -> Outcome {
    Outcome::Unknown { reason: unsettled(&format!("the request left, and then: {}", http::explain(error))) }
}

/// Who the credentials belong to. Reading changes nothing, so nothing is left in doubt.
pub(super) fn account(answer: &Answer, us: &Credentials, now: DateTime<Utc>) -> Result<Me, Setback> {
    if answer.succeeded() {
        let names = answer.name("id").zip(answer.name("username"));
        return names.map(|(id, handle)| Me { id, handle }).ok_or_else(|| nobody(&answer.unusable()));
    }
    let (meaning, problem) = answer.trouble(us);
    Err(match meaning {
        Meaning::Silence => nobody(&said(answer.status, &problem)),
        // There is no text to blame.
        Meaning::Text | Meaning::Duplicate => setback(Meaning::Odd, answer, &problem, now),
        _ => setback(meaning, answer, &problem, now),
    })
}

fn nobody(heard: &str) -> Setback {
    let reason = format!(
        "X can't be asked who the tokens belong to ({heard}): if it lasts, look whether api_url is right"
    );
    Setback { why: Why::new(Cause::Unreachable, reason), retry_at: None, answered: false }
}

fn setback(meaning: Meaning, answer: &Answer, problem: &Problem, now: DateTime<Utc>) -> Setback {
    let announced = || patience::retry_at(&answer.headers, now);
    let retry_at = match meaning {
        Meaning::Patience => announced(),
        Meaning::Daily => announced().or(Some(now + patience::UNANNOUNCED)),
        Meaning::Capped => Some(now + patience::LONGEST),
        _ => None,
    };
    let mut reason = sentence(meaning, answer.status, problem);
    if meaning == Meaning::Tokens {
        reason.push_str(&clock_hint(&answer.headers, now));
    }
    Setback { why: Why::new(meaning.cause(), reason), retry_at, answered: true }
}

/// What happened, what X said, and what to do.
fn sentence(meaning: Meaning, status: u16, problem: &Problem) -> String {
    format!("{} ({}): {}", meaning.what(), said(status, problem), meaning.remedy())
}

/// Status and words of an error, for people.
fn said(status: u16, problem: &Problem) -> String {
    let code = problem.codes.first().map_or_else(String::new, |code| format!(", code {code}"));
    match problem.said.trim_end_matches('.') {
        "" => format!("HTTP {status}{code}"),
        words => format!("HTTP {status}{code}: {words}"),
    }
}

fn unsettled(what: &str) -> String {
    format!("{what}; whether it was posted is not known")
}

/// A wrong clock looks like a wrong signature: say so, and for sure where the answer's date gives it away.
fn clock_hint(headers: &HeaderMap, now: DateTime<Utc>) -> String {
    let Some(ahead) = patience::skew(headers, now) else {
        return "; a clock that is minutes off causes this too".to_owned();
    };
    let side = if ahead.num_seconds() > 0 { "ahead of" } else { "behind" };
    format!("; but first set this machine's clock: it is {} minutes {side} X's", ahead.num_minutes().abs())
}
