//! What an error means and what follows from it: the outcome of the post, how long to wait, and what to tell people.
//!
//! Each network has one table of [`Rule`]s, from status and code to a [`Diagnosis`]; this file applies them. Nothing
//! blames the line unless the network clearly does: an unclear refusal suspends the bot, because using up a poem line
//! by line would be worse than a bot that waits loudly. If the post may have been accepted, the outcome is `Unknown`.

use chrono::TimeDelta;

use super::rate_limit::{self, RateLimits};
use super::response::{self, ApiError, ApiResponse, Protocol};
use super::{Cooldown, LimitScope, Outcome, Rejection, Sent, UploadError};
use crate::flock::post::{Cause, Why};

/// How long an app that can't post waits before one of its bots tries again.
const APP_PAUSE: TimeDelta = TimeDelta::minutes(15);

/// The task of uploading a picture, as it reads in a sentence.
pub(super) const TAKE: &str = "take the picture";

/// Statuses of redirects.
const REDIRECTS: &[u16] = &[301, 302, 307, 308];

/// What an error means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// Its code: stable, and unique among all networks.
    pub(super) code: &'static str,
    /// The cause that the ledger records.
    pub(super) cause: Cause,
    /// What became of the post, if the API itself reported the error.
    pub(super) effect: Effect,
    /// When the request may be made again.
    pub(super) retry: Retry,
    /// Whom it affects. A problem of the app pauses all its bots, so that not every one of them runs into it.
    pub(super) scope: LimitScope,
    /// Whether it is unrelated to the content of the request: it will pass, or a person has to fix it.
    pub(super) is_temporary: bool,
    /// Whether the access token was rejected, so that a renewed one may be accepted.
    pub(super) token_rejected: bool,
    /// Whether a wrong clock causes the same error.
    pub(super) may_be_clock: bool,
    /// What happened.
    pub(super) summary: &'static str,
    /// What to do.
    pub(super) remedy: &'static str,
}

/// What an error means for a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The network rejects this text.
    Refused,
    /// The account posted the same text recently.
    Duplicate,
    /// Not accepted, for a reason other than the text.
    NotAccepted,
    /// Not accepted, because of the text, the account or the app.
    Unclear,
    /// Not accepted, because of the uploads that it refers to.
    UploadsRejected,
    /// Not accepted, because the app may not reply.
    RepliesForbidden,
    /// Not accepted, because the post that it answers is gone.
    ParentGone,
}

/// When a request may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// The answer does not say.
    Unsaid,
    /// At the time given in the headers.
    Announced,
    /// At the time given in the headers; without one, after this long.
    AnnouncedOr(TimeDelta),
    /// After this long, regardless of the headers.
    After(TimeDelta),
}

impl Diagnosis {
    /// A request that was not accepted.
    pub(super) const fn new(
        code: &'static str,
        cause: Cause,
        summary: &'static str,
        remedy: &'static str,
    ) -> Self {
        Self {
            code,
            cause,
            effect: Effect::NotAccepted,
            retry: Retry::Unsaid,
            scope: LimitScope::Bot,
            is_temporary: false,
            token_rejected: false,
            may_be_clock: false,
            summary,
            remedy,
        }
    }

    pub(super) const fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    pub(super) const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    pub(super) const fn of_app(mut self) -> Self {
        self.scope = LimitScope::App;
        self
    }

    pub(super) const fn temporary(mut self) -> Self {
        self.is_temporary = true;
        self
    }

    pub(super) const fn token_rejected(mut self) -> Self {
        self.token_rejected = true;
        self
    }

    pub(super) const fn may_be_clock(mut self) -> Self {
        self.may_be_clock = true;
        self
    }

    /// Whether what was posted is to blame.
    const fn is_about_post(&self) -> bool {
        !matches!(self.effect, Effect::NotAccepted | Effect::Unclear)
    }
}

/// The entry of a diagnosis in the manual.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Its code.
    pub code: &'static str,
    /// What happened, and the consequences for the line and for other bots.
    pub meaning: String,
    /// What to do.
    pub remedy: &'static str,
}

impl Diagnosis {
    /// The entry for the manual.
    pub(super) fn explained(&self) -> Explanation {
        let line = match self.effect {
            Effect::Refused => ", and the line counts as used in this round",
            Effect::Duplicate => ", so another line comes first",
            Effect::Unclear => ", and the line is not used up",
            Effect::UploadsRejected => ", so they are uploaded once more",
            Effect::RepliesForbidden => ", so the thread stays incomplete, and no other is begun",
            Effect::ParentGone => ", so the thread stays incomplete",
            Effect::NotAccepted => "",
        };
        let app = if self.scope == LimitScope::App { ", which concerns all bots of the app" } else { "" };
        Explanation { code: self.code, meaning: format!("{}{line}{app}", self.summary), remedy: self.remedy }
    }
}

/// One row of a network's table: an answer that matches all of these conditions has this diagnosis.
#[derive(Debug)]
pub(super) struct Rule {
    sender: Sender,
    /// The answer has one of these statuses; an empty list matches any.
    statuses: &'static [u16],
    /// The answer has one of these codes; an empty list matches any answer, with a code or without.
    codes: &'static [&'static str],
    wording: Wording,
    diagnosis: &'static Diagnosis,
}

/// What answered.
#[derive(Debug, PartialEq, Eq)]
enum Sender {
    /// The API itself.
    Api,
    /// Anything else, such as a proxy.
    Foreign,
    /// Either.
    Any,
}

/// A condition on the text of an error.
#[derive(Debug)]
enum Wording {
    Any,
    /// It contains one of these texts, which are in lower case.
    Contains(&'static [&'static str]),
    /// It begins with one of these texts.
    StartsWith(&'static [&'static str]),
}

impl Rule {
    const fn new(sender: Sender, statuses: &'static [u16], diagnosis: &'static Diagnosis) -> Self {
        Self { sender, statuses, codes: &[], wording: Wording::Any, diagnosis }
    }

    /// Matches an answer of the API with one of these statuses.
    pub(super) const fn status(statuses: &'static [u16], diagnosis: &'static Diagnosis) -> Self {
        Self::new(Sender::Api, statuses, diagnosis)
    }

    /// Matches an answer that is not the API's, with one of these statuses.
    pub(super) const fn foreign(statuses: &'static [u16], diagnosis: &'static Diagnosis) -> Self {
        Self::new(Sender::Foreign, statuses, diagnosis)
    }

    /// Matches any answer with one of these statuses.
    pub(super) const fn any_sender(statuses: &'static [u16], diagnosis: &'static Diagnosis) -> Self {
        Self::new(Sender::Any, statuses, diagnosis)
    }

    /// Matches an answer of the API with one of these codes.
    pub(super) const fn code(codes: &'static [&'static str], diagnosis: &'static Diagnosis) -> Self {
        Self { codes, ..Self::new(Sender::Api, &[], diagnosis) }
    }

    /// Matches an answer of the API that contains one of these texts, which are in lower case.
    pub(super) const fn words(words: &'static [&'static str], diagnosis: &'static Diagnosis) -> Self {
        Self { wording: Wording::Contains(words), ..Self::new(Sender::Api, &[], diagnosis) }
    }

    /// Requires, in addition, that the text begins with one of these.
    pub(super) const fn starting(mut self, texts: &'static [&'static str]) -> Self {
        self.wording = Wording::StartsWith(texts);
        self
    }

    fn matches(&self, status: u16, error: &ApiError, code: Option<&str>) -> bool {
        let is_sender = match self.sender {
            Sender::Api => error.is_own,
            Sender::Foreign => !error.is_own,
            Sender::Any => true,
        };
        let says = match self.wording {
            Wording::Any => true,
            Wording::Contains(texts) => {
                let message = error.message.to_lowercase();
                texts.iter().any(|text| message.contains(text))
            }
            Wording::StartsWith(texts) => texts.iter().any(|text| error.message.starts_with(text)),
        };
        is_sender
            && says
            && (self.statuses.is_empty() || self.statuses.contains(&status))
            && (self.codes.is_empty() || code.is_some_and(|code| self.codes.contains(&code)))
    }
}

/// A network's API: how it answers, and what its answers mean.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) protocol: Protocol,
    pub(super) limits: RateLimits,
    /// The first rule that matches applies.
    pub(super) rules: &'static [Rule],
    /// The diagnosis of a redirect.
    pub(super) moved: &'static Diagnosis,
    /// The diagnosis of an answer that doesn't show whether the request was accepted.
    pub(super) inconclusive: &'static Diagnosis,
    /// The diagnosis of an error that is not the API's, if no rule matches.
    pub(super) foreign: &'static Diagnosis,
    /// The diagnosis of an error of the API, if no rule matches.
    pub(super) unexpected: &'static Diagnosis,
}

impl Api {
    /// The meaning of an answer that is not a success.
    pub(super) fn diagnose(&self, response: &ApiResponse) -> &'static Diagnosis {
        self.diagnosis_of(response.status(), response.error())
    }

    fn diagnosis_of(&self, status: u16, error: &ApiError) -> &'static Diagnosis {
        if REDIRECTS.contains(&status) {
            return self.moved;
        }
        if !response::is_definite(status) {
            return self.inconclusive;
        }
        // Of several codes, the first known one applies.
        let is_known = |code: &&String| self.rules.iter().any(|rule| rule.codes.contains(&code.as_str()));
        let code = error.codes.iter().find(is_known).map(String::as_str);
        let rule = self.rules.iter().find(|rule| rule.matches(status, error, code));
        let otherwise = if error.is_own { self.unexpected } else { self.foreign };
        rule.map_or(otherwise, |rule| rule.diagnosis)
    }

    /// The outcome of a post whose answer was not a success.
    pub(super) fn outcome(&self, response: &ApiResponse, diagnosis: &Diagnosis) -> Outcome {
        if !response.is_definite() {
            return self.doubt(response, diagnosis);
        }
        let reason = || sentence(response, diagnosis);
        match diagnosis.effect {
            Effect::Refused => Outcome::Refused { reason: reason() },
            Effect::Duplicate => Outcome::Duplicate { reason: reason() },
            Effect::Unclear => Outcome::Unclear(self.rejection(response, diagnosis)),
            Effect::UploadsRejected => Outcome::UploadsRejected { reason: reason() },
            Effect::RepliesForbidden => Outcome::RepliesForbidden { reason: reason() },
            Effect::ParentGone => Outcome::ParentGone { reason: reason() },
            Effect::NotAccepted => Outcome::NotAccepted(self.rejection(response, diagnosis)),
        }
    }

    /// An inconclusive answer.
    fn doubt(&self, response: &ApiResponse, diagnosis: &Diagnosis) -> Outcome {
        let (server, quoted) = (response.server(), response.quoted());
        Outcome::unsettled(&match diagnosis == self.inconclusive {
            true => format!("{server} gave an answer that settles nothing ({quoted})"),
            false => format!("an answer came that settles nothing: {}", sentence(response, diagnosis)),
        })
    }

    /// An attempt to post, with the cooldowns that the answer asks for.
    pub(super) fn sent(&self, response: &ApiResponse, outcome: Outcome) -> Sent {
        let room = self.limits.remaining(response.headers());
        Sent { outcome, cooldowns: self.cooldowns(response), room }
    }

    /// Which bots should send nothing after this answer: exhausted limits, problems of the whole app, and waits that an
    /// inconclusive answer asks for.
    fn cooldowns(&self, response: &ApiResponse) -> Vec<Cooldown> {
        let (server, headers, now) = (response.server(), response.headers(), response.received_at());
        let limited = |scope, until, what: &str| {
            let reason = format!("{server}{what}: nothing to do, unless it happens often");
            Cooldown { scope, until, why: Why::new(Cause::Limits, reason) }
        };
        let spent = self.limits.spent(headers, now).into_iter();
        let mut cooldowns: Vec<Cooldown> = spent
            .map(|(scope, until)| {
                limited(scope, until, "'s rate limit is used up, by its answer to the last post")
            })
            .collect();
        if response.succeeded() {
            return cooldowns;
        }
        let diagnosis = self.diagnose(response);
        if response.is_definite() {
            cooldowns.extend(app_cooldown(response, diagnosis));
            let is_limit = diagnosis.cause == Cause::Limits && cooldowns.is_empty();
            if let Some(until) = self.limits.announced(headers, now).filter(|_| is_limit) {
                cooldowns.push(limited(LimitScope::Bot, until, " asked to be left alone for a while"));
            }
        } else if let Some(until) = self.limits.announced(headers, now) {
            cooldowns.push(limited(LimitScope::Bot, until, " asked to be left alone for a while"));
        }
        cooldowns
    }

    /// Why a post was not accepted.
    pub(super) fn rejection(&self, response: &ApiResponse, diagnosis: &Diagnosis) -> Rejection {
        let (headers, now) = (response.headers(), response.received_at());
        let announced = || self.limits.retry_at(headers, now);
        let retry_at = match diagnosis.retry {
            Retry::Unsaid => None,
            Retry::Announced => announced(),
            Retry::AnnouncedOr(wait) => announced().or(Some(now + wait)),
            Retry::After(wait) => Some(now + wait),
        };
        let mut reason = sentence(response, diagnosis);
        if diagnosis.may_be_clock {
            reason.push_str(&clock_hint(response));
        }
        let why = Why::new(diagnosis.cause, reason);
        Rejection { why, retry_at, answered: true, token_rejected: diagnosis.token_rejected }
    }

    /// Why a request failed that may be repeated; `task` says what it was for. There is no text to blame.
    pub(super) fn failure(&self, response: &ApiResponse, task: &str) -> Rejection {
        let diagnosis = self.diagnose(response);
        if diagnosis == self.inconclusive {
            return inconclusive(response.server(), task, &response.quoted());
        }
        let diagnosis = if diagnosis.is_about_post() { self.unexpected } else { diagnosis };
        self.rejection(response, diagnosis)
    }

    /// Why a picture was not uploaded; `refused` says that the network rejects this one. An error about the request is about
    /// the picture, as there is nothing else in it.
    pub(super) fn upload_error(&self, response: &ApiResponse, refused: &Diagnosis) -> UploadError {
        let is_about_request = matches!(response.status(), 400 | 413 | 415 | 422);
        let is_open = matches!(self.diagnose(response).effect, Effect::Refused | Effect::Unclear);
        match response.is_definite() && is_about_request && is_open {
            true => UploadError::Refused(sentence(response, refused)),
            false => UploadError::Failed(self.failure(response, TAKE)),
        }
    }

    /// Whether an answer says definitely that something may not be read: the API says so, and the reason is not
    /// temporary.
    pub(super) fn forbids_reading(&self, response: &ApiResponse) -> bool {
        let diagnosis = self.diagnose(response);
        response.is_definite() && diagnosis != self.inconclusive && !diagnosis.is_temporary
    }
}

fn app_cooldown(response: &ApiResponse, diagnosis: &Diagnosis) -> Option<Cooldown> {
    let pause = if let Retry::After(pause) = diagnosis.retry { pause } else { APP_PAUSE };
    let why = Why::new(diagnosis.cause, sentence(response, diagnosis));
    let cooldown = Cooldown { scope: LimitScope::App, until: response.received_at() + pause, why };
    (diagnosis.scope == LimitScope::App).then_some(cooldown)
}

/// What happened, what the server said, what to do, and the code for `flockd explain`.
fn sentence(response: &ApiResponse, diagnosis: &Diagnosis) -> String {
    let usual = response.usual_server();
    let summary = diagnosis.summary.replacen(usual, response.server(), 1);
    format!("{summary} ({}): {} [{}]", response.quoted(), diagnosis.remedy, diagnosis.code)
}

/// A wrong clock causes errors that look like a wrong signature. Mentions it, as a certainty if the answer's date shows
/// it.
fn clock_hint(response: &ApiResponse) -> String {
    let Some(ahead) = rate_limit::skew(response.headers(), response.received_at()) else {
        return "; a clock that is minutes off causes this too".to_owned();
    };
    let side = if ahead.num_seconds() > 0 { "ahead of" } else { "behind" };
    let minutes = ahead.num_minutes().abs();
    format!("; but first set this machine's clock: it is {minutes} minutes {side} {}'s", response.server())
}

/// A request that may be repeated, and got no usable answer.
pub(super) fn inconclusive(server: &str, task: &str, heard: &str) -> Rejection {
    let reason = format!("{server} gave no clear answer when asked to {task} ({heard}): try again");
    Rejection::unanswered(Why::new(Cause::Unreachable, reason))
}
