//! The conversation of one sign-in: the person is shown a page, and then the browser comes back or they paste
//! what it brought, whichever is first. What is no answer to the question is said, and the waiting goes on: a
//! stranger who comes by as a browser can never end it, a person who pastes rubbish does after some tries.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::callback::{self, Browser, Verdict};
use super::pasted::{self, Said};
use super::{EnrollError, Person, Plan};
use crate::clock::Clock;
use crate::flock::secret::Secret;
use crate::net::Rejection;

/// How often something may be pasted that is no answer.
const TRIES: u8 = 3;

/// How many empty lines are passed over: nobody presses Enter so often, but a pipe may never run dry.
const BLANK_LINES: u8 = 20;

/// Who brought an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The browser, or somebody who pretends to be one.
    Browser,
    /// The person, at the prompt.
    Person,
}

/// What is thought of what somebody brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// A code, verifier or PIN, and nothing speaks against it.
    Code(Secret),
    /// The person did not agree.
    Denied,
    /// The network ended it, in these words.
    Ended(Rejection),
    /// It is no answer to this question: why.
    Stranger(&'static str),
}

/// Both ends of the conversation.
pub(super) struct Talk<'a> {
    bot: &'a str,
    person: &'a mut dyn Person,
    person_left: bool,
    browser: &'a mut Browser,
    timeout: Duration,
    deadline: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    tries: u8,
    blank_lines: u8,
    first_port: u16,
}

enum Heard {
    Arrival(callback::Arrival),
    Line(Option<String>),
    Nothing,
}

impl<'a> Talk<'a> {
    /// The time begins to run with the waiting.
    pub(super) fn new(
        plan: &'a Plan,
        person: &'a mut dyn Person,
        clock: &'a dyn Clock,
        browser: &'a mut Browser,
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

    /// The address to which the browser comes back by itself, if it can.
    pub(super) fn address(&self) -> Option<String> {
        self.browser.address()
    }

    /// The address at which the browser ends, whether anybody listens there or not.
    pub(super) fn any_address(&self) -> String {
        self.address().unwrap_or_else(|| callback::address(self.first_port))
    }

    /// Says as whom to sign in, where the page itself can't say it.
    pub(super) fn name_account(&mut self, handle: &str) {
        self.person.tell(&format!("sign in as @{handle}: the browser may be signed in as somebody else"));
    }

    /// Shows the person the page on which to agree, and says what comes after it: `shown` is what they may
    /// paste.
    pub(super) async fn show(&mut self, url: &str, shown: &str) {
        self.person.open(url).await;
        let hand_in = self.person.hand_in();
        self.person.tell(&match self.address() {
            Some(_) => format!(
                "after you agreed the browser comes back here by itself; if it can't (over ssh, say), paste {shown}, \
                 and {hand_in}:"
            ),
            None => format!("after you agreed, paste {shown}, and {hand_in}:"),
        });
    }

    /// Waits for an answer that the judge takes. The browser that brought it is kept until the end.
    pub(super) async fn code(
        &mut self,
        judge: impl Fn(&Said<'_>, By) -> Judgement,
    ) -> Result<(Secret, By), EnrollError> {
        loop {
            let done = match self.hear().await {
                Heard::Arrival(arrival) => self.judge_arrival(arrival, &judge),
                Heard::Line(Some(line)) => self.judge_line(&line, &judge),
                Heard::Line(None) => self.go_on_without_person(),
                Heard::Nothing => {
                    Err(EnrollError::TimedOut { bot: self.bot.to_owned(), waited: self.timeout })
                }
            };
            if let Some(code) = done? {
                return Ok(code);
            }
        }
    }

    /// What the person typed was accepted by us but not by the network: they may try again, unless they did
    /// so often enough.
    pub(super) fn again(&mut self, rejection: Rejection) -> Result<(), EnrollError> {
        self.tries -= 1;
        if self.tries == 0 {
            return Err(rejection.into());
        }
        self.person.tell(&format!("{rejection}; or type it once more, if it was mistyped:"));
        Ok(())
    }

    async fn hear(&mut self) -> Heard {
        let Self { person, person_left, browser, deadline, .. } = self;
        let line = async {
            match person_left {
                true => std::future::pending().await,
                false => person.line().await,
            }
        };
        // In this order, so that nobody hides what comes below them: lines run out after some tries, but
        // strangers at the door may not.
        tokio::select! {
            biased;
            () = deadline => Heard::Nothing,
            line = line => Heard::Line(line),
            arrival = browser.arrival() => Heard::Arrival(arrival),
        }
    }

    fn judge_arrival(
        &mut self,
        arrival: callback::Arrival,
        judge: &impl Fn(&Said<'_>, By) -> Judgement,
    ) -> Result<Option<(Secret, By)>, EnrollError> {
        let judgement = judge(&Said::Query(&arrival.query), By::Browser);
        if let Judgement::Stranger(why) = judgement {
            arrival.visitor.tell(Verdict::Stranger(why));
            return Ok(None);
        }
        self.browser.take(arrival.visitor);
        self.settle(judgement, By::Browser)
    }

    fn judge_line(
        &mut self,
        line: &str,
        judge: &impl Fn(&Said<'_>, By) -> Judgement,
    ) -> Result<Option<(Secret, By)>, EnrollError> {
        if line.trim().is_empty() && self.blank_lines > 0 {
            self.blank_lines -= 1;
            return Ok(None);
        }
        let judgement = pasted::read(line)
            .map_or(Judgement::Stranger("there is no answer in it"), |said| judge(&said, By::Person));
        match judgement {
            Judgement::Stranger(why) => self.rubbish(why),
            judgement => self.settle(judgement, By::Person),
        }
    }

    fn rubbish<T>(&mut self, why: &str) -> Result<Option<T>, EnrollError> {
        self.tries -= 1;
        if self.tries == 0 {
            return Err(EnrollError::Rubbish { bot: self.bot.to_owned() });
        }
        let hand_in = self.person.hand_in();
        self.person.tell(&format!("that is not it: {why}; paste it once more, and {hand_in}:"));
        Ok(None)
    }

    fn settle(&mut self, judgement: Judgement, by: By) -> Result<Option<(Secret, By)>, EnrollError> {
        match judgement {
            Judgement::Code(code) => {
                self.person.tell("checking it with the network …");
                Ok(Some((code, by)))
            }
            Judgement::Denied => Err(EnrollError::Denied { bot: self.bot.to_owned() }),
            Judgement::Ended(rejection) => Err(rejection.into()),
            Judgement::Stranger(_) => Ok(None),
        }
    }

    fn go_on_without_person<T>(&mut self) -> Result<Option<T>, EnrollError> {
        self.person_left = true;
        if self.address().is_none() {
            return Err(EnrollError::NobodyThere { bot: self.bot.to_owned() });
        }
        let long = humantime::format_duration(self.timeout);
        self.person
            .tell(&format!("the input has ended; waiting for the browser to come back, for {long} at most"));
        Ok(None)
    }
}
