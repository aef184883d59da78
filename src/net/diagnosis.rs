//! What an error means, and what follows from it: the outcome of a post, how long to wait, and what to tell people.
//!
//! Each network has one table of [`Rule`]s, from status and code to a [`Diagnosis`]; this file applies them. Nothing
//! blames the line unless the network clearly does: an unclear no suspends the bot, because using up a poem line by line
//! would be worse than a bot that loudly waits. Whatever leaves room for the post to be out there is `Unknown`.

use chrono::TimeDelta;

use super::rate_limit::{self, RateLimits};
use super::response::{self, ApiError, ApiResponse, Protocol};
use super::{Cooldown, LimitScope, Outcome, Rejection, Sent};
use crate::flock::post::{Cause, Why};

/// How long an app that can't post is left alone before one of its bots tries again.
const APP_PAUSE: TimeDelta = TimeDelta::minutes(15);

/// Statuses by which a server says that it is elsewhere.
const REDIRECTS: &[u16] = &[301, 302, 307, 308];

/// What an error means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    /// Its name for programs: stable, and unique among all networks.
    pub(super) code: &'static str,
    /// The cause that the ledger keeps.
    pub(super) cause: Cause,
    /// What became of the post, if the API itself says this.
    pub(super) effect: Effect,
    /// When it may be tried again.
    pub(super) retry: Retry,
    /// Whom it affects. A problem of the app pauses all its bots, so that each need not run into it.
    pub(super) scope: LimitScope,
    /// Whether it says nothing about what was asked for: it passes, or a person fixes it.
    pub(super) is_temporary: bool,
    /// Whether it is the access token that was not accepted, so that a renewed one may be.
    pub(super) token_rejected: bool,
    /// Whether a wrong clock looks like this.
    pub(super) may_be_clock: bool,
    /// What happened.
    pub(super) summary: &'static str,
    /// What to do.
    pub(super) remedy: &'static str,
}

/// What an error makes of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The network does not want this text.
    Refused,
    /// The network has had this text lately.
    Duplicate,
    /// Not accepted, and not because of the text.
    NotAccepted,
    /// Not accepted, be it because of the text, the account or the app.
    Unclear,
}

/// When a request may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// The answer does not say.
    Unsaid,
    /// When the answer's headers say.
    Announced,
    /// When the headers say, or else after this.
    AnnouncedOr(TimeDelta),
    /// After this, whatever the headers say.
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

    /// Whether it blames the text.
    const fn is_about_text(&self) -> bool {
        matches!(self.effect, Effect::Refused | Effect::Duplicate)
    }
}

/// What the manual says of a diagnosis.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Its code.
    pub code: &'static str,
    /// What happened, and what follows for the line and for other bots.
    pub meaning: String,
    /// What to do.
    pub remedy: &'static str,
}

impl Diagnosis {
    /// As the manual has it.
    pub(super) fn explained(&self) -> Explanation {
        let line = match self.effect {
            Effect::Refused => ", and the line counts as used in this round",
            Effect::Duplicate => ", so another line comes first",
            Effect::Unclear => ", and the line is not used up",
            Effect::NotAccepted => "",
        };
        let app = if self.scope == LimitScope::App { ", which concerns all bots of the app" } else { "" };
        Explanation { code: self.code, meaning: format!("{}{line}{app}", self.summary), remedy: self.remedy }
    }
}

/// One row of a network's table: an answer with all of these signs has this diagnosis.
#[derive(Debug)]
pub(super) struct Rule {
    sender: Sender,
    /// One of these statuses; any if there are none.
    statuses: &'static [u16],
    /// One of these codes; any, or none, if there are none.
    codes: &'static [&'static str],
    wording: Wording,
    diagnosis: &'static Diagnosis,
}

/// Who answers.
#[derive(Debug, PartialEq, Eq)]
enum Sender {
    /// The API, in its own words.
    Api,
    /// Something else.
    Foreign,
    /// Either.
    Any,
}

/// What an error says.
#[derive(Debug)]
enum Wording {
    Any,
    /// One of these texts, which are in lower case.
    Contains(&'static [&'static str]),
    /// It begins with one of these texts.
    StartsWith(&'static [&'static str]),
}

impl Rule {
    const fn new(sender: Sender, statuses: &'static [u16], diagnosis: &'static Diagnosis) -> Self {
        Self { sender, statuses, codes: &[], wording: Wording::Any, diagnosis }
    }

    /// The API answers with one of these statuses.
    pub(super) const fn status(statuses: &'static [u16], diagnosis: &'static Diagnosis) -> Self {
        Self::new(Sender::Api, statuses, diagnosis)
    }

    /// Something that is not the API answers with one of these statuses.
    pub(super) const fn foreign(statuses: &'static [u16], diagnosis: &'static Diagnosis) -> Self {
        Self::new(Sender::Foreign, statuses, diagnosis)
    }

    /// Whatever answers, it does so with one of these statuses.
    pub(super) const fn any_sender(statuses: &'static [u16], diagnosis: &'static Diagnosis) -> Self {
        Self::new(Sender::Any, statuses, diagnosis)
    }

    /// The API names one of these codes.
    pub(super) const fn code(codes: &'static [&'static str], diagnosis: &'static Diagnosis) -> Self {
        Self { codes, ..Self::new(Sender::Api, &[], diagnosis) }
    }

    /// The API says one of these texts, which are in lower case.
    pub(super) const fn words(words: &'static [&'static str], diagnosis: &'static Diagnosis) -> Self {
        Self { wording: Wording::Contains(words), ..Self::new(Sender::Api, &[], diagnosis) }
    }

    /// And what it says begins with one of these texts.
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
    /// The first rule that matches counts.
    pub(super) rules: &'static [Rule],
    /// Of a redirect.
    pub(super) moved: &'static Diagnosis,
    /// The diagnosis for an answer that doesn't show whether the request was accepted.
    pub(super) inconclusive: &'static Diagnosis,
    /// Of an error that is not the API's, where no rule says more.
    pub(super) foreign: &'static Diagnosis,
    /// Of an error of the API's, where no rule says more.
    pub(super) unexpected: &'static Diagnosis,
}

impl Api {
    /// What an answer that is no success means.
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
        // Of several codes the first one that is known counts.
        let is_known = |code: &&String| self.rules.iter().any(|rule| rule.codes.contains(&code.as_str()));
        let code = error.codes.iter().find(is_known).map(String::as_str);
        let rule = self.rules.iter().find(|rule| rule.matches(status, error, code));
        let otherwise = if error.is_own { self.unexpected } else { self.foreign };
        rule.map_or(otherwise, |rule| rule.diagnosis)
    }

    /// What became of a post that was not answered with success.
    pub(super) fn outcome(&self, response: &ApiResponse, diagnosis: &Diagnosis) -> Outcome {
        if !response.is_definite() {
            return self.doubt(response, diagnosis);
        }
        let reason = || sentence(response, diagnosis);
        match diagnosis.effect {
            Effect::Refused => Outcome::Refused { reason: reason() },
            Effect::Duplicate => Outcome::Duplicate { reason: reason() },
            Effect::Unclear => Outcome::Unclear(self.rejection(response, diagnosis)),
            Effect::NotAccepted => Outcome::NotAccepted(self.rejection(response, diagnosis)),
        }
    }

    /// An answer that proves nothing.
    fn doubt(&self, response: &ApiResponse, diagnosis: &Diagnosis) -> Outcome {
        let (server, quoted) = (response.server(), response.quoted());
        Outcome::unsettled(&match diagnosis == self.inconclusive {
            true => format!("{server} gave an answer that settles nothing ({quoted})"),
            false => format!("an answer came that settles nothing: {}", sentence(response, diagnosis)),
        })
    }

    /// An attempt to post with the cooldowns that its answer asks for.
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

    /// Why nothing was accepted.
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

    /// Why a request was not done that may be made twice; `task` is what it was to do. There is no text to blame.
    pub(super) fn failure(&self, response: &ApiResponse, task: &str) -> Rejection {
        let diagnosis = self.diagnose(response);
        if diagnosis == self.inconclusive {
            return inconclusive(response.server(), task, &response.quoted());
        }
        let diagnosis = if diagnosis.is_about_text() { self.unexpected } else { diagnosis };
        self.rejection(response, diagnosis)
    }

    /// Whether an answer says for good that something may not be read: the API says so, and it does not pass.
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

/// What happened, what was said, what to do, and the code for `flockd explain`.
fn sentence(response: &ApiResponse, diagnosis: &Diagnosis) -> String {
    let usual = response.usual_server();
    let summary = diagnosis.summary.replacen(usual, response.server(), 1);
    format!("{summary} ({}): {} [{}]", response.quoted(), diagnosis.remedy, diagnosis.code)
}

/// A wrong clock looks like a wrong signature: say so, and for sure where the answer's date gives it away.
fn clock_hint(response: &ApiResponse) -> String {
    let Some(ahead) = rate_limit::skew(response.headers(), response.received_at()) else {
        return "; a clock that is minutes off causes this too".to_owned();
    };
    let side = if ahead.num_seconds() > 0 { "ahead of" } else { "behind" };
    let minutes = ahead.num_minutes().abs();
    format!("; but first set this machine's clock: it is {minutes} minutes {side} {}'s", response.server())
}

/// A request that may be made again, and was answered with nothing that can be used.
pub(super) fn inconclusive(server: &str, task: &str, heard: &str) -> Rejection {
    let reason = format!("{server} gave no clear answer when asked to {task} ({heard}): try again");
    Rejection::unanswered(Why::new(Cause::Unreachable, reason))
}
