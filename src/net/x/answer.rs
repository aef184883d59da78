//! From an answer of X to what the caller does next. What the errors mean is in [`super::meaning`].
//!
//! Whatever leaves room for the post to be out there is `Unknown`, whoever else might call it an error.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::meaning::Meaning;
use super::problem::Problem;
use super::rate_limit;
use super::timeline::Page;
use crate::flock::post::{Cause, Why};
use crate::flock::secret::Secret;
use crate::net::http::{self, BodyError};
use crate::net::{Cooldown, Outcome, Rejection, Scope, Sent, api_error};

/// The most characters of an id or a handle. X's ids have 19 and its handles 15; they end up in URLs.
const NAME_MAX: usize = 64;

/// The header in which X says what OAuth 1.0a tokens allow: `read`, `read-write`, or that with more behind it.
const ACCESS_LEVEL: &str = "x-access-level";

/// An answer as it came.
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Result<Vec<u8>, BodyError>,
}

/// An account as X tells it.
#[derive(Debug)]
pub(super) struct Me {
    pub(super) id: String,
    pub(super) handle: String,
    pub(super) name: Option<String>,
    pub(super) bio: Option<String>,
    pub(super) picture_url: Option<String>,
    /// What the tokens allow, which X says of those of OAuth 1.0a.
    pub(super) access: Option<String>,
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

    /// How far our clock is ahead of X's, or may be, if so far that X may have taken an instant of ours for another: in
    /// an answer of its own, or in its word that it can't be.
    pub(super) fn ahead(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        rate_limit::ahead(&self.headers, now).filter(|_| self.succeeded() || self.status == 400)
    }

    /// The whole body, if it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_ref().ok()?).ok()
    }

    /// What the answer is about, if it can be read.
    fn data(&self) -> Option<Value> {
        Some(self.json()?["data"].take())
    }

    /// The account that the answer is about.
    fn me(&self) -> Option<Me> {
        let data = self.data()?;
        let access = self.headers.get(ACCESS_LEVEL).and_then(|level| level.to_str().ok());
        Some(Me {
            id: name(&data, "id")?,
            handle: name(&data, "username")?,
            name: sentence_of(&data, "name"),
            bio: sentence_of(&data, "description"),
            picture_url: sentence_of(&data, "profile_image_url").filter(|url| url.starts_with("https://")),
            access: access.map(http::words),
        })
    }

    /// Why a success can't be used.
    fn unusable(&self) -> String {
        let what = self.body.as_ref().err().map_or_else(|| "no id is in it".to_owned(), BodyError::to_string);
        format!("X answered with success (HTTP {}), but {what}", self.status)
    }

    /// Why a success is no page of posts.
    fn no_page(&self) -> String {
        let what = self
            .body
            .as_ref()
            .err()
            .map_or_else(|| "it is no list of posts".to_owned(), BodyError::to_string);
        format!("HTTP {}, but {what}", self.status)
    }

    /// An error, and what it means.
    fn trouble(&self, us: &[&Secret]) -> (Meaning, Problem) {
        let body = self.body.as_deref().unwrap_or_default();
        let problem = Problem::read(&self.headers, self.status, body, us);
        (Meaning::of(self.status, &problem), problem)
    }

    /// Whether X says, in its own words, that it has not taken the request.
    fn is_definite(&self, problem: &Problem) -> bool {
        api_error::is_definite(self.status) && problem.is_own
    }
}

/// A field that is fit to be a name: letters, digits and `_`.
pub(super) fn name(data: &Value, field: &str) -> Option<String> {
    let text = data[field].as_str()?;
    let fit = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (fit && (1..=NAME_MAX).contains(&text.len())).then(|| text.to_owned())
}

/// A field for people to read.
fn sentence_of(data: &Value, field: &str) -> Option<String> {
    data[field].as_str().map(http::words).filter(|words| !words.is_empty())
}

/// What became of a post. `handle` is the account's, where known; `us` is what must not be repeated.
pub(super) fn posted(answer: &Answer, handle: Option<&str>, us: &[&Secret], now: DateTime<Utc>) -> Sent {
    let (meaning, problem) = answer.trouble(us);
    let mut holds = holds(answer, (!answer.succeeded()).then_some(meaning), &problem, now);
    holds.extend(asked(answer, &problem, now));
    let room = rate_limit::room(&answer.headers);
    Sent { outcome: outcome(answer, handle, (meaning, &problem), now), cooldowns: holds, room }
}

fn outcome(
    answer: &Answer,
    handle: Option<&str>,
    (meaning, problem): (Meaning, &Problem),
    now: DateTime<Utc>,
) -> Outcome {
    if answer.succeeded() {
        return answer.data().and_then(|data| id(&data)).map_or_else(
            || Outcome::Unknown { reason: unsettled(&answer.unusable()) },
            |id| {
                let url = Some(url_of(handle.unwrap_or("i"), &id));
                Outcome::Posted { remote_id: id, url, note: None }
            },
        );
    }
    if !answer.is_definite(problem) {
        return Outcome::Unknown { reason: unsettled(&doubtful(meaning, answer, problem)) };
    }
    match meaning {
        Meaning::Text => Outcome::Refused { reason: sentence(meaning, answer.status, problem) },
        Meaning::Duplicate => Outcome::Duplicate { reason: sentence(meaning, answer.status, problem) },
        Meaning::Forbidden | Meaning::Odd => Outcome::Unclear(rejection(meaning, answer, problem, now)),
        _ => Outcome::NotAccepted(rejection(meaning, answer, problem, now)),
    }
}

/// What is said of an answer that does not prove anything, with what to do about it.
fn doubtful(meaning: Meaning, answer: &Answer, problem: &Problem) -> String {
    match meaning {
        Meaning::Silence => {
            format!("X gave an answer that settles nothing ({})", said(answer.status, problem))
        }
        _ => format!("an answer came that settles nothing: {}", sentence(meaning, answer.status, problem)),
    }
}

/// Until when to keep still because an answer asks for it that settles nothing.
fn asked(answer: &Answer, problem: &Problem, now: DateTime<Utc>) -> Option<Cooldown> {
    let asks = !answer.succeeded() && !answer.is_definite(problem);
    let until = rate_limit::retry_after(&answer.headers, now).filter(|until| asks && *until > now)?;
    let reason = "what answers for X asked for patience: nothing to do, unless it comes often";
    let why = Why::new(Cause::Limits, reason);
    Some(Cooldown { scope: Scope::Bot, until: rate_limit::within_reason(until, now), why })
}

/// The id of a post that is shown: digits, beside a text.
fn id(data: &Value) -> Option<String> {
    let is_shown = data["text"].is_string();
    name(data, "id").filter(|id| is_shown && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Where people see a post.
pub(super) fn url_of(handle: &str, id: &str) -> String {
    format!("https://x.com/{handle}/status/{id}")
}

/// Who should keep still after this answer: limits that are used up, and what ails the app as a whole.
fn holds(answer: &Answer, meaning: Option<Meaning>, problem: &Problem, now: DateTime<Utc>) -> Vec<Cooldown> {
    let spent = rate_limit::spent(&answer.headers, now).into_iter().map(|(scope, until)| {
        let reason =
            "X's limit is used up, as its answer to the last post said: nothing to do, unless it comes often";
        Cooldown { scope, until, why: Why::new(Cause::Limits, reason) }
    });
    let of_app = meaning.filter(|meaning| meaning.concerns_app()).map(|meaning| {
        let until =
            if meaning == Meaning::Capped { now + rate_limit::LONGEST } else { now + rate_limit::PROBE };
        let why = Why::new(meaning.cause(), sentence(meaning, answer.status, problem));
        Cooldown { scope: Scope::App, until, why }
    });
    spent.chain(of_app).collect()
}

/// A page of a timeline; or why it may not be read. An error says that it can't be read now.
pub(super) fn page(
    answer: &Answer,
    us: &[&Secret],
    now: DateTime<Utc>,
) -> Result<Result<Page, Why>, Rejection> {
    let what = "show the account's posts";
    let (meaning, problem) = answer.trouble(us);
    if answer.succeeded() {
        return match Page::read(answer) {
            Some(page) => Ok(Ok(page)),
            // Of an account that it does not show X says so in a success.
            None if !problem.kind.is_empty() => {
                let reason = format!(
                    "X shows no posts of the account ({}): look at it at x.com",
                    said(answer.status, &problem)
                );
                Ok(Err(Why::new(Cause::Account, reason)))
            }
            None => Err(unclear(what, &answer.no_page())),
        };
    }
    match meaning {
        Meaning::Silence => Err(unclear(what, &said(answer.status, &problem))),
        // What only a stranger has said passes, too.
        _ if meaning.passes() || !problem.is_own => Err(rejection(meaning, answer, &problem, now)),
        // There is no text to blame.
        Meaning::Text | Meaning::Duplicate => {
            Ok(Err(Why::new(Cause::App, sentence(Meaning::Odd, answer.status, &problem))))
        }
        _ => Ok(Err(Why::new(meaning.cause(), sentence(meaning, answer.status, &problem)))),
    }
}

/// What became of a post whose request left without an answer.
pub(super) fn silence(error: &reqwest::Error) -> Outcome {
    Outcome::Unknown { reason: unsettled(&format!("the request left, and then: {}", http::explain(error))) }
}

/// Who the credentials belong to. Reading changes nothing, so nothing is left in doubt.
pub(super) fn account(answer: &Answer, us: &[&Secret], now: DateTime<Utc>) -> Result<Me, Rejection> {
    if answer.succeeded() {
        return answer.me().ok_or_else(|| nobody(&answer.unusable()));
    }
    let (meaning, problem) = answer.trouble(us);
    Err(match meaning {
        Meaning::Silence => nobody(&said(answer.status, &problem)),
        // There is no text to blame.
        Meaning::Text | Meaning::Duplicate => rejection(Meaning::Odd, answer, &problem, now),
        _ => rejection(meaning, answer, &problem, now),
    })
}

/// What became of a request that changes nothing when it is made twice: done, or why not. `what` is what it was
/// to do, `shows` whether an answer shows that it is done.
pub(super) fn done(
    answer: &Answer,
    what: &str,
    us: &[&Secret],
    now: DateTime<Utc>,
    shows: impl FnOnce(&Answer, &Problem) -> bool,
) -> Result<(), Rejection> {
    let (meaning, problem) = answer.trouble(us);
    if shows(answer, &problem) {
        return Ok(());
    }
    Err(not_done(answer, what, meaning, &problem, now))
}

fn not_done(
    answer: &Answer,
    what: &str,
    meaning: Meaning,
    problem: &Problem,
    now: DateTime<Utc>,
) -> Rejection {
    match meaning {
        Meaning::Silence => unclear(what, &said(answer.status, problem)),
        _ => rejection(meaning, answer, problem, now),
    }
}

/// Whether a post is gone: X says so itself, of a success as of an id that it does not know. A page of somebody
/// else's in between, with whatever status, shows nothing.
pub(super) fn is_gone(answer: &Answer, problem: &Problem) -> bool {
    let deleted = answer.succeeded() && answer.data().is_some_and(|data| data["deleted"] == true);
    deleted || (answer.is_definite(problem) && problem.kind == "resource-not-found")
}

/// Whether tokens are worthless: X has revoked them, or had done so before. That it does not accept a request for
/// another reason, such as a clock that is off, shows nothing.
pub(super) fn is_revoked(answer: &Answer, problem: &Problem) -> bool {
    let body = answer.body.as_deref().unwrap_or_default();
    let revoked = api_error::is_plain_success(answer.status, &answer.headers, body);
    revoked || (answer.is_definite(problem) && problem.codes.contains(&89))
}

/// A form in the body of a success, as the endpoints of OAuth 1.0a answer; `what` is what was asked for. There
/// are no tokens yet: what is not accepted is what was `shown`.
pub(super) fn form(
    answer: &Answer,
    what: &str,
    shown: Meaning,
    us: &[&Secret],
    now: DateTime<Utc>,
) -> Result<Vec<(String, String)>, Rejection> {
    if !answer.succeeded() {
        let (meaning, problem) = answer.trouble(us);
        // These endpoints explain themselves in plain text, which nothing tells from a stranger's; and nothing is lost by
        // taking a stranger's for theirs.
        let is_theirs = meaning == Meaning::Tokens || (meaning == Meaning::Stranger && answer.status == 401);
        let meaning = if is_theirs { shown } else { meaning };
        return Err(not_done(answer, what, meaning, &problem, now));
    }
    let body = answer.body.as_ref().map_err(|error| unclear(what, &error.to_string()))?;
    Ok(url::form_urlencoded::parse(body).into_owned().collect())
}

fn unclear(what: &str, heard: &str) -> Rejection {
    let reason = format!("X gave no clear answer when asked to {what} ({heard}): try again");
    Rejection::unanswered(Why::new(Cause::Unreachable, reason))
}

fn nobody(heard: &str) -> Rejection {
    let reason = format!(
        "X can't be asked who the tokens belong to ({heard}): if it lasts, look whether api_url is right"
    );
    Rejection::unanswered(Why::new(Cause::Unreachable, reason))
}

fn rejection(meaning: Meaning, answer: &Answer, problem: &Problem, now: DateTime<Utc>) -> Rejection {
    let announced = || rate_limit::retry_at(&answer.headers, now);
    let retry_at = match meaning {
        Meaning::Patience => announced(),
        Meaning::Daily => announced().or(Some(now + rate_limit::UNANNOUNCED)),
        Meaning::Capped => Some(now + rate_limit::LONGEST),
        _ => None,
    };
    let mut reason = sentence(meaning, answer.status, problem);
    if matches!(meaning, Meaning::Tokens | Meaning::AppKeys) {
        reason.push_str(&clock_hint(&answer.headers, now));
    }
    Rejection {
        why: Why::new(meaning.cause(), reason),
        retry_at,
        answered: true,
        token_rejected: meaning == Meaning::Tokens,
    }
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
    let Some(ahead) = rate_limit::skew(headers, now) else {
        return "; a clock that is minutes off causes this too".to_owned();
    };
    let side = if ahead.num_seconds() > 0 { "ahead of" } else { "behind" };
    format!("; but first set this machine's clock: it is {} minutes {side} X's", ahead.num_minutes().abs())
}
