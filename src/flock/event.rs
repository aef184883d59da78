//! What happens in a running flock, as one closed list. Log lines, the page, metrics and tests all learn
//! of it here and nowhere else.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::changes::Changes;
use super::post::{Post, State};
use super::{BotName, NetworkKind};

super::words! {
    /// What a network is called for.
    Call {
        /// To post.
        Post = "post",
        /// To look for a post whose outcome is unknown.
        Look = "look",
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The flock takes slots from now on.
    Started {
        /// How many bots it has.
        bots: usize,
    },
    /// The flock was read anew, and is as it was read from now on.
    Reloaded(Changes),
    /// The flock was read anew and can't be used: the one from before goes on.
    NotReloaded {
        /// Everything that is wrong with it, each with file and line.
        complaints: Vec<String>,
    },
    /// The loop went round and took up what was due.
    WentRound {
        /// How late it was for the first of that.
        lag: Duration,
    },
    /// A network was called, and has answered or not.
    Called {
        /// For which bot.
        bot: BotName,
        /// Its network.
        network: NetworkKind,
        /// The app, or the network if it has none.
        app: String,
        /// What for.
        call: Call,
        /// How long that took.
        took: Duration,
        /// How many more requests the network would take before the tightest of its limits, as far as it said.
        room: Option<u32>,
    },
    /// A post was posted.
    Posted(Post),
    /// The network said no to a text; its line is used up for this round.
    Refused(Post),
    /// Provably not accepted; the same post is tried again at `retry_at`.
    Returned(Post),
    /// Nobody knows whether the network has it; the bot waits until that is settled.
    Doubted(Post),
    /// The network was asked about a post that is unknown, and that settled nothing.
    Looked(Post),
    /// Given up.
    Released(Post),
    /// Taken back from the network.
    Deleted(Post),
    /// Slots passed without the daemon and will not fire.
    Missed {
        /// Whose.
        bot: BotName,
        /// How many; counting stops at some point.
        slots: u32,
    },
    /// A poem was read, for the first time or after an edit.
    PoemRead {
        /// Its file.
        poem: PathBuf,
        /// How many lines it has now.
        lines: usize,
        /// Where the lines begin that don't fit the network of the bot that read it; they are passed over.
        unfit: Vec<usize>,
    },
    /// A poem can't be read; the last good version, if there is one, is kept.
    PoemBroken {
        /// Its file.
        poem: PathBuf,
        /// The line to blame, where one is.
        line: Option<usize>,
        /// What is wrong with it.
        problem: String,
        /// Whether a good version is kept.
        kept: bool,
    },
    /// No line is left that the bot could post.
    Exhausted {
        /// Which bot.
        bot: BotName,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A round is over and the next begins.
    RoundBegun {
        /// Whose.
        bot: BotName,
        /// Its number, from 1.
        round: u32,
    },
    /// A bot was to take over the history of its old name, but has one of its own.
    NotRenamed {
        /// Which bot.
        bot: BotName,
        /// The old name.
        was: BotName,
    },
    /// It is known now who a bot is on its network.
    Recognised {
        /// Which bot.
        bot: BotName,
        /// Its handle there.
        handle: String,
    },
    /// A bot's account has posted under another name, and what it said then counts as said.
    SharesHistory {
        /// Which bot.
        bot: BotName,
        /// Its handle there.
        handle: String,
        /// The other name.
        was: BotName,
    },
    /// A bot has no tokens that it could sign with.
    NotSignedIn {
        /// Which bot.
        bot: BotName,
        /// Why, and what to do.
        reason: String,
    },
    /// Somebody else is renewing a bot's tokens, and is waited for.
    RenewedElsewhere {
        /// Which bot.
        bot: BotName,
    },
    /// A bot's tokens were renewed, and are kept.
    Renewed {
        /// Which bot.
        bot: BotName,
    },
    /// A bot posts nothing on schedule until it is resumed.
    Paused {
        /// Which bot.
        bot: BotName,
        /// Why, if that was nobody's wish.
        why: Option<String>,
    },
    /// A bot's pause is over.
    Resumed {
        /// Which bot.
        bot: BotName,
    },
    /// The ledger was put back from a copy, and what a bot's account has from after that is here now.
    CaughtUp {
        /// Which bot.
        bot: BotName,
        /// How many posts were found.
        found: usize,
    },
    /// A bot's account can't be read yet, which has to be done before it posts.
    NotCaughtUp {
        /// Which bot.
        bot: BotName,
        /// Why, and what to do.
        reason: String,
    },
    /// Nothing is sent under an app for a while.
    Held {
        /// The app, or the network if it has none.
        app: String,
        /// Until when.
        until: DateTime<Utc>,
        /// Why, and what to do.
        reason: String,
    },
    /// The ledger could not be read or written; the bot is tried again soon.
    LedgerTrouble {
        /// For which bot; `None` for the whole flock.
        bot: Option<BotName>,
        /// What it said.
        problem: String,
    },
    /// Something in flockd itself broke while it was at work for a bot; the bot is tried again soon.
    Panicked {
        /// Which bot.
        bot: BotName,
    },
    /// A person was told of something.
    Alerted {
        /// By what.
        receiver: &'static str,
        /// What it is about: a bot, an app or the flock.
        about: String,
        /// Why, in one word.
        cause: &'static str,
    },
    /// A person should be told of something, and could not be; that is tried again.
    AlertFailed {
        /// What it is about: a bot, an app or the flock.
        about: String,
        /// Why, in one word.
        cause: &'static str,
        /// Who could not be reached, and what happened.
        problem: String,
    },
    /// A person could not be told of something for a day, and will not be.
    AlertDropped {
        /// By what.
        receiver: &'static str,
        /// What it is about: a bot, an app or the flock.
        about: String,
        /// Why, in one word.
        cause: &'static str,
    },
    /// The heartbeat is not heard any more.
    HeartbeatStopped {
        /// Why.
        problem: String,
    },
    /// The heartbeat is heard again.
    HeartbeatBack,
    /// A bot posts nothing, because its last slot is ahead of the clock.
    ClockWasAhead {
        /// Which bot.
        bot: BotName,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The wall clock went back; slots that were used stay used.
    ClockWentBack {
        /// By how many seconds.
        seconds: i64,
    },
    /// No new slot is taken; this many posts are still in flight.
    Stopping {
        /// How many.
        in_flight: usize,
    },
    /// The flock is at rest.
    Stopped {
        /// How many posts had to be left in flight: they are `unknown` at the next start.
        abandoned: usize,
    },
}

/// Gives every event its name. Log lines carry it in JSON, where filters and tests read it: a variant may be renamed, its name
/// stays.
macro_rules! names {
    ($($variant:ident => $name:literal,)+) => {
        impl Event {
            /// The name of every event.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// The event's stable name, for programs.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name,)+ }
            }
        }
    };
}

names! {
    Started => "started",
    Reloaded => "reloaded",
    NotReloaded => "reload-failed",
    WentRound => "loop-ran",
    Called => "network-called",
    Posted => "posted",
    Refused => "refused",
    Returned => "retry-scheduled",
    Doubted => "outcome-unknown",
    Looked => "still-unknown",
    Released => "released",
    Deleted => "deleted",
    Missed => "slots-missed",
    PoemRead => "poem-read",
    PoemBroken => "poem-broken",
    Exhausted => "exhausted",
    RoundBegun => "round-started",
    NotRenamed => "rename-ignored",
    Recognised => "account-known",
    SharesHistory => "history-shared",
    NotSignedIn => "not-signed-in",
    RenewedElsewhere => "renewal-awaited",
    Renewed => "tokens-renewed",
    Paused => "paused",
    Resumed => "resumed",
    CaughtUp => "reconciled",
    NotCaughtUp => "reconcile-failed",
    Held => "app-cooldown",
    LedgerTrouble => "ledger-error",
    Panicked => "panicked",
    Alerted => "alert-delivered",
    AlertFailed => "alert-failed",
    AlertDropped => "alert-dropped",
    HeartbeatStopped => "heartbeat-failed",
    HeartbeatBack => "heartbeat-restored",
    ClockWasAhead => "clock-was-ahead",
    ClockWentBack => "clock-went-back",
    Stopping => "stopping",
    Stopped => "stopped",
}

impl Event {
    /// The event that tells where a post has arrived; `None` while it is still being sent.
    pub fn of(post: Post) -> Option<Self> {
        match post.state {
            State::Posted => Some(Self::Posted(post)),
            State::Refused => Some(Self::Refused(post)),
            State::Planned => Some(Self::Returned(post)),
            State::Unknown => Some(Self::Doubted(post)),
            State::Released => Some(Self::Released(post)),
            State::Deleted => Some(Self::Deleted(post)),
            State::Sending => None,
        }
    }

    /// The bot that it happened to, if it is about one.
    pub fn bot(&self) -> Option<&BotName> {
        match self {
            Self::Posted(post)
            | Self::Refused(post)
            | Self::Returned(post)
            | Self::Doubted(post)
            | Self::Looked(post)
            | Self::Released(post)
            | Self::Deleted(post) => Some(&post.bot),
            Self::Missed { bot, .. }
            | Self::Exhausted { bot, .. }
            | Self::RoundBegun { bot, .. }
            | Self::NotRenamed { bot, .. }
            | Self::Recognised { bot, .. }
            | Self::SharesHistory { bot, .. }
            | Self::NotSignedIn { bot, .. }
            | Self::ClockWasAhead { bot, .. }
            | Self::RenewedElsewhere { bot }
            | Self::Renewed { bot }
            | Self::Paused { bot, .. }
            | Self::Resumed { bot }
            | Self::CaughtUp { bot, .. }
            | Self::NotCaughtUp { bot, .. }
            | Self::Panicked { bot }
            | Self::Called { bot, .. } => Some(bot),
            Self::LedgerTrouble { bot, .. } => bot.as_ref(),
            _ => None,
        }
    }
}

/// One that is told of every event. It must be quick: it is called by whoever tells.
pub type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// Where events are told. Cheap to clone.
#[derive(Clone, Default)]
pub struct Events {
    listeners: Arc<[Listener]>,
}

impl Events {
    /// Tells these listeners, in this order.
    pub fn new(listeners: Vec<Listener>) -> Self {
        Self { listeners: listeners.into() }
    }

    /// Tells every listener.
    pub fn emit(&self, event: &Event) {
        for listener in self.listeners.iter() {
            listener(event);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Events({} listeners)", self.listeners.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let mut names = Event::NAMES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Event::NAMES.len());
        for name in names {
            let is_kebab = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(name.chars().all(is_kebab) && !name.starts_with('-') && !name.ends_with('-'), "{name}");
        }
    }
}
