//! The networks, behind one small trait: what a bot's client can do, and what the engine does with the answer.
//!
//! No network knows the ledger, and the engine knows nothing of any network: a network says what an answer
//! *means* ([`Outcome`]), the engine decides what happens next. Retrying is never done here, and no tokens are
//! kept here.

pub mod bluesky;
mod diagnosis;
pub mod environment;
pub mod feed;
pub mod http;
mod identity;
mod link;
pub mod mastodon;
mod mention;
pub mod oauth2;
pub mod offline;
mod rate_limit;
mod registry;
mod resemblance;
mod response;
mod sign_in;
mod text;
mod timeline;
pub mod x;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use url::Url;

use crate::flock::account::{Account, Profile, Registration, Tokens};
use crate::flock::network::SignInKind;
use crate::flock::poem::TextId;
use crate::flock::post::{Cause, Post, PostId, Why};
pub use diagnosis::Explanation;
pub use identity::is_expected;
pub use registry::{ClientConfig, connect, explanations};
pub use resemblance::Resemblance;
pub use sign_in::{AppPasswordApi, OAuth1Api, OAuth2Api, RequestToken, SignInApi};
pub use text::{TextError, length, mentions, price, validate};

/// What is known of a bot's account when its client is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The tokens to sign with; `None` where nobody signs.
    pub tokens: Option<Tokens>,
    /// Who the bot is on the network, as far as the ledger remembers.
    pub account: Option<Account>,
}

/// The tokens to sign with, for a client that can do nothing without; whoever calls it sees to that.
pub fn require_tokens(tokens: Option<&Tokens>) -> Result<&Tokens, Rejection> {
    tokens.ok_or_else(|| Rejection::unanswered(Why::new(Cause::SignIn, "not signed in")))
}

/// One bot's client. A small handle: what is costly is shared behind it. It keeps no tokens: they come with
/// each call, so that new ones count from the next call on.
#[async_trait]
pub trait Network: Send + Sync {
    /// Whether requests are signed with tokens of the bot's, so that a session must have some.
    fn requires_auth(&self) -> bool {
        false
    }

    /// Gets new tokens for old ones. The old ones may be worthless afterwards, so the new ones must be durable
    /// before they are used. An error with [`Cause::SignIn`] is final.
    async fn renew(&self, tokens: &Tokens) -> Result<Tokens, Rejection> {
        Ok(tokens.clone())
    }

    /// Makes tokens worthless. That they are already is as good.
    async fn revoke(&self, _tokens: &Tokens) -> Result<(), Rejection> {
        Ok(())
    }

    /// Makes sure that the client may post as the account it should. Returns what the ledger should remember
    /// of the account from now on, if that is something new. Nothing is posted by this.
    async fn prepare(&self, session: &Session) -> Result<Option<Account>, Rejection>;

    /// All that is to be sent, where that is more than the text: what the text becomes on this network, in a post that
    /// is planned at `at`. It is fixed before the first attempt, and each attempt sends [`Post::record`], so that all
    /// of them are the same post. Nothing is posted by this.
    async fn compose(
        &self,
        _id: PostId,
        _text: &str,
        _at: DateTime<Utc>,
        _session: &Session,
    ) -> Result<Option<String>, Rejection> {
        Ok(None)
    }

    /// Makes one attempt to post, and only one.
    async fn send(&self, post: &Post, session: &Session) -> Sent;

    /// The pauses before each look for a post whose outcome is unknown; there are no more looks than these.
    fn probe_delays(&self) -> &[Duration] {
        &[Duration::ZERO]
    }

    /// Looks once whether the network has a post whose outcome is unknown. An error says that it could not be asked
    /// now.
    async fn probe(&self, post: &Post, session: &Session) -> Result<ProbeResult, Rejection>;

    /// What the account has posted since then, oldest first.
    async fn timeline_since(&self, since: DateTime<Utc>, session: &Session) -> Result<Timeline, Rejection>;

    /// Whether a text that the network shows may be this text of ours.
    fn same_text(&self, ours: &str, theirs: &str) -> bool {
        TextId::of(ours) == TextId::of(theirs)
    }

    /// Takes a post back. That it is gone already is as good.
    async fn delete(&self, post: &Post, session: &Session) -> Result<(), Rejection>;
}

/// What can be done with an account beside posting, and how one signs in to it. Networks without accounts don't have it.
#[async_trait]
pub trait AccountApi: Network {
    /// A way to sign in, where the network has it.
    fn sign_in(&self, kind: SignInKind) -> Option<SignInApi<'_>>;

    /// Makes sure that the server knows the app, where apps register themselves: makes a registration, if that which the
    /// client was made with is none or serves no more. `redirects` is where browsers may come back to.
    async fn register(&self, _redirects: &[String]) -> Result<Option<Registration>, Rejection> {
        Ok(None)
    }

    /// Whose the tokens are, and what they allow.
    async fn who_am_i(&self, tokens: &Tokens) -> Result<Account, Rejection>;

    /// Why the account could not post with these tokens, if that can be known without posting.
    fn may_post(&self, account: &Account, tokens: &Tokens) -> Result<(), Why>;

    /// How the account looks now: name, bio, and where its picture is.
    async fn appearance(&self, tokens: &Tokens) -> Result<Appearance, Rejection>;

    /// Why the network lets no program change how an account looks, if that is so, and what to do instead.
    fn profile_unsupported(&self) -> Option<&'static str> {
        None
    }

    /// Has the account look like that, and say that it is a bot where the network has a mark for that.
    async fn update_profile(&self, tokens: &Tokens, profile: &Profile) -> Result<(), ProfileError>;
}

/// How an account looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appearance {
    /// The name that people see.
    pub name: Option<String>,
    /// What it says of itself.
    pub bio: Option<String>,
    /// Where its picture is.
    pub picture_url: Option<String>,
    /// Whether it says that it is a bot, where the network has a mark for that which programs can see.
    pub automated: Option<bool>,
}

/// Why an account's profile was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The network offers no such call: a person has to do it.
    #[error("{0}")]
    Unsupported(String),
    /// It was asked for, and did not come to pass.
    #[error(transparent)]
    Failed(#[from] Rejection),
}

/// What came of one attempt to post: its outcome, and for how long no other should be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What became of the post.
    pub outcome: Outcome,
    /// Who should keep still, and until when.
    pub cooldowns: Vec<Cooldown>,
    /// How many more requests the network would take before the tightest of its limits, as far as it said.
    pub room: Option<u32>,
}

impl From<Outcome> for Sent {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, cooldowns: Vec::new(), room: None }
    }
}

/// Nothing should be sent until then: the network said so, or it would be in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooldown {
    /// Whom it concerns.
    pub scope: Scope,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Why, and what to do.
    pub why: Why,
}

/// Whom a limit of the network's concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The bot that met it.
    Bot,
    /// All bots of its app.
    App,
}

/// What became of one attempt to post, by what is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The network has it.
    Posted {
        /// The network's id for it.
        remote_id: String,
        /// Where people can see it.
        url: Option<String>,
        /// What a person should know of it, if it is not quite as it should be.
        note: Option<String>,
    },
    /// The network said no to this text, and would say so again.
    Refused {
        /// What it said.
        reason: String,
    },
    /// The network says that it has had the same text from this account lately.
    Duplicate {
        /// What it said.
        reason: String,
    },
    /// Provably not accepted: the same post may be tried again.
    NotAccepted(Rejection),
    /// The same, for a reason in words that are not known here: it may be the text, the account or the app.
    Unclear(Rejection),
    /// The request left, and no answer that settles it came.
    Unknown {
        /// What happened instead.
        reason: String,
    },
}

impl Outcome {
    /// Nobody knows whether the post was accepted.
    fn unsettled(what: &str) -> Self {
        Self::Unknown { reason: format!("{what}; whether it was posted is not known") }
    }
}

/// Why nothing was accepted, and when it may be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", why.reason)]
pub struct Rejection {
    /// Word and sentence.
    pub why: Why,
    /// The network's own word on when to come back.
    pub retry_at: Option<DateTime<Utc>>,
    /// Whether the network answered with a definite error, rather than not at all.
    pub answered: bool,
    /// Whether it was the access token that was not accepted, so that a renewed one may be.
    pub token_rejected: bool,
}

impl Rejection {
    /// Something that ended before the network said anything.
    pub const fn unanswered(why: Why) -> Self {
        Self { why, retry_at: None, answered: false, token_rejected: false }
    }

    /// Something that the network answered with a definite error.
    const fn answered(why: Why) -> Self {
        Self { why, retry_at: None, answered: true, token_rejected: false }
    }

    /// Nobody was reached at `url`; `name` is what to call them if that is no URL, `heard` what happened. Not a word
    /// of the address but its host: the rest may hold a password.
    fn unreachable(url: &str, name: &str, heard: &str) -> Self {
        let url = Url::parse(url).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or(name);
        let reason = if http::has_remedy(heard) {
            format!("{host} can't be reached ({heard})")
        } else {
            format!("{host} can't be reached ({heard}): look at the network, or at api_url")
        };
        Self::unanswered(Why::new(Cause::Unreachable, reason))
    }

    /// An address of the app is no URL, which a checked configuration rules out.
    fn no_url() -> Self {
        let reason =
            "the app's api_url or site_url is no URL: set them to something like https://social.example";
        Self::unanswered(Why::new(Cause::App, reason))
    }
}

/// What a look at the network showed of a post whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// The posts of the account that it may be. That there is none proves nothing before the last look: what was
    /// accepted may take a moment to show. Posts that belong to other rows of the ledger are not sorted out.
    Candidates {
        /// Those that are surely it if they are no other row's, the best evidence first.
        seen: Vec<RemotePost>,
        /// Those that may be it: the network has changed them, or they are others. The likeliest first.
        doubtful: Vec<RemotePost>,
        /// What the look cost, in thousandths of a US dollar.
        cost: u32,
    },
    /// The network does not have it, and will not get it from an earlier attempt.
    Absent,
    /// The network may not be asked.
    Unavailable(Why),
}

impl ProbeResult {
    /// What posts show of a text of ours: those that are the same by what the network is known to change, those that are
    /// what is left of it, and those that may be.
    fn sorted(ours: &str, seen: Vec<RemotePost>, is_same: impl Fn(&RemotePost) -> bool, cost: u32) -> Self {
        let (mut same, mut changed, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
        for seen in seen {
            match resemblance::of(ours, &seen.text) {
                _ if is_same(&seen) => same.push(seen),
                Resemblance::Same => changed.push(seen),
                Resemblance::Doubtful => doubtful.push(seen),
                Resemblance::None => {}
            }
        }
        // The network's own ways are better evidence.
        same.extend(changed);
        Self::Candidates { seen: same, doubtful, cost }
    }
}

/// What an account has posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timeline<P = RemotePost> {
    /// This, oldest first.
    Complete(Vec<P>),
    /// This, oldest first, and there is more that can't be read, for this reason.
    Partial(Vec<P>, Why),
    /// It may not be read.
    Unavailable(Why),
}

/// A post as the network shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePost {
    /// The network's id.
    pub remote_id: String,
    /// Where people can see it.
    pub url: Option<String>,
    /// Its text, as [`Network::is_same`] takes it.
    pub text: String,
    /// When it was posted.
    pub at: DateTime<Utc>,
    /// The app that it was posted with, as the network names it, where it does.
    pub client: Option<String>,
}

/// Whether a text that a network shows is what servers leave of a text of ours: its letters and digits. For where it is
/// not the same by what the network is known to change ([`Network::is_same`]).
pub fn resemblance(ours: &str, theirs: &str) -> Resemblance {
    resemblance::of(ours, theirs)
}
