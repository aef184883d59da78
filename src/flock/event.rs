//! The events of a running flock, as one closed list. Log lines, the dashboard, metrics and tests learn of them only
//! here.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::changes::Changes;
use super::post::{Post, State};
use super::{BotName, NetworkKind};

super::words! {
    /// The purpose of a call to a network.
    Call {
        /// To post.
        Post = "post",
        /// To probe for a post whose outcome is unknown.
        Look = "look",
        /// To upload a picture.
        Upload = "upload",
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The flock processes slots from now on.
    Started {
        /// How many bots it has.
        bots: usize,
    },
    /// The flock was reloaded and runs as it was read.
    Reloaded(Changes),
    /// The flock was read and has errors; the old one keeps running.
    NotReloaded {
        /// Every error, with file and line.
        complaints: Vec<String>,
    },
    /// The loop completed an iteration and started what was due.
    WentRound {
        /// How late it was for the earliest of that.
        lag: Duration,
    },
    /// A call to a network completed, with an answer or without.
    Called {
        /// For which bot.
        bot: BotName,
        /// Its network.
        network: NetworkKind,
        /// The app, or the network if the bot has no app.
        app: String,
        /// The purpose.
        call: Call,
        /// How long it took.
        took: Duration,
        /// How many more requests the network's tightest limit allows, if it said so.
        room: Option<u32>,
    },
    /// A post was posted.
    Posted(Post),
    /// The network rejected the text; its line is used up for this round.
    Refused(Post),
    /// A person passed a line over; it is used up for this round.
    PassedOver(Post),
    /// A person took that back: the line is free again.
    PassUndone(Post),
    /// Provably not accepted; the same post is retried at `retry_at`.
    Returned(Post),
    /// It is unknown whether the network has it; the bot waits until that is settled.
    Doubted(Post),
    /// A probe for an unknown post did not settle it.
    Looked(Post),
    /// Given up.
    Released(Post),
    /// Deleted from the network.
    Deleted(Post),
    /// Slots passed while the daemon was not running, and will not fire.
    Missed {
        /// The bot.
        bot: BotName,
        /// How many; the count is capped.
        slots: u32,
    },
    /// A poem was read, for the first time or after an edit.
    PoemRead {
        /// Its file.
        poem: PathBuf,
        /// How many lines it has now.
        lines: usize,
        /// How many of them the version before did not have, if there was one.
        new: Option<usize>,
        /// The numbers of lines that don't fit the network of the bot that read the poem; they are skipped.
        unfit: Vec<usize>,
    },
    /// A poem can't be read; the last good version, if there is one, is kept.
    PoemBroken {
        /// Its file.
        poem: PathBuf,
        /// The offending line, if there is one.
        line: Option<usize>,
        /// What is wrong with it.
        problem: String,
        /// Whether a last good version is kept.
        kept: bool,
    },
    /// An entry is passed over because one of its pictures can't be posted.
    PictureBroken {
        /// Which bot.
        bot: BotName,
        /// Its poem.
        poem: PathBuf,
        /// Which picture, what is wrong with it, and what to do.
        problem: String,
    },
    /// The bot has no line left to post.
    Exhausted {
        /// Which bot.
        bot: BotName,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A round is over and the next begins.
    RoundBegun {
        /// The bot.
        bot: BotName,
        /// Its number, from 1.
        round: u32,
    },
    /// A bot could not take over the history of its old name, because it has a history already.
    NotRenamed {
        /// Which bot.
        bot: BotName,
        /// The old name.
        was: BotName,
    },
    /// A bot's account was identified on its network.
    Recognised {
        /// Which bot.
        bot: BotName,
        /// Its handle there.
        handle: String,
    },
    /// A bot's account has posted under another name; its earlier posts count as posted.
    SharesHistory {
        /// Which bot.
        bot: BotName,
        /// Its handle there.
        handle: String,
        /// The other name.
        was: BotName,
    },
    /// A bot has no usable tokens.
    NotSignedIn {
        /// Which bot.
        bot: BotName,
        /// Why, and what to do.
        reason: String,
    },
    /// Another process is renewing a bot's tokens; the bot waits for it.
    RenewedElsewhere {
        /// Which bot.
        bot: BotName,
    },
    /// A bot's tokens were renewed and stored.
    Renewed {
        /// Which bot.
        bot: BotName,
    },
    /// A bot makes no scheduled posts until it is resumed.
    Paused {
        /// Which bot.
        bot: BotName,
        /// Why, unless a person paused it.
        why: Option<String>,
    },
    /// A bot's pause is over.
    Resumed {
        /// Which bot.
        bot: BotName,
    },
    /// The ledger was restored from a backup, and a bot's later posts were reconciled from its account.
    CaughtUp {
        /// Which bot.
        bot: BotName,
        /// How many posts were found.
        found: usize,
    },
    /// A bot's account can't be read yet; the bot can't post until it is reconciled.
    NotCaughtUp {
        /// Which bot.
        bot: BotName,
        /// Why, and what to do.
        reason: String,
    },
    /// Sending is suspended for an app for a while.
    AppCooldown {
        /// The app, or the network if there is no app.
        app: String,
        /// Until when.
        until: DateTime<Utc>,
        /// Why, and what to do.
        reason: String,
    },
    /// The ledger could not be read or written; the bot is retried soon.
    LedgerTrouble {
        /// The bot, or `None` for the whole flock.
        bot: Option<BotName>,
        /// The error.
        problem: String,
    },
    /// A bug in flockd caused a panic while it handled a bot; the bot is retried soon.
    Panicked {
        /// Which bot.
        bot: BotName,
    },
    /// An alert was delivered.
    Alerted {
        /// The alert target.
        receiver: &'static str,
        /// What it is about: a bot, an app or the flock.
        about: String,
        /// The cause, in one word.
        cause: &'static str,
    },
    /// An alert could not be delivered, and is retried.
    AlertFailed {
        /// What it is about: a bot, an app or the flock.
        about: String,
        /// The cause, in one word.
        cause: &'static str,
        /// The alert target and the error.
        problem: String,
    },
    /// An alert could not be delivered for a day, and was dropped.
    AlertDropped {
        /// The alert target.
        receiver: &'static str,
        /// What it is about: a bot, an app or the flock.
        about: String,
        /// The cause, in one word.
        cause: &'static str,
    },
    /// The heartbeat can't be delivered any more.
    HeartbeatStopped {
        /// Why.
        problem: String,
    },
    /// The heartbeat is delivered again.
    HeartbeatBack,
    /// A bot posts nothing, because its last slot is later than the clock's time.
    ClockWasAhead {
        /// Which bot.
        bot: BotName,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The wall clock was set back; used slots stay used.
    ClockWentBack {
        /// By how many seconds.
        seconds: i64,
    },
    /// No new slot is taken; this many posts are still in flight.
    Stopping {
        /// How many.
        in_flight: usize,
    },
    /// The flock has stopped.
    Stopped {
        /// How many posts had to be left in flight: they will be `unknown` at the next start.
        abandoned: usize,
    },
}

/// Gives every event its name. JSON logs contain it, where filters and tests read it: a variant may be renamed, but its
/// name must not change.
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
    PassedOver => "passed-over",
    PassUndone => "pass-undone",
    Returned => "retry-scheduled",
    Doubted => "outcome-unknown",
    Looked => "still-unknown",
    Released => "released",
    Deleted => "deleted",
    Missed => "slots-missed",
    PoemRead => "poem-read",
    PoemBroken => "poem-broken",
    PictureBroken => "picture-broken",
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
    AppCooldown => "app-cooldown",
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
    /// The event for a post's current state; `None` while it is still being sent.
    pub fn of(post: Post) -> Option<Self> {
        match post.state {
            State::Posted => Some(Self::Posted(post)),
            State::Refused if post.is_pass() => Some(Self::PassedOver(post)),
            State::Refused => Some(Self::Refused(post)),
            State::Planned => Some(Self::Returned(post)),
            State::Unknown => Some(Self::Doubted(post)),
            State::Released if post.is_pass() => Some(Self::PassUndone(post)),
            State::Released => Some(Self::Released(post)),
            State::Deleted => Some(Self::Deleted(post)),
            State::Sending => None,
        }
    }

    /// The bot that it is about, if it is about one.
    pub fn bot(&self) -> Option<&BotName> {
        match self {
            Self::Posted(post)
            | Self::Refused(post)
            | Self::PassedOver(post)
            | Self::PassUndone(post)
            | Self::Returned(post)
            | Self::Doubted(post)
            | Self::Looked(post)
            | Self::Released(post)
            | Self::Deleted(post) => Some(&post.bot),
            Self::Missed { bot, .. }
            | Self::PictureBroken { bot, .. }
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

/// A function called with every event. It must be quick, because it runs in the emitting task.
pub type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// Emits events to listeners. Cheap to clone.
#[derive(Clone, Default)]
pub struct Events {
    listeners: Arc<[Listener]>,
}

impl Events {
    /// Calls these listeners, in this order.
    pub fn new(listeners: Vec<Listener>) -> Self {
        Self { listeners: listeners.into() }
    }

    /// Calls every listener with an event.
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
