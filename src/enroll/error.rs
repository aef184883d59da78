//! Reasons why a bot was not signed in.

use std::time::Duration;

use crate::flock::post::Why;
use crate::net::Rejection;

/// Why a bot was not signed in, and what to do. Nothing was saved in any case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrollError {
    /// The network could not be reached, or rejected what it was given.
    #[error(transparent)]
    Rejection(#[from] Rejection),
    /// The person declined on the network's page.
    #[error("you declined on the page, so nothing was saved: run `flockd enroll {bot}` again, and agree")]
    Denied {
        /// The bot.
        bot: String,
    },
    /// No answer arrived in time.
    #[error(
        "no answer arrived within {}: run `flockd enroll {bot}` again, agree on the page, and paste the address at \
         which the browser ends if it can't come back by itself, or the PIN if one is shown",
        humantime::format_duration(*.waited)
    )]
    TimedOut {
        /// The bot.
        bot: String,
        /// The time limit.
        waited: Duration,
    },
    /// None of the pasted lines was an answer.
    #[error(
        "the pasted lines contained no answer: run `flockd enroll {bot}` again, and paste the whole address \
         at which the browser ends"
    )]
    NoAnswer {
        /// The bot.
        bot: String,
    },
    /// The input has ended, and no browser can return.
    #[error(
        "the input has ended, and no browser can come back here: run `flockd enroll {bot}` in a terminal"
    )]
    NoInput {
        /// The bot.
        bot: String,
    },
    /// No password was given.
    #[error(
        "no app password was given, so nothing was saved: run `flockd enroll {bot}` again, or pipe it there as a line"
    )]
    NoPassword {
        /// The bot.
        bot: String,
    },
    /// Two different passwords were given, and neither is an app password.
    #[error(
        "the two passwords differ, and neither is an app password, so nothing was saved: run `flockd enroll {bot}` again"
    )]
    PasswordMismatch {
        /// The bot.
        bot: String,
    },
    /// The tokens belong to another account.
    #[error("signed in as @{found}, but flock.toml expects @{expected}: {remedy}")]
    WrongAccount {
        /// The account that they belong to.
        found: String,
        /// The account that was expected.
        expected: String,
        /// How to get the right ones.
        remedy: String,
    },
    /// The tokens do not allow posting.
    #[error("signed in as @{handle}, but {}", .why.reason)]
    NotWritable {
        /// The account that they belong to.
        handle: String,
        /// Why, and what to do.
        why: Why,
    },
}
