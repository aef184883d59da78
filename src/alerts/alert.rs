//! Alerts: what is reported to a person. `target` delivers them.
//!
//! An alert contains no secret, and nothing that `status` and the log don't also say.

use std::fmt;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::Serialize;

use crate::flock::event::Event;
use crate::flock::hint;
use crate::flock::message::Message;
use crate::flock::post::{Cause, Post};
use crate::flock::{Bot, BotName, NetworkKind};
use crate::health::Health;
use crate::store::BotRecord;
use crate::store::health_state::HealthState;

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alert {
    /// What it is about.
    pub about: About,
    /// The cause, in one word. Each cause is reported at most once a day.
    pub cause: &'static str,
    /// The state of the bot.
    pub state: Option<HealthState>,
    /// The problem in a few words, which follow the name.
    pub headline: String,
    /// Why, and what to do.
    pub message: String,
    /// When flockd noticed it.
    pub at: DateTime<Utc>,
    /// Whether it describes a state that can end. Such an alert is dropped once the bot has recovered.
    pub lasts: bool,
    /// Whether it reports the end of an earlier problem.
    pub resolved: bool,
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// A bot, and its network.
    Bot(BotName, NetworkKind),
    /// All bots of an app, or of a network without apps.
    App(String),
    /// All bots.
    Flock,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bot(name, _) => name.fmt(f),
            // A bot's name contains no space, so it can't be mistaken for an app or the flock.
            Self::App(name) => write!(f, "app {name}"),
            Self::Flock => f.write_str("the flock"),
        }
    }
}

/// An alert as its targets read it.
#[derive(Serialize)]
struct Body<'a> {
    bot: Option<&'a str>,
    network: Option<&'static str>,
    cause: &'static str,
    state: Option<&'static str>,
    message: &'a str,
    at: String,
    text: String,
    resolved: bool,
}

impl Alert {
    /// The alert for a bot that needs a person; `None` if it needs none.
    pub(super) fn of_health(bot: &Bot, health: &Health, now: DateTime<Utc>) -> Option<Self> {
        let message =
            health.reason.as_ref().map_or_else(|| format!("it is {}", health.state), Message::to_string);
        let cause = cause(health);
        let headline = format!("needs a person, it is {}", health.state);
        let alert = Self::of_bot(bot, cause, &headline, message, now);
        health.needs_person.then_some(Self { state: Some(health.state), lasts: true, ..alert })
    }

    /// The alert for an event of a bot that keeps posting; `None` if the event needs no report.
    pub(super) fn of_event(bot: &Bot, event: &Event, now: DateTime<Utc>) -> Option<Self> {
        let (cause, headline, message) = match event {
            Event::Released(post) | Event::Refused(post) if let Some(cause) = broken_thread(post) => (
                cause.as_str(),
                "left a thread unfinished",
                format!("part {}: {}", post.part + 1, reason(post)),
            ),
            Event::Released(post) => (given_up(post)?.as_str(), "gave up a slot", reason(post)),
            Event::Posted(post) if is_assumed(post) => {
                (ASSUMED, "counts a post as posted although it may not have arrived", reason(post))
            }
            Event::Panicked { .. } => (PANIC, "hit a bug in flockd", PANICKED.to_owned()),
            _ => return None,
        };
        Some(Self::of_bot(bot, cause, headline, message, now))
    }

    /// An app is on hold: none of its bots may send for a while.
    pub(super) fn of_hold(app: &str, until: DateTime<Utc>, reason: &str, now: DateTime<Utc>) -> Self {
        let headline = format!("sends nothing until {}", until.format("%Y-%m-%d %H:%M UTC"));
        Self::about(About::App(app.to_owned()), HELD, headline, reason.to_owned(), now)
    }

    /// The ledger can't be used.
    pub(super) fn of_ledger(problem: &str, now: DateTime<Utc>) -> Self {
        Self::about(About::Flock, LEDGER, "can't use its ledger".to_owned(), problem.to_owned(), now)
    }

    /// The flock could not be reloaded.
    pub(super) fn of_refusal(complaints: &[String], now: DateTime<Utc>) -> Self {
        let headline = "could not be reloaded and keeps running as before".to_owned();
        let alert = Self::about(About::Flock, REFUSED, headline, listed(complaints), now);
        Self { lasts: true, ..alert }
    }

    /// An earlier problem is over. `state` is the bot's state, if the alert is about a bot.
    pub(super) fn of_recovery(
        about: About,
        cause: &'static str,
        state: Option<HealthState>,
        at: DateTime<Utc>,
    ) -> Self {
        let (headline, message) = match &about {
            About::Bot(_, network) => {
                let state = state.map_or_else(String::new, |state| format!(", it is {state}"));
                (format!("on {network} no longer needs a person{state}"), format!("{cause} is resolved"))
            }
            About::App(_) => ("sends again".to_owned(), "a post went out".to_owned()),
            About::Flock if cause == LEDGER => {
                ("can use its ledger again".to_owned(), "reads and writes succeed again".to_owned())
            }
            About::Flock => {
                ("was reloaded".to_owned(), "flock.toml and the poems are valid again".to_owned())
            }
        };
        Self { about, cause, state, headline, message, at, lasts: false, resolved: true }
    }

    fn of_bot(bot: &Bot, cause: &'static str, headline: &str, message: String, now: DateTime<Utc>) -> Self {
        let about = About::Bot(bot.name.clone(), bot.network);
        let headline = format!("on {} {headline}", bot.network);
        Self::about(about, cause, headline, message, now)
    }

    fn about(
        about: About,
        cause: &'static str,
        headline: String,
        message: String,
        at: DateTime<Utc>,
    ) -> Self {
        Self { about, cause, state: None, headline, message, at, lasts: false, resolved: false }
    }

    /// The UTC day that the alert counts for, whenever it is delivered.
    pub(super) fn day(&self) -> NaiveDate {
        self.at.date_naive()
    }

    /// What is limited to one alert a day.
    pub(super) fn key(&self) -> (String, String) {
        (self.about.to_string(), self.cause.to_owned())
    }

    /// The bot that it is about, if it is about one.
    pub(super) fn bot(&self) -> Option<&BotName> {
        match &self.about {
            About::Bot(name, _) => Some(name),
            About::App(_) | About::Flock => None,
        }
    }

    /// The alert as JSON. `text` is enough by itself: many chat services show it and ignore the other fields.
    pub(super) fn json(&self) -> String {
        let (bot, network) = match &self.about {
            About::Bot(name, network) => (Some(name.as_str()), Some(network.as_str())),
            About::App(_) | About::Flock => (None, None),
        };
        let message = &*hint::typed(&self.message);
        let text = format!("{} {}: {message}", self.about, self.headline);
        let (cause, state) = (self.cause, self.state.map(HealthState::as_str));
        let at = self.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let body = Body { bot, network, cause, state, message, at, text, resolved: self.resolved };
        serde_json::to_string(&body).expect("texts and nothing else can be written as JSON")
    }
}

/// The cause of an alert about a last slot that is ahead of the clock.
const CLOCK: &str = "clock";
/// The cause of an alert about a refused reload.
pub(super) const REFUSED: &str = "reload";
/// The causes of alerts about an app on hold, and about the ledger.
pub(super) const HELD: &str = "held";
pub(super) const LEDGER: &str = "ledger";
/// One-time events: they have no end to report.
const ONE_TIME: [&str; 4] = [Cause::Flood.as_str(), Cause::Budget.as_str(), ASSUMED, PANIC];
const ASSUMED: &str = "assumed";
const PANIC: &str = "panic";

/// The cause with this name, if its end is reported.
pub(super) fn lasting_cause(cause: &str) -> Option<&'static str> {
    let conditions = HealthState::ALL.iter().map(|condition| condition.as_str());
    let causes = Cause::ALL.iter().map(|cause| cause.as_str());
    let mut all = conditions.chain(causes).chain([HELD, LEDGER, REFUSED, CLOCK]);
    all.find(|known| *known == cause && !ONE_TIME.contains(known))
}

/// How many diagnostics of a refused reload are listed; `flockd check` shows them all.
const LISTED: usize = 3;

/// What to do about a bug.
const PANICKED: &str =
    "flockd retries the bot in 30 s, and the other bots keep posting: please report it with its log lines";

/// The cause of the bot's problem, in one word: its state or, if it is suspended, the reason for that.
fn cause(health: &Health) -> &'static str {
    match (health.state, health.record.as_ref().and_then(suspending)) {
        (HealthState::Suspended, None) if health.clock_was_ahead => CLOCK,
        (HealthState::Suspended, Some(cause)) if !health.signed_out => cause.as_str(),
        (HealthState::Suspended, _) => Cause::SignIn.as_str(),
        (condition, _) => condition.as_str(),
    }
}

/// Why a bot is suspended. An account that can't be read comes before the cause of the last post.
fn suspending(record: &BotRecord) -> Option<Cause> {
    let behind = record.reconciliation.as_ref().and_then(|behind| behind.why.as_ref()).map(|why| why.cause);
    let newest = record.open.as_ref().or(record.last.as_ref()).and_then(|post| post.cause);
    behind.into_iter().chain(newest).find(|cause| cause.suspends())
}

/// Why a slot was given up, if a person should know about it although the bot keeps posting.
pub(super) fn given_up(post: &Post) -> Option<Cause> {
    post.cause.filter(|cause| matches!(cause, Cause::Flood | Cause::Budget))
}

/// Why a thread broke off at this post, if it did and no person decided that.
pub(super) fn broken_thread(post: &Post) -> Option<Cause> {
    post.cause.filter(|cause| post.head.is_some() && *cause != Cause::Person)
}

/// Whether the post counts as posted although its arrival was never confirmed.
pub(super) fn is_assumed(post: &Post) -> bool {
    post.remote_id.is_none() && post.reason.as_deref().is_some_and(|reason| reason.starts_with("assumed"))
}

fn listed(complaints: &[String]) -> String {
    let told = complaints.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join("; ");
    match complaints.len().saturating_sub(LISTED) {
        0 => told,
        more => format!("{told}; and {more} more: see `flockd check`"),
    }
}

fn reason(post: &Post) -> String {
    post.reason.clone().unwrap_or_else(|| "no reason was recorded: see the log".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flock::post::State;
    use crate::flock::samples;

    fn at() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn post(state: State, cause: Option<Cause>, reason: &str) -> Post {
        let post = samples::post("walt", at(), "a line");
        Post { state, cause, reason: Some(reason.to_owned()), ..post }
    }

    fn of(event: &Event) -> Option<Alert> {
        Alert::of_event(&samples::bot("walt", "@hourly"), event, at())
    }

    #[test]
    fn the_text_alone_is_enough() {
        let event = Event::Released(post(State::Released, Some(Cause::Flood), "60 posts in sixty minutes"));
        let body: serde_json::Value = serde_json::from_str(&of(&event).unwrap().json()).unwrap();
        let expect = json!({
            "bot": "walt", "network": "feed", "cause": "flood", "state": null,
            "message": "60 posts in sixty minutes", "at": "2026-03-01T12:00:00Z",
            "text": "walt on feed gave up a slot: 60 posts in sixty minutes", "resolved": false,
        });
        assert_eq!(body, expect);
        let held = Alert::of_hold("x", at(), "buy credits", at());
        assert!(
            held.json().contains(r#""text":"app x sends nothing until 2026-03-01 12:00 UTC: buy credits""#)
        );
        assert!(held.json().starts_with(r#"{"bot":null,"network":null,"cause":"held""#));
    }

    #[test]
    fn a_recovery_is_reported_and_marked() {
        let walt = About::Bot("walt".parse().unwrap(), NetworkKind::X);
        let over = Alert::of_recovery(walt, "sign-in", Some(HealthState::Ok), at());
        let body: serde_json::Value = serde_json::from_str(&over.json()).unwrap();
        let expect = json!({
            "bot": "walt", "network": "x", "cause": "sign-in", "state": "ok", "message": "sign-in is resolved",
            "at": "2026-03-01T12:00:00Z", "resolved": true,
            "text": "walt on x no longer needs a person, it is ok: sign-in is resolved",
        });
        assert_eq!(body, expect);
    }

    #[test]
    fn one_time_events_have_no_end() {
        for moment in ["flood", "budget", "assumed", "panic", "unheard-of"] {
            assert_eq!(lasting_cause(moment), None, "{moment}");
        }
        for lasting in ["sign-in", "overdue", "exhausted", "held", "ledger", "reload", "clock"] {
            assert_eq!(lasting_cause(lasting), Some(lasting));
        }
    }

    #[test]
    fn only_the_first_diagnostics_are_listed() {
        let complaints: Vec<String> = (1..=5).map(|line| format!("flock.toml:{line}: odd")).collect();
        let told = Alert::of_refusal(&complaints, at());
        let expect =
            "flock.toml:1: odd; flock.toml:2: odd; flock.toml:3: odd; and 2 more: see `flockd check`";
        assert_eq!(told.message, expect);
        assert!(
            told.json()
                .contains("\"text\":\"the flock could not be reloaded and keeps running as before: flock")
        );
    }

    #[test]
    fn only_relevant_events_are_reported() {
        for cause in Cause::ALL {
            let told = of(&Event::Released(post(State::Released, Some(*cause), "why"))).is_some();
            assert_eq!(told, [Cause::Flood, Cause::Budget].contains(cause), "{cause}");
        }
        let found = "no answer came, and it was found on the account";
        assert_eq!(of(&Event::Posted(post(State::Posted, None, found))), None);
        assert!(of(&Event::Posted(post(State::Posted, None, "assumed: no answer came"))).is_some());
        let known = Post { remote_id: Some("1".to_owned()), ..post(State::Posted, None, "assumed") };
        assert_eq!(of(&Event::Posted(known)), None);
    }
}
