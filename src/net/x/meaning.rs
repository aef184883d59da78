//! The table of X's errors: HTTP status, then number, type and wording of the error, to what it means, and
//! what to tell people about it. It is X's own where X documents one, and what users have met where not.
//!
//! Nothing blames the line unless X clearly does: an unclear no suspends the bot, because burning a poem
//! line by line would be worse than a bot that loudly waits.

use super::problem::Problem;
use crate::flock::post::Cause;

/// What an error says of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This very text is not wanted.
    Text,
    /// The same text was posted lately.
    Duplicate,
    /// Too many requests for now.
    Patience,
    /// Too many posts for today.
    Daily,
    /// The app's cap, or its spending limit, is reached.
    Capped,
    /// Keys, tokens or signature are not accepted.
    Tokens,
    /// The same before anybody has signed in, when there are only the app's keys.
    AppKeys,
    /// The same of a code that the keys were good for a moment ago.
    Code,
    /// No credits are left.
    Credits,
    /// The account is suspended.
    Suspended,
    /// The account waits for its owner.
    Locked,
    /// The app may only read.
    ReadOnly,
    /// The app is in no package.
    NotEnrolled,
    /// The app's access level is too low.
    Level,
    /// The address to come back to after signing in is not registered with the app.
    Callback,
    /// Forbidden, in words not known here.
    Forbidden,
    /// No such address.
    Astray,
    /// Something else than X's API has answered.
    Stranger,
    /// Not accepted, for a reason not known here.
    Odd,
    /// Nothing that settles whether it was accepted.
    Silence,
}

impl Meaning {
    /// The order matters: first what leaves a doubt, then what the status alone says, then the particulars.
    pub(super) fn of(status: u16, problem: &Problem) -> Self {
        match status {
            // What a proxy, too, says of a request that may have gone through.
            ..=399 | 408 | 409 | 425 | 499.. => Self::Silence,
            420 | 429 if !problem.is_own => Self::Patience,
            404 | 405 | 410 if !problem.is_own => Self::Astray,
            _ if !problem.is_own => Self::Stranger,
            402 => Self::Credits,
            420 | 429 if problem.kind == "usage-capped" => Self::Capped,
            420 | 429 => Self::Patience,
            _ => by_codes(&problem.codes)
                .or_else(|| by_kind(&problem.kind))
                .or_else(|| by_words(problem))
                .unwrap_or_else(|| by_status(status)),
        }
    }

    /// The word for programs.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::Text => Cause::Text,
            Self::Duplicate => Cause::Duplicate,
            Self::Patience | Self::Daily => Cause::Limits,
            // Of an app that may only read new tokens are needed in any case.
            Self::Tokens | Self::AppKeys | Self::Code | Self::ReadOnly => Cause::SignIn,
            Self::Credits => Cause::Credits,
            Self::Suspended | Self::Locked => Cause::Account,
            Self::Capped | Self::NotEnrolled | Self::Level => Cause::App,
            Self::Callback | Self::Forbidden | Self::Astray | Self::Stranger | Self::Odd => Cause::App,
            Self::Silence => Cause::Silence,
        }
    }

    /// Whether it ails the app as a whole, so that its other bots need not try.
    pub(super) const fn concerns_app(self) -> bool {
        matches!(self, Self::Capped | Self::Credits | Self::NotEnrolled | Self::Level)
    }

    /// Whether it says nothing of what may be read, but only that it can't be now: it passes, or is mended.
    pub(super) const fn passes(self) -> bool {
        matches!(
            self,
            Self::Patience
                | Self::Daily
                | Self::Tokens
                | Self::AppKeys
                | Self::Credits
                | Self::Suspended
                | Self::Locked
                | Self::Stranger
        )
    }

    /// What happened.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Text => "X refused this text",
            Self::Duplicate => "X has had this text from the account lately",
            Self::Patience => "X asks for patience",
            Self::Daily => "the account has posted its share of the day",
            Self::Capped => "the app's cap is used up",
            Self::Tokens => "X does not accept the bot's keys and tokens",
            Self::AppKeys => "X does not accept the app's consumer key and secret",
            Self::Code => "X does not accept the code",
            Self::Credits => "the app's credits are used up",
            Self::Suspended => "the account is suspended",
            Self::Locked => "the account is locked",
            Self::ReadOnly => "the app may only read",
            Self::NotEnrolled => "the app belongs to no package",
            Self::Level => "the app's access level does not include this",
            Self::Callback => "the app does not know the callback URL",
            Self::Forbidden => "X forbids this, for a reason not known here",
            Self::Astray => "the address does not know this request",
            Self::Stranger => "something else than X's API has answered",
            Self::Odd => "X did not take the request",
            Self::Silence => "X gave no answer that settles it",
        }
    }

    /// What to do about it.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Text => "look whether it is too long or mentions others, and change the line",
            Self::Duplicate => "let other lines come between",
            Self::Patience => "nothing to do, unless it comes often: then post less often",
            Self::Daily => "post less often",
            Self::Capped => "raise it at console.x.com, or wait for the next period",
            Self::Tokens => "compare them with console.x.com, and sign in again if the tokens were revoked",
            Self::AppKeys => "compare `consumer_key` and `consumer_secret` with console.x.com",
            Self::Code => "it is good once and for a few minutes only, so sign in again",
            Self::Credits => "buy credits at console.x.com",
            Self::Suspended => "sign in to it at x.com and see what X asks for",
            Self::Locked => "sign in to it at x.com and unlock it",
            Self::ReadOnly => {
                "set it to \"Read and write\" at console.x.com, then sign in again, as old tokens stay read-only"
            }
            Self::NotEnrolled => {
                "at console.x.com, under Manage apps, move it to Pay-per-use and the Production environment"
            }
            Self::Level => "choose a package at console.x.com that may create posts",
            Self::Callback => {
                "register it at console.x.com among the app's callback URLs, exactly as it is, or use --pin"
            }
            Self::Forbidden => {
                "if X says so of this line only, change the line; if of every one, look at the app at console.x.com and \
                 at the account at x.com"
            }
            Self::Astray => "look whether api_url is right",
            Self::Stranger => "look whether api_url is right, and what stands between this machine and X",
            Self::Odd => "look at what it said: it may be about this line, the app or the account",
            Self::Silence => "look at the account",
        }
    }
}

/// The numbers of the older API, which still turn up.
fn by_codes(codes: &[u64]) -> Option<Meaning> {
    codes.iter().find_map(|code| {
        Some(match code {
            32 | 89 | 135 | 215 => Meaning::Tokens,
            64 => Meaning::Suspended,
            88 => Meaning::Patience,
            185 | 344 => Meaning::Daily,
            186 => Meaning::Text,
            187 => Meaning::Duplicate,
            326 => Meaning::Locked,
            415 => Meaning::Callback,
            453 => Meaning::Level,
            _ => return None,
        })
    })
}

fn by_kind(kind: &str) -> Option<Meaning> {
    Some(match kind {
        "invalid-request" => Meaning::Text,
        "credits-depleted" => Meaning::Credits,
        "usage-capped" => Meaning::Capped,
        "oauth1-permissions" => Meaning::ReadOnly,
        "user-suspended" => Meaning::Suspended,
        "client-forbidden" => Meaning::NotEnrolled,
        "unsupported-authentication" => Meaning::Tokens,
        _ => return None,
    })
}

/// Some errors differ in nothing but their wording.
fn by_words(problem: &Problem) -> Option<Meaning> {
    let duplicate = ["duplicate content", "status is a duplicate"];
    if duplicate.iter().any(|words| problem.says(words)) {
        Some(Meaning::Duplicate)
    } else {
        problem.says("not permitted to perform this action").then_some(Meaning::Text)
    }
}

const fn by_status(status: u16) -> Meaning {
    match status {
        401 => Meaning::Tokens,
        403 => Meaning::Forbidden,
        404 | 405 | 410 => Meaning::Astray,
        _ => Meaning::Odd,
    }
}
