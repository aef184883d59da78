//! The table of errors: HTTP status, and whether the server's API itself speaks, to what it means, and what to tell
//! people about it. The words of an error are in the language of whoever asks, so nothing depends on them.

use crate::flock::post::Cause;

/// What an error says of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This very text is not wanted.
    Text,
    /// Too many requests, or posts, for now.
    Patience,
    /// The token is not accepted.
    Token,
    /// The token does not allow this, or the account may do nothing: which, a further question tells.
    Forbidden,
    /// The account may do nothing.
    Account,
    /// The token does not allow this.
    Scope,
    /// The server is elsewhere now.
    Moved,
    /// Nobody here knows such a request.
    Astray,
    /// Somebody else than the server's API has answered.
    Stranger,
    /// Not accepted, for a reason not known here.
    Odd,
    /// Said again of an attempt that did nothing.
    Again,
    /// Nothing that settles whether it was accepted.
    Silence,
}

impl Meaning {
    /// By the status, and whether the answer is one of the API, which always speaks JSON.
    pub(super) const fn of(status: u16, is_api: bool) -> Self {
        match status {
            301 | 302 | 307 | 308 => Self::Moved,
            // What a proxy, too, says of a request that may have gone through.
            ..=399 | 408 | 409 | 425 | 499.. => Self::Silence,
            420 | 429 => Self::Patience,
            404 | 405 | 410 => Self::Astray,
            _ if !is_api => Self::Stranger,
            400 | 413 | 422 => Self::Text,
            401 => Self::Token,
            403 => Self::Forbidden,
            _ => Self::Odd,
        }
    }

    /// The word for programs.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::Text => Cause::Text,
            Self::Patience => Cause::Limits,
            Self::Token | Self::Scope => Cause::SignIn,
            Self::Account => Cause::Account,
            Self::Forbidden | Self::Moved | Self::Astray | Self::Stranger | Self::Odd => Cause::App,
            Self::Again => Cause::Unreachable,
            Self::Silence => Cause::Silence,
        }
    }

    /// Whether it says nothing of what may be read, but only that it can't be now: it passes, or is mended.
    pub(super) const fn passes(self) -> bool {
        matches!(
            self,
            Self::Patience | Self::Token | Self::Account | Self::Moved | Self::Stranger | Self::Again
        )
    }

    /// What happened.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Text => "the server refused this text",
            Self::Patience => "the server asks for patience",
            Self::Token => "the server does not accept the bot's token",
            Self::Forbidden => "the server forbids this",
            Self::Account => "the account is disabled or suspended",
            Self::Scope => "the bot's token does not allow this",
            Self::Moved => "the server has moved",
            Self::Astray => "there is no server here that speaks Mastodon's API",
            Self::Stranger => "something other than the server's API has answered",
            Self::Odd => "the server did not take the request",
            Self::Again => "the server had an error, and says the same again without trying",
            Self::Silence => "the server gave no answer that settles it",
        }
    }

    /// What to do about it.
    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::Text => "look at what it said, and change the line",
            Self::Patience => "nothing to do, unless it comes often: then post less often",
            Self::Token => "sign in again",
            Self::Forbidden => "look at the account on the server, and sign in again",
            Self::Account => "sign in to it on the server and see what its moderators say",
            Self::Scope => "sign in again, and agree to everything",
            Self::Moved => "set `api_url` to where it is now",
            Self::Astray => "look whether `api_url` is right",
            Self::Stranger => {
                "look whether `api_url` is right, and ask the server's admin whether something in front of it turns \
                 bots away"
            }
            Self::Odd => "look at what it said: it may be about this line, or about the account",
            Self::Again => "nothing to do, unless it lasts",
            Self::Silence => "look at the account",
        }
    }
}
