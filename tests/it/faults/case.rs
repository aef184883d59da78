//! A fault, what flockd promises for it, and its row in `docs/faults.md`.

use chrono::{DateTime, TimeDelta, Utc};

use crate::support::fake_x::{Behaviour, FakeX, Reply};

/// A fault, and what becomes of the post that meets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub fault: &'static str,
    /// What flockd does, in the words of `docs/faults.md`.
    pub does: &'static str,
    pub way: Way,
    /// The events that the daemon logs for it, in this order, and what each line contains: a cause, a text.
    pub logs: &'static [(&'static str, &'static str)],
    /// The state of the post once all that has been logged.
    pub state: &'static str,
    /// How many times it has been sent by then, and how many copies X has.
    pub sent: u32,
    pub there: usize,
    /// Whether its remote id is known.
    pub known: bool,
    /// When it is retried, in seconds after the fault.
    pub again: Option<(i64, i64)>,
    /// The bot's state.
    pub bot: &'static str,
    /// More keys of the bot.
    pub keys: &'static str,
}

/// How a post comes to meet a fault.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// X is told to misbehave; the instant is now.
    Told(fn(&FakeX, DateTime<Utc>)),
    /// The app's address is this one, derived from the fake's.
    Elsewhere(fn(&str) -> String),
    /// The wait would be too long for a daemon, so only the client meets it, with shorter timeouts than in a
    /// daemon. A daemon treats the outcome like the other unknown ones.
    ClientOnly(fn() -> Behaviour),
}

/// What is logged when a post goes back to being planned.
const RETURNED: &[(&str, &str)] = &[("retry-scheduled", "")];

impl Case {
    /// The row of the table.
    pub(super) fn row(&self) -> String {
        let Self { fault, does, .. } = self;
        format!("| {fault} | {does} | {} | {} |", self.states(), self.line())
    }

    /// The states that the post goes through.
    fn states(&self) -> String {
        let doubted = matches!(self.way, Way::ClientOnly(_))
            || self.logs.iter().any(|(event, _)| event.contains("unknown"));
        let before = if doubted && self.state != "unknown" { "`unknown`, then " } else { "" };
        format!("{before}`{}`", self.state)
    }

    /// What becomes of the line.
    pub(super) fn line(&self) -> &'static str {
        match self.state {
            "planned" | "unknown" => "waits with the post",
            "released" => "free again",
            _ => "used",
        }
    }

    /// Not a byte of it was sent.
    pub(super) const fn never_left(fault: &'static str, url: fn(&str) -> String) -> Self {
        Self { sent: 1, way: Way::Elsewhere(url), ..Self::returned(fault, GROWING) }
    }

    /// The post is not there, and is resent.
    pub(super) const fn not_stored(fault: &'static str, told: fn(&FakeX, DateTime<Utc>)) -> Self {
        Self {
            sent: 2,
            does: "looks at the account, does not find it, and sends it again",
            ..Self::stored(fault, told)
        }
    }

    /// The post is there.
    pub(super) const fn stored(fault: &'static str, told: fn(&FakeX, DateTime<Utc>)) -> Self {
        Self {
            does: "looks at the account, and finds it",
            way: Way::Told(told),
            logs: &[("outcome-unknown", "silence"), ("posted", "one")],
            state: "posted",
            sent: 1,
            there: 1,
            known: true,
            bot: "ok",
            again: None,
            ..Self::returned(fault, "")
        }
    }

    /// X is rate-limiting, for this many seconds.
    pub(super) const fn limit(fault: &'static str, wait: i64, told: fn(&FakeX, DateTime<Utc>)) -> Self {
        Self {
            way: Way::Told(told),
            // The headers have whole seconds.
            again: Some((wait - 2, wait + SLACK)),
            ..Self::returned(fault, "waits as long as X asks for")
        }
    }

    /// A person has to fix something.
    pub(super) const fn ails(
        fault: &'static str,
        logs: &'static [(&'static str, &'static str)],
        told: fn(&FakeX, DateTime<Utc>),
    ) -> Self {
        let does = "suspends the bot and says what to mend; tries the same post again until `max_late`";
        Self { way: Way::Told(told), logs, bot: "suspended", ..Self::returned(fault, does) }
    }

    /// It goes back to being planned, and is retried after the first backoff.
    pub(super) const fn returned(fault: &'static str, does: &'static str) -> Self {
        Self {
            fault,
            does,
            way: Way::Elsewhere(str::to_owned),
            logs: RETURNED,
            state: "planned",
            sent: 1,
            there: 0,
            known: false,
            again: Some((3, 5 + SLACK)),
            bot: "waiting",
            keys: "",
        }
    }
}

/// The delay if X does not say when to retry.
pub(super) const GROWING: &str = "tries the same post again, with growing pauses, until `max_late`";
/// A busy machine may take this many seconds between the preparation and the fault.
const SLACK: i64 = 20;

/// Has X give this answer to the next post.
pub(super) fn answers(fake: &FakeX, reply: Reply) {
    fake.next_post(Behaviour::Answer(reply));
}

/// X's answer to an account that posts too much, with these headers.
pub(super) fn too_many(fake: &FakeX, headers: &[(&'static str, String)]) {
    let mut reply = Reply::problem(429, "about:blank", "Too Many Requests", "Too Many Requests");
    reply.headers.extend(headers.iter().cloned());
    answers(fake, reply);
}

/// This many seconds from now, in Unix time.
pub(super) fn in_seconds(now: DateTime<Utc>, seconds: i64) -> String {
    (now + TimeDelta::seconds(seconds)).timestamp().to_string()
}

/// A refusal as X's newer API words it.
pub(super) fn forbidden(fake: &FakeX, kind: &str, detail: &str) {
    let kind = if kind.is_empty() {
        "about:blank".to_owned()
    } else {
        format!("https://api.x.com/2/problems/{kind}")
    };
    answers(fake, Reply::problem(403, &kind, "Forbidden", detail));
}

/// Stores the next post without an answer, and makes the account unreadable.
pub(super) fn unreadable(fake: &FakeX) {
    let kind = "https://api.x.com/2/problems/client-forbidden";
    fake.refuse_looks(Some(Reply::problem(403, kind, "Client Forbidden", "not in this package")));
    fake.next_post(Behaviour::StoreAndClose);
}
