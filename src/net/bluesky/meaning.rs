//! The table of errors: HTTP status, then the name of the error, to what it means, and what to tell people about it.
//! The names are those of the lexicons and of the reference PDS (atproto.com/specs/xrpc).
//!
//! Nothing blames the line unless the server clearly does: an unclear no suspends the bot, because burning a poem
//! line by line would be worse than a bot that loudly waits.

use super::answer::Problem;
use crate::flock::post::Cause;

/// How an error begins that is about the record of a post: the record is made of the text.
const BAD_RECORD: &str = "Invalid app.bsky.feed.post record";

/// How those begin that are about one record, or all, of an account which the server does not show at all, as one that
/// was taken down or has moved away: they say nothing of the records.
const NOBODYS_RECORDS: &[&str] = &["Could not locate record", "Could not find repo"];

/// What an error says of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This very text is not wanted.
    Text,
    /// Something else stands where it should be written.
    Swap,
    /// Too many requests for now.
    Patience,
    /// The access token is not accepted, because it has run out or was made worthless.
    Tokens,
    /// Nor is the password.
    Password,
    /// The account wants a code from its owner's mail besides its password.
    Factor,
    /// The account was taken down.
    TakenDown,
    /// The owner has put the account to rest.
    Resting,
    /// The account is not on this server.
    Elsewhere,
    /// There is no such record, handle or document.
    NotFound,
    /// The server is at another address.
    Moved,
    /// The address does not know this request.
    Astray,
    /// Something else than the server's API has answered.
    Stranger,
    /// Refused for a reason not known here.
    Odd,
    /// Whether it was done is not known.
    Silence,
}

impl Meaning {
    /// What an answer with this status and this error means.
    pub(super) fn of(status: u16, problem: &Problem) -> Self {
        match status {
            301 | 302 | 307 | 308 => Self::Moved,
            // What is below is neither an error nor the one success that there is.
            408 | 409 | 425 | 499.. | ..400 => Self::Silence,
            404 | 405 | 410 if !problem.is_own => Self::Astray,
            429 => Self::Patience,
            _ if !problem.is_own => Self::Stranger,
            _ => by_name(problem).unwrap_or_else(|| by_status(status)),
        }
    }

    /// The same where a password was shown.
    pub(super) fn of_sign_in(self) -> Self {
        if self == Self::Tokens { Self::Password } else { self }
    }

    /// The word for programs.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::Text => Cause::Text,
            Self::Patience => Cause::Limits,
            Self::Tokens | Self::Password | Self::Factor => Cause::SignIn,
            Self::TakenDown | Self::Resting | Self::Elsewhere => Cause::Account,
            Self::Swap | Self::NotFound | Self::Moved | Self::Astray => Cause::App,
            Self::Stranger | Self::Odd => Cause::App,
            Self::Silence => Cause::Silence,
        }
    }

    /// Whether the account may have moved to another server, where it is welcome.
    pub(super) const fn may_have_moved(self) -> bool {
        matches!(self, Self::Resting | Self::Elsewhere | Self::Moved)
    }

    /// What happened.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Text => "Bluesky refused this text",
            Self::Swap => "something else was written there meanwhile",
            Self::Patience => "the account's server asks for patience",
            Self::Tokens => "the account's server does not accept the session",
            Self::Password => "the account's server does not accept the password",
            Self::Factor => "the account wants a code from its mail besides its main password",
            Self::TakenDown => "the account was taken down",
            Self::Resting => "the account is deactivated",
            Self::Elsewhere => "the account is not on its server",
            Self::NotFound => "the server does not have it",
            Self::Moved => "the server is at another address",
            Self::Astray => "the address does not know this request",
            Self::Stranger => "something else than the API of the account's server has answered",
            Self::Odd => "the account's server did not take the request",
            Self::Silence => "the account's server gave no answer that settles it",
        }
    }

    /// What to do about it.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Text => "look whether it is too long, and change the line",
            Self::Swap => "try again",
            Self::Patience => "nothing to do, unless it comes often: then post less often",
            Self::Tokens => "sign in again",
            Self::Password | Self::Factor => {
                "make an app password at bsky.app under Settings, Privacy and security, and sign in with it"
            }
            Self::TakenDown => "sign in at bsky.app and read what it says",
            Self::Resting => "activate it at bsky.app, then sign in again",
            Self::Elsewhere => "look at it at bsky.app, then sign in again",
            Self::NotFound => "look at bsky.app whether it is there",
            Self::Moved | Self::Astray => "look whether api_url and directory_url are right",
            Self::Stranger => "look at what stands between this machine and the server",
            Self::Odd => "look at what it said: it may be about this line, or about the account at bsky.app",
            Self::Silence => "try again",
        }
    }
}

fn by_name(problem: &Problem) -> Option<Meaning> {
    Some(match problem.name.as_str() {
        "ExpiredToken" | "InvalidToken" | "AuthMissing" | "AuthenticationRequired" => Meaning::Tokens,
        "AuthFactorTokenRequired" => Meaning::Factor,
        "AccountTakedown" | "AccountSuspended" | "RepoTakendown" | "RepoSuspended" => Meaning::TakenDown,
        "AccountDeactivated" | "RepoDeactivated" => Meaning::Resting,
        "AccountNotFound" | "RepoNotFound" => Meaning::Elsewhere,
        "RateLimitExceeded" => Meaning::Patience,
        "InvalidSwap" => Meaning::Swap,
        "RecordNotFound" | "HandleNotFound" => Meaning::NotFound,
        "MethodNotImplemented" => Meaning::Astray,
        "InvalidRequest" if problem.said.starts_with(BAD_RECORD) => Meaning::Text,
        "InvalidRequest" if NOBODYS_RECORDS.iter().any(|start| problem.said.starts_with(start)) => {
            Meaning::Elsewhere
        }
        _ => return None,
    })
}

const fn by_status(status: u16) -> Meaning {
    match status {
        401 => Meaning::Tokens,
        404 | 405 | 410 => Meaning::Astray,
        _ => Meaning::Odd,
    }
}
