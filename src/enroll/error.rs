//! Why a bot was not signed in.

use std::time::Duration;

use crate::flock::post::Why;
use crate::net::Rejection;

/// Why a bot was not signed in, each with what to do about it. Nothing was kept in any case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrollError {
    /// The network could not be reached, or did not accept what it was given.
    #[error(transparent)]
    Rejection(#[from] Rejection),
    /// The person said no on the network's page.
    #[error("you said no on the page, so nothing was kept: run `flockd enroll {bot}` again, and agree")]
    Denied {
        /// The bot.
        bot: String,
    },
    /// Nothing came back in time.
    #[error(
        "nothing came back within {}: run `flockd enroll {bot}` again, agree on the page, and paste the address at \
         which the browser ends if it can't come back by itself, or the PIN if one is shown",
        humantime::format_duration(*.waited)
    )]
    TimedOut {
        /// The bot.
        bot: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// What was pasted was never an answer.
    #[error(
        "what was pasted held no answer, several times: run `flockd enroll {bot}` again, and paste the whole address \
         at which the browser ends"
    )]
    Rubbish {
        /// The bot.
        bot: String,
    },
    /// There is nobody to paste anything, and no browser can come back.
    #[error(
        "the input has ended, and no browser can come back here: run `flockd enroll {bot}` in a terminal"
    )]
    NobodyThere {
        /// The bot.
        bot: String,
    },
    /// Nobody gave a password.
    #[error(
        "no app password was given, so nothing was kept: run `flockd enroll {bot}` again, or pipe it there as a line"
    )]
    NoPassword {
        /// The bot.
        bot: String,
    },
    /// Two passwords were given that differ, and neither is for programs.
    #[error(
        "the two were not the same, and neither is an app password, so nothing was kept: run `flockd enroll {bot}` again"
    )]
    NotTwice {
        /// The bot.
        bot: String,
    },
    /// The tokens are another account's.
    #[error("signed in as @{found}, but flock.toml expects @{expected}: {remedy}")]
    WrongAccount {
        /// Whose they are.
        found: String,
        /// Whose they should be.
        expected: String,
        /// How to come to the right ones.
        remedy: String,
    },
    /// The tokens can't be used to post.
    #[error("signed in as @{handle}, but {}", .why.reason)]
    NotWritable {
        /// Whose they are.
        handle: String,
        /// Why not, and what to do.
        why: Why,
    },
}
