//! The networks, behind one small trait: what a bot's client can do, and what an answer means for the engine.
//!
//! No network knows the ledger, and the engine knows nothing of any network: a network says what an answer
//! *means* ([`Outcome`]), and the engine decides what happens next. Nothing here retries or stores tokens.

mod adapter;
mod attached;
pub mod bluesky;
mod diagnosis;
mod entry;
pub mod environment;
pub mod feed;
mod fit;
pub mod http;
mod identity;
mod link;
pub mod mastodon;
mod mention;
pub mod oauth2;
pub mod offline;
mod rate_limit;
mod registry;
mod response;
mod sign_in;
mod text_match;
mod timeline;
pub mod x;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use url::Url;

use crate::flock::account::{Account, Profile, Registration, Tokens};
use crate::flock::media::Upload;
use crate::flock::network::SignInKind;
use crate::flock::poem::EntryKey;
use crate::flock::post::{Cause, Post, PostId, Why};
pub use adapter::{ClientConfig, TextError};
pub use attached::{Attached, Picture, ReplyTo, UploadError, Uploaded};
pub use diagnosis::Explanation;
pub use entry::{EntryError, MediaLimits, may_upload, media_limits, price_of, validate_content};
pub use fit::{FitError, fit};
pub use identity::is_expected;
pub use registry::{code_in, connect, explanations, length, mentions, price, validate};
pub use sign_in::{AppPasswordApi, OAuth1Api, OAuth2Api, RequestToken, SignInApi};
pub use text_match::TextMatch;

/// What is known of a bot's account when its client is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The tokens to sign with; `None` on a network without accounts.
    pub tokens: Option<Tokens>,
    /// Who the bot is on the network, as far as the ledger remembers.
    pub account: Option<Account>,
}

/// The tokens of a session, for a network that needs them.
///
/// # Errors
/// When there are none.
pub fn require_tokens(tokens: Option<&Tokens>) -> Result<&Tokens, Rejection> {
    tokens.ok_or_else(|| Rejection::unanswered(Why::new(Cause::SignIn, "not signed in")))
}

/// One bot's client: a small handle on what all bots share. Tokens come with each call, so that new ones count from the
/// next call on.
#[async_trait]
pub trait Network: Send + Sync {
    /// Whether a session needs tokens.
    fn requires_auth(&self) -> bool {
        false
    }

    /// Exchanges tokens for new ones. The old ones may stop working at once, so the caller must store the new ones
    /// before it uses them. An error with [`Cause::SignIn`] is final.
    async fn renew(&self, tokens: &Tokens) -> Result<Tokens, Rejection> {
        Ok(tokens.clone())
    }

    /// Revokes tokens. Succeeds if they were revoked before.
    async fn revoke(&self, _tokens: &Tokens) -> Result<(), Rejection> {
        Ok(())
    }

    /// Makes sure that the tokens belong to the right account. Returns what the ledger should store about the account,
    /// if that has changed. Posts nothing.
    async fn prepare(&self, session: &Session) -> Result<Option<Account>, Rejection>;

    /// What to send for a text, in a post planned at `at`, on a network where that is more than the text. The result is
    /// fixed before the first attempt, and each attempt sends it as [`Post::record`], so that all attempts are the same
    /// post. Posts nothing.
    async fn compose(
        &self,
        _id: PostId,
        _text: &str,
        _at: DateTime<Utc>,
        _attached: &Attached<'_>,
        _session: &Session,
    ) -> Result<Option<String>, Rejection> {
        Ok(None)
    }

    /// Uploads a picture, with its description where the network wants it there. It is not visible until a post refers to it,
    /// so it may be uploaded again.
    async fn upload(&self, _picture: &Picture, _session: &Session) -> Result<Uploaded, UploadError> {
        Err(UploadError::Refused("pictures can't be posted there".to_owned()))
    }

    /// Whether the network has processed an upload that was not ready.
    async fn is_processed(&self, _upload: &Upload, _session: &Session) -> Result<bool, UploadError> {
        Ok(true)
    }

    /// Makes one attempt to post.
    async fn send(&self, post: &Post, attached: &Attached<'_>, session: &Session) -> Sent;

    /// The pause before each probe for a post whose outcome is unknown. There are no more probes than pauses.
    fn probe_delays(&self) -> &[Duration] {
        &[Duration::ZERO]
    }

    /// Looks once for a post whose outcome is unknown. An error means that the network can't be asked now.
    async fn probe(
        &self,
        post: &Post,
        attached: &Attached<'_>,
        session: &Session,
    ) -> Result<ProbeResult, Rejection>;

    /// What the account has posted since an instant, oldest first.
    async fn timeline_since(&self, since: DateTime<Utc>, session: &Session) -> Result<Timeline, Rejection>;

    /// Whether `theirs`, as the network shows it, may be the text `ours`.
    fn same_text(&self, ours: &str, theirs: &str) -> bool {
        EntryKey::of(ours) == EntryKey::of(theirs)
    }

    /// Deletes a post. Succeeds if it was deleted before.
    async fn delete(&self, post: &Post, session: &Session) -> Result<(), Rejection>;
}

/// What a network with accounts offers besides posting: signing in, and how the account looks.
#[async_trait]
pub trait AccountApi: Network {
    /// A way to sign in, where the network has it.
    fn sign_in(&self, kind: SignInKind) -> Option<SignInApi<'_>>;

    /// Registers the app with the server, where apps do so themselves and the server does not know it yet. `redirects` are
    /// the addresses to which a browser may return. Returns the new registration, which the caller must store.
    async fn register(&self, _redirects: &[String]) -> Result<Option<Registration>, Rejection> {
        Ok(None)
    }

    /// Which account the tokens belong to, and what they allow.
    async fn who_am_i(&self, tokens: &Tokens) -> Result<Account, Rejection>;

    /// Whether the tokens allow posting, as far as that can be known without a post.
    ///
    /// # Errors
    /// When they don't: why, and what to do.
    fn may_post(&self, account: &Account, tokens: &Tokens) -> Result<(), Why>;

    /// How the account looks now: name, bio, and where its picture is.
    async fn appearance(&self, tokens: &Tokens) -> Result<Appearance, Rejection>;

    /// Why programs can't change a profile on this network, if they can't, and what to do instead.
    fn profile_unsupported(&self) -> Option<&'static str> {
        None
    }

    /// Changes the profile, and marks the account as a bot where the network has such a mark.
    async fn update_profile(&self, tokens: &Tokens, profile: &Profile) -> Result<(), ProfileError>;
}

/// How an account looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appearance {
    /// The name that people see.
    pub name: Option<String>,
    /// Its description of itself.
    pub bio: Option<String>,
    /// Where its picture is.
    pub picture_url: Option<String>,
    /// Whether it is marked as a bot, where the network has a mark that programs can read.
    pub automated: Option<bool>,
}

/// Why an account's profile was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// The network offers no such call: a person has to do it.
    #[error("{0}")]
    Unsupported(String),
    /// The request failed.
    #[error(transparent)]
    Failed(#[from] Rejection),
}

/// The result of one attempt to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What became of the post.
    pub outcome: Outcome,
    /// Which bots should send nothing for a while.
    pub cooldowns: Vec<Cooldown>,
    /// How many more posts the network takes before its tightest limit, as far as it said.
    pub room: Option<u32>,
}

impl From<Outcome> for Sent {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, cooldowns: Vec::new(), room: None }
    }
}

/// A stretch of time in which nothing should be sent: the network asked for it, or sending would be useless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cooldown {
    /// Whom it concerns.
    pub scope: LimitScope,
    /// Until when.
    pub until: DateTime<Utc>,
    /// Why, and what to do.
    pub why: Why,
}

/// Which bots a limit of the network concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope {
    /// The bot that met it.
    Bot,
    /// All bots of its app.
    App,
}

/// What became of one attempt to post; each variant has its own consequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The network has it.
    Posted {
        /// The network's id for it.
        remote_id: String,
        /// Where people can see it.
        url: Option<String>,
        /// What a person should know about it, if something is unusual.
        note: Option<String>,
    },
    /// The network rejects this text, and would reject it again.
    Refused {
        /// What it said.
        reason: String,
    },
    /// The network rejects this text because the account posted it recently.
    Duplicate {
        /// What it said.
        reason: String,
    },
    /// Provably not accepted: the same post may be tried again.
    NotAccepted(Rejection),
    /// Provably not accepted, for an unfamiliar reason: it may be the text, the account or the app.
    Unclear(Rejection),
    /// Provably not accepted, because of its uploads: the network has dropped them, or has not processed them. New uploads
    /// may help.
    UploadsRejected {
        /// What it said.
        reason: String,
    },
    /// Provably not accepted, because the app may not reply, not even to the account's own posts.
    RepliesForbidden {
        /// What it said.
        reason: String,
    },
    /// Provably not accepted, because the post that it answers is gone.
    ParentGone {
        /// What it said.
        reason: String,
    },
    /// The request was sent, and no conclusive answer came.
    Unknown {
        /// What happened.
        reason: String,
    },
}

impl Outcome {
    /// It is not known whether the post was accepted.
    fn unsettled(what: &str) -> Self {
        Self::Unknown { reason: format!("{what}; whether it was posted is not known") }
    }
}

/// Why nothing was accepted, and when it may be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", why.reason)]
pub struct Rejection {
    /// The cause, and the sentence for people.
    pub why: Why,
    /// When the network said to try again, if it did.
    pub retry_at: Option<DateTime<Utc>>,
    /// Whether the network answered with a definite error, rather than not at all.
    pub answered: bool,
    /// Whether it was the access token that was not accepted, so that a renewed one may be.
    pub token_rejected: bool,
}

impl Rejection {
    /// A failure before the network answered anything.
    pub const fn unanswered(why: Why) -> Self {
        Self { why, retry_at: None, answered: false, token_rejected: false }
    }

    /// A definite error from the network.
    const fn answered(why: Why) -> Self {
        Self { why, retry_at: None, answered: true, token_rejected: false }
    }

    /// No connection to `url`; `name` stands in if that is no URL, `heard` is what happened. Only the host is quoted: the
    /// rest of the URL may hold a password.
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

    /// An address of the app is not a URL; checking the configuration rules this out.
    fn no_url() -> Self {
        let reason =
            "the app's api_url or site_url is no URL: set them to something like https://social.example";
        Self::unanswered(Why::new(Cause::App, reason))
    }
}

/// What a probe found out about a post whose outcome was unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// The posts of the account that may be it. Before the last probe an empty list proves nothing: an accepted post may
    /// take a moment to show. The caller has to leave out posts that belong to other rows of the ledger.
    Candidates {
        /// Posts that are certainly it unless they are another row's, the best evidence first.
        seen: Vec<RemotePost>,
        /// Posts that may be it: the network has changed the text, or they are different posts. The likeliest first.
        doubtful: Vec<RemotePost>,
        /// What the probe cost, in thousandths of a US dollar.
        cost: u32,
    },
    /// The network does not have it, and will not get it from an earlier attempt.
    Absent,
    /// The network does not let us look.
    Unavailable(Why),
}

impl ProbeResult {
    /// Sorts posts by how well they match a text: first those that `is_same` recognizes, by what the network is known to
    /// change, then those with the same letters and digits, and apart from them those that are similar.
    fn sorted(ours: &str, seen: Vec<RemotePost>, is_same: impl Fn(&RemotePost) -> bool, cost: u32) -> Self {
        let (mut same, mut changed, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
        for seen in seen {
            match text_match::of(ours, &seen.text) {
                _ if is_same(&seen) => same.push(seen),
                TextMatch::Same => changed.push(seen),
                TextMatch::Doubtful => doubtful.push(seen),
                TextMatch::None => {}
            }
        }
        same.extend(changed);
        Self::Candidates { seen: same, doubtful, cost }
    }
}

/// What an account has posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timeline<P = RemotePost> {
    /// All posts, oldest first.
    Complete(Vec<P>),
    /// Some posts, oldest first, and why the others can't be read.
    Partial(Vec<P>, Why),
    /// The account's posts can't be read.
    Unavailable(Why),
}

/// A post as the network shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemotePost {
    /// The network's id.
    pub remote_id: String,
    /// Where people can see it.
    pub url: Option<String>,
    /// Its text, as [`Network::same_text`] takes it.
    pub text: String,
    /// When it was posted.
    pub at: DateTime<Utc>,
    /// The app that it was posted with, where the network tells.
    pub client: Option<String>,
    /// How many pictures it has.
    pub pictures: usize,
    /// The post that it answers, by the network's id.
    pub reply_to: Option<String>,
}

/// Compares a text with one that a network shows by their letters and digits alone: for posts that are not recognized by
/// what the network is known to change ([`Network::same_text`]).
pub fn text_match(ours: &str, theirs: &str) -> TextMatch {
    text_match::of(ours, theirs)
}
