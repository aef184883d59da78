//! The conversation of one sign-in: the person opens a page, and then the browser returns or the person
//! pastes the answer, whichever is first. An unrelated answer is reported, and the conversation continues: a
//! browser's never ends it, and a person's only after several tries.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::callback::{self, CallbackChannel, CallbackOutcome};
use super::pasted::{self, Pasted};
use super::{EnrollError, Person, SignInPlan};
use crate::clock::Clock;
use crate::flock::secret::Secret;
use crate::net::Rejection;

/// How many times a person may paste something that is not an answer.
const TRIES: u8 = 3;

/// How many empty lines are ignored: more than a person would enter, but a pipe may never end.
const BLANK_LINES: u8 = 20;

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnsweredBy {
    /// The browser, or a program that pretends to be one.
    Browser,
    /// The person, at the prompt.
    Person,
}

/// The judgment of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// A plausible code, verifier or PIN.
    Code(Secret),
    /// The person declined.
    Denied,
    /// The network ended the sign-in, and why.
    Ended(Rejection),
    /// It does not belong to this sign-in, and why.
    Unrelated(&'static str),
}

/// The state of the conversation.
pub(super) struct Conversation<'a> {
    bot: &'a str,
    person: &'a mut dyn Person,
    person_left: bool,
    browser: &'a mut CallbackChannel,
    timeout: Duration,
    deadline: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    tries: u8,
    blank_lines: u8,
    first_port: u16,
}

enum Input {
    CallbackRequest(callback::CallbackRequest),
    Line(Option<String>),
    Nothing,
}

impl<'a> Conversation<'a> {
    /// Starts the time limit.
    pub(super) fn new(
        plan: &'a SignInPlan,
        person: &'a mut dyn Person,
        clock: &'a dyn Clock,
        browser: &'a mut CallbackChannel,
    ) -> Self {
        Self {
            bot: &plan.bot,
            person,
            person_left: false,
            browser,
            timeout: plan.timeout,
            deadline: clock.sleep(plan.timeout),
            tries: TRIES,
            blank_lines: BLANK_LINES,
            first_port: plan.port,
        }
    }

    /// The address to which the browser returns by itself, if it can.
    pub(super) fn address(&self) -> Option<String> {
        self.browser.address()
    }

    /// The address at which the browser ends, even if nothing listens there.
    pub(super) fn any_address(&self) -> String {
        self.address().unwrap_or_else(|| callback::address(self.first_port))
    }

    /// Names the account to sign in to, because the page does not.
    pub(super) fn name_account(&mut self, handle: &str) {
        self.person.tell(&format!("sign in as @{handle}: the browser may be signed in to another account"));
    }

    /// Shows the person the page to agree on, and what to do afterwards; `shown` is what they may paste.
    pub(super) async fn show(&mut self, url: &str, shown: &str) {
        self.person.open(url).await;
        let submit_hint = self.person.submit_hint();
        self.person.tell(&match self.address() {
            Some(_) => format!(
                "after you agree, the browser comes back here by itself; if it can't (over ssh, say), paste {shown}, \
                 and {submit_hint}:"
            ),
            None => format!("after you agree, paste {shown}, and {submit_hint}:"),
        });
    }

    /// Waits for an answer that the judge accepts. The browser that sent it waits for the result.
    pub(super) async fn code(
        &mut self,
        judge: impl Fn(&Pasted<'_>, AnsweredBy) -> Judgement,
    ) -> Result<(Secret, AnsweredBy), EnrollError> {
        loop {
            let done = match self.next_input().await {
                Input::CallbackRequest(arrival) => self.judge_arrival(arrival, &judge),
                Input::Line(Some(line)) => self.judge_line(&line, &judge),
                Input::Line(None) => self.continue_without_person(),
                Input::Nothing => {
                    Err(EnrollError::TimedOut { bot: self.bot.to_owned(), waited: self.timeout })
                }
            };
            if let Some(code) = done? {
                return Ok(code);
            }
        }
    }

    /// Lets the person try again after the network has rejected what they typed, unless they have used up
    /// their tries.
    pub(super) fn again(&mut self, rejection: Rejection) -> Result<(), EnrollError> {
        self.tries -= 1;
        if self.tries == 0 {
            return Err(rejection.into());
        }
        self.person.tell(&format!("{rejection}; or type it again, if it was mistyped:"));
        Ok(())
    }

    async fn next_input(&mut self) -> Input {
        let Self { person, person_left, browser, deadline, .. } = self;
        let line = async {
            match person_left {
                true => std::future::pending().await,
                false => person.line().await,
            }
        };
        // In this order, so that a flood of one kind hides no other: tries limit the lines, but nothing
        // limits browser requests.
        tokio::select! {
            biased;
            () = deadline => Input::Nothing,
            line = line => Input::Line(line),
            arrival = browser.arrival() => Input::CallbackRequest(arrival),
        }
    }

    fn judge_arrival(
        &mut self,
        arrival: callback::CallbackRequest,
        judge: &impl Fn(&Pasted<'_>, AnsweredBy) -> Judgement,
    ) -> Result<Option<(Secret, AnsweredBy)>, EnrollError> {
        let judgement = judge(&Pasted::Query(&arrival.query), AnsweredBy::Browser);
        if let Judgement::Unrelated(why) = judgement {
            arrival.visitor.tell(CallbackOutcome::Unrelated(why));
            return Ok(None);
        }
        self.browser.accept(arrival.visitor);
        self.settle(judgement, AnsweredBy::Browser)
    }

    fn judge_line(
        &mut self,
        line: &str,
        judge: &impl Fn(&Pasted<'_>, AnsweredBy) -> Judgement,
    ) -> Result<Option<(Secret, AnsweredBy)>, EnrollError> {
        if line.trim().is_empty() && self.blank_lines > 0 {
            self.blank_lines -= 1;
            return Ok(None);
        }
        let judgement = pasted::read(line)
            .map_or(Judgement::Unrelated("it contains no answer"), |said| judge(&said, AnsweredBy::Person));
        match judgement {
            Judgement::Unrelated(why) => self.not_an_answer(why),
            judgement => self.settle(judgement, AnsweredBy::Person),
        }
    }

    fn not_an_answer<T>(&mut self, why: &str) -> Result<Option<T>, EnrollError> {
        self.tries -= 1;
        if self.tries == 0 {
            return Err(EnrollError::NoAnswer { bot: self.bot.to_owned() });
        }
        let submit_hint = self.person.submit_hint();
        self.person.tell(&format!("not accepted: {why}; paste it again, and {submit_hint}:"));
        Ok(None)
    }

    fn settle(
        &mut self,
        judgement: Judgement,
        by: AnsweredBy,
    ) -> Result<Option<(Secret, AnsweredBy)>, EnrollError> {
        match judgement {
            Judgement::Code(code) => {
                self.person.tell("checking with the network …");
                Ok(Some((code, by)))
            }
            Judgement::Denied => Err(EnrollError::Denied { bot: self.bot.to_owned() }),
            Judgement::Ended(rejection) => Err(rejection.into()),
            Judgement::Unrelated(_) => Ok(None),
        }
    }

    fn continue_without_person<T>(&mut self) -> Result<Option<T>, EnrollError> {
        self.person_left = true;
        if self.address().is_none() {
            return Err(EnrollError::NoInput { bot: self.bot.to_owned() });
        }
        let long = humantime::format_duration(self.timeout);
        self.person
            .tell(&format!("the input has ended; waiting for the browser to come back, for up to {long}"));
        Ok(None)
    }
}
